"""Litestar."""

from litestar import Litestar, get

from tests.auto.apps.calls import call


@get("/", media_type="text/plain")
async def index() -> bytes:
    """Answer with what a call carries."""
    return call()


app = Litestar([index])

"""Quart."""

from quart import Quart

from tests.auto.apps.calls import call

app = Quart(__name__)


@app.get("/")
async def index() -> bytes:
    """Answer with what a call carries."""
    return call()

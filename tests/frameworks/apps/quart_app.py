"""Quart."""

from collections.abc import AsyncIterator

from quart import Blueprint, Quart, request

import meshtrace
from tests.frameworks.apps.calls import call, call_async

app = Quart(__name__)
below = Blueprint("below", __name__, url_prefix="/mounted")


class WrongError(Exception):
    """What a handler of the application's is there for."""


@app.get("/sync")
def plain() -> str:
    """Call from a thread."""
    return call(request.args["id"])


@below.get("/async")
@app.get("/async")
async def asynchronous() -> str:
    """Call from the event loop."""
    return await call_async(request.args["id"])


@app.get("/stream")
async def stream() -> AsyncIterator[str]:
    """Call while the body is sent."""
    wanted = request.args["id"]

    async def body() -> AsyncIterator[str]:
        yield "a"
        yield await call_async(wanted)

    return body()


@app.get("/wrong")
async def wrong() -> str:
    """Fail with what the application has a handler for."""
    raise WrongError


@app.errorhandler(WrongError)
async def on_wrong(_error: WrongError) -> tuple[str, int]:
    """Call from an error handler."""
    return await call_async(request.args["id"]), 400


app.register_blueprint(below)
app.asgi_app = meshtrace.MeshTrace(app.asgi_app)  # type: ignore[assignment,method-assign]  # Quart's own way

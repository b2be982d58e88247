"""Litestar."""

from collections.abc import AsyncIterator

from litestar import Litestar, Request, Response, Router, get
from litestar.response import Stream

import meshtrace
from tests.frameworks.apps.calls import call, call_async


class WrongError(Exception):
    """What a handler of the application's is there for."""


@get("/sync", sync_to_thread=True, media_type="text/plain")
def plain(id: str) -> str:  # noqa: A002 - the query's own word
    """Call from a thread."""
    return call(id)


@get("/async", media_type="text/plain")
async def asynchronous(id: str) -> str:  # noqa: A002 - the query's own word
    """Call from the event loop."""
    return await call_async(id)


@get("/stream")
async def stream(id: str) -> Stream:  # noqa: A002 - the query's own word
    """Call while the body is sent."""

    async def body() -> AsyncIterator[str]:
        yield "a"
        yield await call_async(id)

    return Stream(body())


@get("/wrong")
async def wrong() -> str:
    """Fail with what the application has a handler for."""
    raise WrongError


def on_wrong(request: Request, _error: WrongError) -> Response:  # type: ignore[type-arg]  # any state
    """Call from an exception handler."""
    return Response(call(request.query_params["id"]), status_code=400)


below = Router("/mounted", route_handlers=[asynchronous])
app = meshtrace.MeshTrace(
    Litestar([plain, asynchronous, stream, wrong, below], exception_handlers={WrongError: on_wrong})
)

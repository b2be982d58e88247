"""Starlette: every kind of place in which an application can make a call."""

from collections.abc import AsyncIterator, Iterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

import meshtrace
from tests.frameworks.apps.calls import call, call_async


class WrongError(Exception):
    """What a handler of the application's is there for."""


def plain(request: Request) -> Response:
    """Call from a thread."""
    return PlainTextResponse(call(request.query_params["id"]))


async def asynchronous(request: Request) -> Response:
    """Call from the event loop."""
    return PlainTextResponse(await call_async(request.query_params["id"]))


async def stream(request: Request) -> Response:
    """Call while the body is sent."""

    async def body() -> AsyncIterator[str]:
        yield "a"
        yield await call_async(request.query_params["id"])

    return StreamingResponse(body())


async def stream_sync(request: Request) -> Response:
    """Call while a synchronous body is sent."""

    def body() -> Iterator[str]:
        yield "a"
        yield call(request.query_params["id"])

    return StreamingResponse(body())


async def background(request: Request) -> Response:
    """Call after the answer, from the event loop."""
    return PlainTextResponse(
        "ok", background=BackgroundTask(call_async, request.query_params["id"])
    )


async def background_sync(request: Request) -> Response:
    """Call after the answer, from a thread."""
    return PlainTextResponse("ok", background=BackgroundTask(call, request.query_params["id"]))


async def wrong(_request: Request) -> Response:
    """Fail with what the application has a handler for."""
    raise WrongError


async def crash(_request: Request) -> Response:
    """Fail with what nobody foresaw."""
    raise ZeroDivisionError


async def on_wrong(request: Request, _error: Exception) -> Response:
    """Call from an exception handler."""
    return PlainTextResponse(await call_async(request.query_params["id"]), status_code=400)


async def on_crash(request: Request, _error: Exception) -> Response:
    """Call from the handler of errors 500, which Starlette runs outside all middleware."""
    with meshtrace.use(request):
        return PlainTextResponse(await call_async(request.query_params["id"]), status_code=500)


class Passing(BaseHTTPMiddleware):
    """The middleware that runs what is inside it in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Pass a request on."""
        return await call_next(request)


class Calling(BaseHTTPMiddleware):
    """The same, with a call of its own on one path."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Call, and pass a request on."""
        if request.url.path == "/middleware":
            return PlainTextResponse(await call_async(request.query_params["id"]))
        return await call_next(request)


inner = Starlette(routes=[Route("/async", asynchronous), Route("/sync", plain)])
app = Starlette(
    routes=[
        Route("/sync", plain),
        Route("/async", asynchronous),
        Route("/stream", stream),
        Route("/stream-sync", stream_sync),
        Route("/background", background),
        Route("/background-sync", background_sync),
        Route("/wrong", wrong),
        Route("/crash", crash),
        Mount("/mounted", inner),
    ],
    exception_handlers={WrongError: on_wrong, Exception: on_crash},
)
app.add_middleware(Calling)
app.add_middleware(meshtrace.MeshTrace)
app.add_middleware(Passing)

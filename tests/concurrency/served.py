"""What a framework runs for a request: small applications that do the work in one place each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, FastAPI
from flask import Flask, after_this_request
from flask import Response as FlaskResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

import meshtrace
from tests.concurrency.ways import CAME, work, work_async

__all__ = ["SERVED", "Served"]

OK = PlainTextResponse("ok")


@dataclass(frozen=True)
class Served:
    """
    One place in which a framework runs code.

    Args:
        place: What it is called.
        serve: Serves one request, during which the work is done there.
        write: What to write where the context is not there.
        serve_written: Serves one request with that.
    """

    place: str
    serve: Callable[[], None]
    write: str = ""
    serve_written: Callable[[], None] | None = None


def _serve(app: Starlette) -> None:
    app.add_middleware(meshtrace.MeshTrace)
    _request(app)


def _request(app: ASGIApp) -> None:
    TestClient(app, raise_server_exceptions=False).get("/", headers=CAME)


def _endpoint() -> None:
    async def endpoint(_request: Request) -> Response:
        work()
        return OK

    _serve(Starlette(routes=[Route("/", endpoint)]))


def _sync_endpoint() -> None:
    def endpoint(_request: Request) -> Response:
        work()
        return OK

    _serve(Starlette(routes=[Route("/", endpoint)]))


def _sync_dependency() -> None:
    def dependency() -> None:
        work()

    app = FastAPI()
    app.get("/", dependencies=[Depends(dependency)])(lambda: "ok")
    _serve(app)


def _dependency_after_yield() -> None:
    def dependency() -> Iterator[None]:
        yield
        work()

    app = FastAPI()
    app.get("/", dependencies=[Depends(dependency)])(lambda: "ok")
    _serve(app)


def _background(task: BackgroundTask) -> None:
    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("ok", background=task)

    _serve(Starlette(routes=[Route("/", endpoint)]))


def _stream() -> None:
    def body() -> Iterator[str]:
        work()
        yield "ok"

    async def endpoint(_request: Request) -> Response:
        return StreamingResponse(body())

    _serve(Starlette(routes=[Route("/", endpoint)]))


def _async_stream() -> None:
    async def body() -> AsyncIterator[str]:
        work()
        yield "ok"

    async def endpoint(_request: Request) -> Response:
        return StreamingResponse(body())

    _serve(Starlette(routes=[Route("/", endpoint)]))


def _websocket() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        work()
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    app.add_middleware(meshtrace.MeshTrace)
    with TestClient(app).websocket_connect("/", headers={**CAME}):
        pass


async def _fail(_request: Request) -> Response:
    raise LookupError


def _error_handler(error: type[Exception] | int, *, use: bool = False) -> None:
    async def handle(request: Request, _error: Exception) -> Response:
        if use:
            with meshtrace.use(request):
                work()
        else:
            work()
        return OK

    _serve(Starlette(routes=[Route("/", _fail)], exception_handlers={error: handle}))


class _Working:
    """A middleware that works."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work()
        await self.app(scope, receive, send)


def _middleware_added_before() -> None:
    app = Starlette()
    app.add_middleware(_Working)
    _serve(app)


def _middleware_added_after() -> None:
    app = Starlette()
    app.add_middleware(meshtrace.MeshTrace)
    app.add_middleware(_Working)
    _request(app)


def _wrapped() -> None:
    app = Starlette()
    app.add_middleware(_Working)
    _request(meshtrace.MeshTrace(app))


def _flask(view: Callable[[], Any]) -> None:
    app = Flask("shop")
    app.wsgi_app = meshtrace.MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # Flask's way
    app.get("/")(view)
    app.test_client().get("/", headers=CAME).close()


def _flask_view() -> str:
    work()
    return "ok"


def _flask_stream() -> Iterator[str]:
    work()
    yield "ok"


def _flask_after() -> str:
    @after_this_request
    def after(response: FlaskResponse) -> FlaskResponse:
        work()
        return response

    return "ok"


def _flask_closing() -> FlaskResponse:
    response = FlaskResponse("ok")
    response.call_on_close(work)
    return response


SERVED = (
    Served("an endpoint of Starlette or FastAPI, `async def`", _endpoint),
    Served("an endpoint that is `def`", _sync_endpoint),
    Served("a `def` dependency of FastAPI", _sync_dependency),
    Served("what stands after its `yield`", _dependency_after_yield),
    Served("a background task, `async def`", lambda: _background(BackgroundTask(work_async))),
    Served("a background task that is `def`", lambda: _background(BackgroundTask(work))),
    Served("a generator that `StreamingResponse` sends", _stream),
    Served("an asynchronous one", _async_stream),
    Served("a websocket's endpoint", _websocket),
    Served("the handler of an exception", lambda: _error_handler(LookupError)),
    Served(
        "the handler of 500, or of `Exception`",
        lambda: _error_handler(500),
        "`with meshtrace.use(request): ...`",
        lambda: _error_handler(500, use=True),
    ),
    Served("a middleware that was added before `MeshTrace`", _middleware_added_before),
    Served(
        "one that was added after it",
        _middleware_added_after,
        "`app = MeshTrace(app)`",
        _wrapped,
    ),
    Served("a view of Flask", lambda: _flask(_flask_view)),
    Served("a generator that it returns", lambda: _flask(_flask_stream)),
    Served("`after_request`", lambda: _flask(_flask_after)),
    Served("`call_on_close`", lambda: _flask(_flask_closing)),
)
"""The places."""

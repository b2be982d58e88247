"""The applications that are asked: one of each framework, called as a server calls it."""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import django
import fastapi
import flask
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.test import create_environ

from meshtrace import MeshTrace, MeshTraceWSGI
from tests.coexistence.clients import Clients
from tests.coexistence.tracers import Tracer

__all__ = ["SERVERS", "Get"]

Get = Callable[[dict[str, str]], int]
"""Sends headers, and gives the status."""

Steps = Callable[[Callable[[], object], Callable[[], object]], None]
"""Does what is ours and what is theirs, in the order that is tried."""


def _of_asgi(app: Any) -> Get:  # noqa: ANN401 - any ASGI application
    def get(headers: dict[str, str]) -> int:
        statuses: list[int] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        asyncio.run(app(scope, receive, send))
        return statuses[0]

    return get


def _of_wsgi(app: Any) -> Get:  # noqa: ANN401 - any WSGI application
    def get(headers: dict[str, str]) -> int:
        statuses: list[int] = []

        def start_response(status: str, *_: object) -> Callable[[bytes], None]:
            statuses.append(int(status[:3]))
            return lambda _: None

        body = app(create_environ("/", headers=headers), start_response)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return statuses[0]

    return get


class _Wrapped:
    """A bare application, around which others are put."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - of ASGI or WSGI
        self.app = app

    def put(self, around: Callable[[Any], Any]) -> None:
        """Put something around it."""
        self.app = around(self.app)


def _asgi(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    async def app(_: object, __: object, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        clients.call()
        await clients.call_async()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    wrapped = _Wrapped(app)
    steps(lambda: wrapped.put(MeshTrace), lambda: wrapped.put(tracer.asgi))
    return _of_asgi(wrapped.app)


def _wsgi(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    def app(_: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's own
        clients.call_all()
        start_response("200 OK", [])
        return [b"ok"]

    wrapped = _Wrapped(app)
    steps(lambda: wrapped.put(MeshTraceWSGI), lambda: wrapped.put(tracer.wsgi))
    return _of_wsgi(wrapped.app)


def _starlette(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    async def endpoint(_: Request) -> PlainTextResponse:
        clients.call()
        await clients.call_async()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", endpoint)])
    steps(lambda: app.add_middleware(MeshTrace), lambda: tracer.starlette(app))
    return _of_asgi(app)


def _fastapi(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    app = fastapi.FastAPI()

    @app.get("/")
    async def endpoint() -> str:
        clients.call()
        await clients.call_async()
        return "ok"

    steps(lambda: app.add_middleware(MeshTrace), lambda: tracer.fastapi(app))
    return _of_asgi(app)


def _flask(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    app: Any = flask.Flask("shop")

    @app.get("/")  # type: ignore[untyped-decorator]  # its types are hidden here
    def endpoint() -> str:
        clients.call_all()
        return "ok"

    def ours() -> None:
        app.wsgi_app = MeshTraceWSGI(app.wsgi_app)

    steps(ours, lambda: tracer.flask(app))
    return _of_wsgi(app)


def _django(clients: Clients, tracer: Tracer, steps: Steps) -> Get:
    def view(_: HttpRequest) -> HttpResponse:
        clients.call_all()
        return HttpResponse("ok")

    # What ``opentelemetry-instrument`` has loaded has configured it already.
    if not settings.configured:
        settings.configure()
    urls: Any = ModuleType("urls")
    urls.urlpatterns = [path("", view)]
    settings.ALLOWED_HOSTS = ["*"]
    settings.ROOT_URLCONF = urls

    def ours() -> None:
        settings.MIDDLEWARE = ["meshtrace.inbound.django.Middleware", *settings.MIDDLEWARE]

    steps(ours, tracer.django)
    django.setup()
    return _of_wsgi(get_wsgi_application())


SERVERS: dict[str, Callable[[Clients, Tracer, Steps], Get]] = {
    "asgi": _asgi,
    "starlette": _starlette,
    "fastapi": _fastapi,
    "wsgi": _wsgi,
    "flask": _flask,
    "django": _django,
}

"""
One small application in each framework.

``/items/{item}`` answers, ``/failing`` raises `GoneError`, ``/unwell`` answers 503, and ``/stream``
streams two parts, before each of which it makes a step.
"""

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import unquote

import flask
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from meshtrace import MeshTrace, MeshTraceWSGI
from meshtrace.inbound import aiohttp as aiohttp_room
from tests.inbound import django_site
from tests.inbound.driver_aiohttp import running
from tests.otel.spans.serving import CAME

__all__ = ["HEADERS", "SHOPS", "Get", "GoneError", "Steps"]

HEADERS = {
    **CAME,
    "host": "shop:9080",
    "user-agent": "a browser",
    "x-forwarded-for": "203.0.113.9, 10.0.0.1",
}
"""What each request has."""

Get = Callable[[str], int]
"""Asks for a path, and gives the status."""


class GoneError(Exception):
    """What the applications raise."""


class Steps:
    """What is called before each part of a body."""

    step: Callable[[], object] = staticmethod(lambda: None)


def _parts() -> Iterator[bytes]:
    for _ in range(2):
        Steps.step()
        yield b"part"


async def _parts_async() -> AsyncIterator[bytes]:
    for part in _parts():
        await asyncio.sleep(0)
        yield part


async def _starlette_item(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["item"])


async def _starlette_failing(_: Request) -> PlainTextResponse:
    raise GoneError("no such thing")


async def _starlette_unwell(_: Request) -> PlainTextResponse:
    return PlainTextResponse("unwell", 503)


async def _starlette_stream(_: Request) -> StreamingResponse:
    return StreamingResponse(_parts_async())


_VIEWS = {
    "/items/{item}": _starlette_item,
    "/failing": _starlette_failing,
    "/unwell": _starlette_unwell,
    "/stream": _starlette_stream,
}


def _by_test_client(app: Any) -> Get:  # noqa: ANN401 - of either framework
    app.add_middleware(MeshTrace)
    client = TestClient(app, raise_server_exceptions=False)
    return lambda url: client.get(url, headers=HEADERS).status_code


@contextmanager
def _starlette() -> Iterator[Get]:
    yield _by_test_client(Starlette(routes=[Route(at, view) for at, view in _VIEWS.items()]))


@contextmanager
def _fastapi() -> Iterator[Get]:
    app = FastAPI(telemetry={"tracing": False})
    for at, view in _VIEWS.items():
        app.add_route(at, view)

    @app.get("/typed/{number}")
    def typed(number: int) -> int:
        return number

    yield _by_test_client(app)


@contextmanager
def _flask() -> Iterator[Get]:
    app = flask.Flask("shop")
    app.add_url_rule("/items/<item>", view_func=lambda item: item, endpoint="item")

    @app.get("/failing")
    def failing() -> str:
        raise GoneError("no such thing")

    @app.get("/unwell")
    def unwell() -> tuple[str, int]:
        return "unwell", 503

    @app.get("/stream")
    def stream() -> flask.Response:
        return flask.Response(_parts())

    app.testing = True
    app.wsgi_app = MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # as Flask says

    def get(url: str) -> int:
        try:
            with app.test_client().get(url, headers=HEADERS) as response:
                assert response.data
                return response.status_code
        except GoneError:
            return 500

    yield get


def _item(_: HttpRequest, item: str) -> HttpResponse:
    return HttpResponse(item)


def _failing(_: HttpRequest) -> HttpResponse:
    raise GoneError("no such thing")


def _unwell(_: HttpRequest) -> HttpResponse:
    return HttpResponse("unwell", status=503)


def _stream(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts())


async def _stream_async(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts_async())


class _Urls:
    urlpatterns = (
        path("items/<str:item>", _item),
        path("failing", _failing),
        path("unwell", _unwell),
        path("stream", _stream),
    )


class _AsyncUrls:
    urlpatterns = (*_Urls.urlpatterns[:3], path("stream", _stream_async))


def _site(urls: Any) -> AbstractContextManager[None]:  # noqa: ANN401 - Django has no types
    site: AbstractContextManager[None] = override_settings(
        ROOT_URLCONF=urls, MIDDLEWARE=[django_site.MIDDLEWARE]
    )
    return site


@contextmanager
def _django() -> Iterator[Get]:
    def get(url: str) -> int:
        response = Client(raise_request_exception=False).get(url, headers=HEADERS)
        b"".join(response)
        response.close()
        return int(response.status_code)

    with _site(_Urls):
        yield get


@contextmanager
def _django_async() -> Iterator[Get]:
    async def ask(url: str) -> int:
        client = AsyncClient(raise_request_exception=False)
        response = await client.get(url, headers=HEADERS)
        if response.streaming:
            assert [b"part", b"part"] == [part async for part in response.streaming_content]
        response.close()
        return int(response.status_code)

    with _site(_AsyncUrls):
        yield lambda url: asyncio.run(ask(url))


@contextmanager
def _django_inside() -> Iterator[Get]:
    def get(url: str) -> int:
        client = Client(raise_request_exception=False)
        at, _, query = url.partition("?")
        path_info = unquote(at, "latin-1")
        environ = client._base_environ(PATH_INFO=path_info, QUERY_STRING=query) | {  # noqa: SLF001 - there is no other
            f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()
        }
        said: list[str] = []

        def start_response(status: str, *_: object) -> Callable[[bytes], object]:
            said.append(status)
            return len

        body = MeshTraceWSGI(WSGIHandler())(environ, start_response)
        b"".join(body)
        body.close()  # type: ignore[attr-defined]  # Django's has it
        return int(said[0][:3])

    with _site(_Urls):
        yield get


@contextmanager
def _aiohttp() -> Iterator[Get]:
    async def item(request: web.Request) -> web.Response:
        return web.Response(text=request.match_info["item"])

    async def failing(_: web.Request) -> web.Response:
        raise GoneError("no such thing")

    async def unwell(_: web.Request) -> web.Response:
        raise web.HTTPServiceUnavailable

    async def stream(_: web.Request) -> web.Response:
        return web.Response(body=_parts_async())

    app = web.Application(middlewares=[aiohttp_room.middleware])
    for at, handler in {
        "/items/{item}": item,
        "/failing": failing,
        "/unwell": unwell,
        "/stream": stream,
    }.items():
        app.router.add_get(at, handler)

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(app)) as (host, port),
    ):

        def get(url: str) -> int:
            connection = http.client.HTTPConnection(host, port)
            # Every host name leads elsewhere.
            connection.sock = socket.socket()
            connection.sock.connect((host, port))
            connection.request("GET", url, headers=HEADERS)
            with connection.getresponse() as response:
                response.read()
                connection.close()
                return response.status

        yield get


SHOPS = {
    "Starlette": _starlette,
    "FastAPI": _fastapi,
    "Flask": _flask,
    "Django": _django,
    "Django, asynchronous": _django_async,
    "Django, inside of MeshTraceWSGI": _django_inside,
    "aiohttp.web": _aiohttp,
}
"""What serves with each framework."""

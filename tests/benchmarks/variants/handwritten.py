"""What a team writes by itself: ten names, a context variable, and a copy for each client."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx
import requests

from tests.benchmarks.variants.bare import aiohttp_session, pool_manager

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "aiohttp_session",
    "asgi",
    "headers",
    "httpx_client",
    "install",
    "pool_manager",
    "session",
    "wsgi",
]

NAMES = frozenset(
    (
        "x-request-id",
        "traceparent",
        "tracestate",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-flags",
        "x-ot-span-context",
    )
)
KEYS = {name: "HTTP_" + name.upper().replace("-", "_") for name in NAMES}

incoming: ContextVar[dict[str, str]] = ContextVar("incoming")


class ForwardingASGI:
    """Keeps the trace headers of the request while it is served."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap *app*."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        found = {}
        for raw_name, value in scope["headers"]:
            name = raw_name.decode("latin-1")
            if name in NAMES:
                found[name] = value.decode("latin-1")
        token = incoming.set(found)
        try:
            await self.app(scope, receive, send)
        finally:
            incoming.reset(token)


class ForwardingWSGI:
    """Keeps the trace headers of the request while it is served."""

    def __init__(self, app: WSGIApplication) -> None:
        """Wrap *app*."""
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        found = {}
        for name, key in KEYS.items():
            value = environ.get(key)
            if value is not None:
                found[name] = value
        token = incoming.set(found)
        try:
            return self.app(environ, start_response)
        finally:
            incoming.reset(token)


class ForwardingSession(requests.Session):
    """Copies the headers that were kept onto each request."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - as in requests
        """Send *request* with the headers of the request being served."""
        request.headers.update(incoming.get({}))
        return super().send(request, **kwargs)


def install() -> None:
    """Set nothing up."""


def asgi(app: ASGIApp) -> ASGIApp:
    """Put the middleware around *app*."""
    return ForwardingASGI(app)


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Put the middleware around *app*."""
    return ForwardingWSGI(app)


def session() -> requests.Session:
    """Make a session that copies the headers."""
    return ForwardingSession()


async def copy(request: httpx.Request) -> None:
    """Copy the headers that were kept onto a request of httpx."""
    request.headers.update(incoming.get({}))


def httpx_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make a client with an event hook that copies the headers."""
    return httpx.AsyncClient(transport=transport, event_hooks={"request": [copy]})


def headers() -> dict[str, str]:
    """Give the headers that were kept."""
    return incoming.get({})

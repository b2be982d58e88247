"""The classes of which frameworks make applications: to call one is to call the middleware."""

import functools
from collections.abc import Callable, Iterable, MutableMapping
from types import ModuleType
from typing import Any

from meshtrace import notices
from meshtrace.auto.outermost import Outermost, OutermostWSGI
from meshtrace.inbound.asgi import Receive, Scope, Send
from meshtrace.inbound.wsgi import Environ, StartResponse

__all__ = ["ADAPTERS"]

_CALLED = "meshtrace.called"
"""Where the application that was called stands, until the middleware has seen the request."""


def _noted(carrier: MutableMapping[str, Any], application: object) -> bool:
    try:
        carrier[_CALLED] = application
    except Exception:  # noqa: BLE001 - a strange carrier is the server's affair
        notices.fault("putting the middleware around an application")
        return False
    return True


def _asgi(name: str) -> Callable[[ModuleType], None]:
    def adapt(module: ModuleType) -> None:
        kind: Any = getattr(module, name)
        original = kind.__call__

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await original(scope.pop(_CALLED), scope, receive, send)

        middleware = Outermost(app)

        @functools.wraps(original, updated=())
        async def call(self: object, scope: Scope, receive: Receive, send: Send) -> None:
            if _noted(scope, self):
                await middleware(scope, receive, send)
            else:
                await original(self, scope, receive, send)

        kind.__call__ = call

    return adapt


def _wsgi(name: str) -> Callable[[ModuleType], None]:
    def adapt(module: ModuleType) -> None:
        kind: Any = getattr(module, name)
        original = kind.__call__

        def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            body: Iterable[bytes] = original(environ.pop(_CALLED), environ, start_response)
            return body

        middleware = OutermostWSGI(app)

        @functools.wraps(original, updated=())
        def call(self: object, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            if _noted(environ, self):
                return middleware(environ, start_response)
            body: Iterable[bytes] = original(self, environ, start_response)
            return body

        kind.__call__ = call

    return adapt


ADAPTERS = (
    ("starlette.applications", _asgi("Starlette")),  # and FastAPI, which calls it
    ("quart.app", _asgi("Quart")),
    ("litestar.app", _asgi("Litestar")),
    ("falcon.asgi.app", _asgi("App")),
    ("django.core.handlers.asgi", _asgi("ASGIHandler")),
    ("django.core.handlers.wsgi", _wsgi("WSGIHandler")),
    ("flask.app", _wsgi("Flask")),
    ("falcon.app", _wsgi("App")),
    ("bottle", _wsgi("Bottle")),
    ("pyramid.router", _wsgi("Router")),
)
"""A module, and what to do with it when it was imported."""

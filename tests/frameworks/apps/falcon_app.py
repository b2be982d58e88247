"""Falcon, as WSGI and as ASGI."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import falcon
import falcon.asgi

import meshtrace
from tests.frameworks.apps.calls import call, call_async


class WrongError(Exception):
    """What a handler of the application's is there for."""


class Plain:
    """Calls from a responder."""

    def on_get(self, req: Any, resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Call."""
        resp.text = call(req.get_param("id"))


class Stream:
    """Calls while the body is sent."""

    def on_get(self, req: Any, resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Give the body."""

        def body() -> Iterator[bytes]:
            yield b"a"
            yield call(req.get_param("id")).encode()

        resp.stream = body()


class Failing:
    """Fails with what the application has a handler for."""

    def on_get(self, _req: Any, _resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Fail."""
        raise WrongError


def on_wrong(req: Any, resp: Any, _error: WrongError, _params: object) -> None:  # noqa: ANN401 - two kinds of each
    """Call from an error handler."""
    resp.status = falcon.HTTP_400
    resp.text = call(req.get_param("id"))


class AsyncPlain:
    """Calls from an asynchronous responder."""

    async def on_get(self, req: Any, resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Call."""
        resp.text = await call_async(req.get_param("id"))


class AsyncStream:
    """Calls while the body is sent."""

    async def on_get(self, req: Any, resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Give the body."""

        async def body() -> AsyncIterator[bytes]:
            yield b"a"
            yield (await call_async(req.get_param("id"))).encode()

        resp.stream = body()


class AsyncFailing:
    """Fails with what the application has a handler for."""

    async def on_get(self, _req: Any, _resp: Any) -> None:  # noqa: ANN401 - two kinds of each
        """Fail."""
        raise WrongError


async def on_wrong_async(req: Any, resp: Any, _error: WrongError, _params: object) -> None:  # noqa: ANN401 - two kinds of each
    """Call from an error handler."""
    resp.status = falcon.HTTP_400
    resp.text = await call_async(req.get_param("id"))


_wsgi: Any = falcon.App()
for route, resource in (("/sync", Plain()), ("/stream", Stream()), ("/wrong", Failing())):
    _wsgi.add_route(route, resource)
_wsgi.add_error_handler(WrongError, on_wrong)
wsgi = meshtrace.MeshTraceWSGI(_wsgi)

_asgi: Any = falcon.asgi.App()
for route, responder in (
    ("/async", AsyncPlain()),
    ("/stream", AsyncStream()),
    ("/wrong", AsyncFailing()),
):
    _asgi.add_route(route, responder)
_asgi.add_error_handler(WrongError, on_wrong_async)
asgi = meshtrace.MeshTrace(_asgi)

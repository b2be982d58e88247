"""``python -m tests.auto.apps.called MODULE:APP``: call an application without any server."""

import asyncio
import importlib
import inspect
import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

REQUEST_ID = "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"


def by_wsgi(app: Any) -> bytes:  # noqa: ANN401 - of any framework
    """Give the body of the answer."""
    environ: dict[str, Any] = {"HTTP_X_REQUEST_ID": REQUEST_ID}
    setup_testing_defaults(environ)
    body = app(environ, lambda _status, _headers, _error=None: None)
    read = b"".join(body)
    getattr(body, "close", lambda: None)()
    return read


async def by_asgi(app: Any) -> bytes:  # noqa: ANN401 - of any framework
    """Give the body of the answer."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"x-request-id", REQUEST_ID.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    waiting = asyncio.Event()
    asked: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not asked:
            await waiting.wait()
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    await app(scope, receive, send)
    return b"".join(message.get("body", b"") for message in answered)


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    called = getattr(importlib.import_module(f"tests.auto.apps.{module}"), name)
    if inspect.iscoroutinefunction(type(called).__call__):
        sys.stdout.buffer.write(asyncio.run(by_asgi(called)))
    else:
        sys.stdout.buffer.write(by_wsgi(called))

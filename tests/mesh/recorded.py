"""
A service of the bookshop that writes down the headers of every request it gets.

``python -m tests.mesh.recorded``, with the service's name in ``SERVICE``. The service itself is
the demo's own; only productpage takes over all fields here, as it would behind a gateway that is
trusted with the vendors' fields too.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn
import waitress
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.bookinfo.service import export_spans, listening_socket

RECORDS = os.environ["RECORDS"]
WORKLOAD = os.environ["WORKLOAD"]


def _record(path: str, headers: Iterable[tuple[str, str]]) -> None:
    if path != "/health":
        line = json.dumps({"workload": WORKLOAD, "path": path, "headers": list(headers)}) + "\n"
        with open(RECORDS, "a", encoding="utf-8") as records:  # noqa: PTH123 - one write, one line
            records.write(line)


def recording_asgi(app: ASGIApp) -> ASGIApp:
    """Write down what comes in, then let *app* answer."""

    async def recording(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = scope["headers"]
            _record(scope["path"], [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers])
        await app(scope, receive, send)

    return recording


def recording_wsgi(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Write down what comes in, then let *app* answer."""

    def recording(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-").lower(), value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        ]
        _record(environ["PATH_INFO"], headers)
        return app(environ, start_response)

    return recording


def main() -> None:
    """Serve one service of the bookshop."""
    export_spans()
    service = os.environ["SERVICE"]
    module = importlib.import_module(f"examples.bookinfo.{service}.app")
    app = module.create_app(incoming="trust") if service == "productpage" else module.app
    if service in {"productpage", "details"}:
        waitress.serve(recording_wsgi(app), sockets=[listening_socket()], threads=16, _quiet=True)
    else:
        config = uvicorn.Config(recording_asgi(app), log_level="warning")
        uvicorn.Server(config).run(sockets=[listening_socket()])


if __name__ == "__main__":
    main()

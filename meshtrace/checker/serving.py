"""
``python -m meshtrace.checker.serving shop.main:app PORT``: a small server for one application.

It is what ``meshtrace check shop.main:app`` starts, so that an application can be checked that no
server is installed for. ASGI and WSGI applications are told apart by how they can be called.
"""

import asyncio
import contextlib
import importlib
import inspect
import signal
import socketserver
import sys
from typing import Any
from urllib.parse import unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from meshtrace.checker.http1 import Head, Wire, held

__all__ = ["find", "main"]

_GRACE = 1.0
"""In seconds: what an application may take to end."""


def find(spec: str) -> Any:  # noqa: ANN401 - an application
    """
    Import an application.

    Args:
        spec: ``module:name``; dots in the name lead further in, ``()`` calls a factory.

    Raises:
        SystemExit: It cannot be imported; says why.

    >>> find("string:Formatter.format").__name__
    'format'
    """
    module, _, name = spec.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.removesuffix("()").split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"{spec} cannot be imported: {error}") from error
    return found() if name.endswith("()") else found


def main(arguments: list[str]) -> None:
    """Serve until the end."""
    spec, port = arguments
    sys.path.insert(0, "")
    application = find(spec)
    if _is_asgi(application):
        asyncio.run(_serve_asgi(application, int(port)))
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with _Server(("127.0.0.1", int(port)), _Handler) as server:
            server.set_app(application)
            server.serve_forever()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each connection in a thread."""

    daemon_threads = True
    request_queue_size = 64


class _Handler(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def _is_asgi(application: Any) -> bool:  # noqa: ANN401 - as above
    return any(map(inspect.iscoroutinefunction, (application, type(application).__call__)))


async def _serve_asgi(application: Any, port: int) -> None:  # noqa: ANN401 - as above
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        while head := await wire.head():
            await _Exchange(wire, head).run(application)

    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    lifespan = _Lifespan()
    running = asyncio.create_task(lifespan.run(application))
    await lifespan.started.wait()
    server = await asyncio.start_server(held(serve), "127.0.0.1", port, limit=1 << 20, backlog=64)
    await asked_to_end.wait()
    server.close()
    lifespan.messages.put_nowait({"type": "lifespan.shutdown"})
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(running, _GRACE)


class _Lifespan:
    """What an application is told of the server's life."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait({"type": "lifespan.startup"})

    async def run(self, application: Any) -> None:  # noqa: ANN401 - as above
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
        }
        try:
            await application(scope, self.messages.get, self.send)
        except Exception:  # noqa: BLE001, S110 - an application need not know of it
            pass
        finally:
            self.started.set()

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.startup.failed":
            sys.exit(f"the application did not start: {message.get('message', '')}")
        self.started.set()


class _Exchange:
    """One request, and its answer."""

    def __init__(self, wire: Wire, head: Head) -> None:
        self._wire = wire
        self._head = head
        self._body: bytes | None = None
        self._started = False
        self._with_body = False

    async def run(self, application: Any) -> None:  # noqa: ANN401 - as above
        self._body = await self._wire.request_body(self._head)
        method, target, _ = self._head.start.split(" ", 2)
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in self._head.headers
            ],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        try:
            await application(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - as a server does
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            if not self._started:
                await self.send({"type": "http.response.start", "status": 500})
        if self._with_body:
            await self._wire.send(b"0\r\n\r\n")

    async def receive(self) -> dict[str, object]:
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            status = int(message["status"])
            self._with_body = not self._head.start.startswith("HEAD ") and status not in (204, 304)
            kind = "transfer-encoding: chunked" if self._with_body else "content-length: 0"
            await self._wire.send(f"HTTP/1.1 {status} {status}\r\n{kind}\r\n\r\n".encode())
        elif (body := message.get("body", b"")) and self._with_body:
            await self._wire.send(b"%x\r\n%b\r\n" % (len(body), body))


if __name__ == "__main__":
    main(sys.argv[1:])

"""
Services as a validation of W3C Trace Context wants them.

They get a POST with ``[{"url": ..., "arguments": [...]}]``, and post each of the arguments to its
URL.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import aiohttp
import httpx
import requests
import uvicorn

from meshtrace import MeshTrace, MeshTraceWSGI

__all__ = ["CLIENTS", "SERVERS", "post"]

Post = Callable[[str, str], None]


def _by_requests(url: str, body: str) -> None:
    requests.post(url, data=body, timeout=5)


def _by_httpx(url: str, body: str) -> None:
    # Reading certificates takes longer than all the rest.
    httpx.post(url, content=body, trust_env=False, verify=False)  # noqa: S501 - no TLS here


def _by_aiohttp(url: str, body: str) -> None:
    async def call() -> None:
        connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(url, data=body) as response,
        ):
            await response.read()

    asyncio.run(call())


CLIENTS: dict[str, Post] = {"requests": _by_requests, "httpx": _by_httpx, "aiohttp": _by_aiohttp}


def _call_all(path: str, body: bytes) -> None:
    call = CLIENTS[path.strip("/")]
    for one in json.loads(body):
        call(one["url"], json.dumps(one["arguments"]))


def _wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    length = int(environ["CONTENT_LENGTH"])
    _call_all(environ["PATH_INFO"], environ["wsgi.input"].read(length))
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


async def _asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    await asyncio.to_thread(_call_all, scope["path"], body)
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _serving_wsgi() -> Iterator[int]:
    with make_server("127.0.0.1", 0, MeshTraceWSGI(_wsgi), handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def _serving_asgi() -> Iterator[int]:
    app: Any = MeshTrace(_asgi)
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


SERVERS = {"ASGI": _serving_asgi, "WSGI": _serving_wsgi}


def post(port: int, path: str, lines: list[tuple[str, str]], body: str) -> None:
    """Post to a service, with header lines exactly as they are given."""
    head = [
        f"POST /{path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in lines),
    ]
    with socket.socket() as connection:
        # Every host name leads elsewhere.
        connection.connect(("127.0.0.1", port))
        connection.sendall("\r\n".join([*head, "", body]).encode("latin-1"))
        with connection.makefile("rb") as answer:
            first = answer.readline()
    assert b"200" in first, first

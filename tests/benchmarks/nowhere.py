"""
What stands below each client in the place of a network: it takes every request and answers 200.

Whatever adds a header, it is written like every other: all but `StubAdapter` write the head as the
client's own way to the network does. No socket is opened and nothing waits.
"""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, ClassVar

import h11
import httpx
import requests
import urllib3
import urllib3.connection
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "reviews"
PORT = 9080

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class StubAdapter(BaseAdapter):
    """Answers every request of requests with an empty 200, and keeps the last one."""

    last: requests.PreparedRequest

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Answer without a network."""
        self.last = request
        response = requests.Response()
        response.status_code = 200
        response.request = request
        return response

    def close(self) -> None:
        """Do nothing: there is nothing open."""


class WritingAdapter(StubAdapter):
    """Writes the head of every request, too, as every adapter that reaches a network does."""

    def __init__(self) -> None:
        """Open the connection to nowhere."""
        super().__init__()
        self._connection = _Nowhere(HOST, PORT)

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Write, and answer."""
        self._connection.write(request)
        return super().send(request)


class _Nowhere(HTTPConnection):
    """The standard library's writer, with no socket below it."""

    def connect(self) -> None:
        """Do nothing: there is nobody to connect to."""

    def send(self, data: object) -> None:
        """Forget the bytes."""

    def write(self, request: requests.PreparedRequest) -> None:
        """Write the head of one request, as urllib3 does."""
        self.close()
        self.putrequest(request.method or "GET", request.path_url)
        for name, value in request.headers.items():
            self.putheader(name, value)
        self.endheaders()


class StubTransport(httpx.AsyncBaseTransport):
    """Writes the requests of httpx as httpcore does."""

    written = b""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Write, and answer."""
        connection = h11.Connection(h11.CLIENT)
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        self.written = connection.send(head) or b""
        connection.send(h11.EndOfMessage())
        return httpx.Response(200)


class StubConnection(urllib3.connection.HTTPConnection):
    """Writes the requests of urllib3, as its parent does."""

    written: ClassVar = b""

    def connect(self) -> None:
        """Do nothing: there is nobody to connect to."""

    def send(self, data: Any) -> None:  # noqa: ANN401 - as in http.client
        """Keep the bytes."""
        StubConnection.written = data

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as its parent does
        """Answer."""
        return urllib3.HTTPResponse(b"", status=200)


class StubLoop(asyncio.SelectorEventLoop):
    """Lets aiohttp connect, through its connector for Unix sockets."""

    written = b""

    async def create_unix_connection(  # type: ignore[override]  # only what aiohttp asks for
        self, protocol_factory: Callable[[], asyncio.Protocol], _path: str
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect a protocol to nowhere."""
        protocol = protocol_factory()
        transport = _StubTransport(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol


class _StubTransport(asyncio.Transport):
    """Answers whatever is written."""

    def __init__(self, loop: StubLoop, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._closing = False

    def is_closing(self) -> bool:
        """Tell whether `close` was called."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes, and answer."""
        self._loop.written = bytes(data)
        self._protocol.data_received(_ANSWER)

    def close(self) -> None:
        """Tell the protocol."""
        self._closing = True
        self._loop.call_soon(self._protocol.connection_lost, None)

"""
HTTP/1.1 as it is on the wire: header lines in their order, their case, and as often as they came.

What the libraries' servers and clients give is folded already; a check must see every byte.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

__all__ = ["BadHTTPError", "Head", "Wire", "held", "looks_like"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_MOST = 1 << 20
_CHUNK = 1 << 16
_HTTP = re.compile(rb"[A-Za-z!#$%&'*+.^_`|~-]{1,24} \S")
_TLS = b"\x16\x03"
_HTTP2 = b"PRI * HTTP/2.0"
_WITHOUT_BODY = {204, 304}


class BadHTTPError(Exception):
    """What came is no HTTP/1, or ended in the middle."""


class Head(NamedTuple):
    """
    The beginning of a request or of an answer.

    Attributes:
        start: The first line.
        headers: Names as they came, and values without the blanks around them.
    """

    start: str
    headers: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str:
        """
        Give the first value of a header in lower case, or an empty text.

        >>> Head("GET / HTTP/1.1", (("Connection", "Close"),)).value("connection")
        'close'
        """
        return next((value for key, value in self.headers if key.lower() == name), "").lower()

    @property
    def status(self) -> int:
        """The status of an answer; 0 when there is none."""
        parts = self.start.split()
        return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def looks_like(first: bytes) -> str:
    """
    Tell what a connection speaks, by its first bytes.

    >>> looks_like(b"GET / HTTP/1.1"), looks_like(bytes([22, 3, 1])), looks_like(b"*1")
    ('http', 'tls', 'other')
    """
    if first.startswith(_HTTP2):
        return "http2"
    if first.startswith(_TLS):
        return "tls"
    return "http" if _HTTP.match(first) else "other"


class Wire:
    """
    One connection, from which one may read ahead.

    Args:
        reader: What comes.
        writer: Where answers go.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ahead = b""

    async def peek(self) -> bytes:
        """Wait for bytes, and leave them to be read; none is the end."""
        if not self.ahead:
            self.ahead = await self.reader.read(_CHUNK)
        return self.ahead

    async def head(self) -> Head | None:
        """
        Read the beginning of a message, or None at the end.

        Raises:
            BadHTTPError: It is no HTTP/1.
        """
        if not await self.peek():
            return None
        text = (await self._until(b"\r\n\r\n")).decode("latin-1")
        start, *lines = text.split("\r\n")
        pairs = (line.partition(":")[::2] for line in lines)
        return Head(start, tuple((name, value.strip(" \t")) for name, value in pairs))

    async def request_body(self, head: Head) -> bytes:
        """Read the body of a request."""
        if head.value("expect") == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._body(head) or b""

    async def response_body(self, head: Head, method: str) -> bytes:
        """Read the body of an answer, until the end of the connection if nothing else ends it."""
        if method == "HEAD" or head.status in _WITHOUT_BODY:
            return b""
        body = await self._body(head)
        if body is None:
            body = b""
            while chunk := await self._some():
                body = (body + chunk)[:_MOST]
        return body

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def join(self, other: "Wire") -> None:
        """Lead what comes here there, and the other way round, until both have ended."""
        await asyncio.gather(_copy(self, other), _copy(other, self))

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def _body(self, head: Head) -> bytes | None:
        if "chunked" in head.value("transfer-encoding"):
            return await self._chunks()
        length = head.value("content-length")
        return await self._exactly(int(length)) if length.isdecimal() else None

    async def _chunks(self) -> bytes:
        body = b""
        while size := _size(await self._until(b"\r\n")):
            body = (body + await self._exactly(size))[:_MOST]
            await self._until(b"\r\n")
        while await self._until(b"\r\n"):
            pass  # a trailer
        return body

    async def _until(self, end: bytes) -> bytes:
        while end not in self.ahead:
            await self._more()
            if len(self.ahead) > _MOST:
                raise BadHTTPError("too long")
        part, _, self.ahead = self.ahead.partition(end)
        return part

    async def _exactly(self, length: int) -> bytes:
        while len(self.ahead) < length:
            await self._more()
        part, self.ahead = self.ahead[:length], self.ahead[length:]
        return part

    async def _more(self) -> None:
        chunk = await self.reader.read(_CHUNK)
        if not chunk:
            raise BadHTTPError("the connection ended in the middle")
        self.ahead += chunk

    async def _some(self) -> bytes:
        some = await self.peek()
        self.ahead = b""
        return some


def _size(text: bytes) -> int:
    try:
        return int(text.partition(b";")[0], 16)
    except ValueError:
        raise BadHTTPError("a chunk without a size") from None


def held(handle: Handler) -> Handler:
    """
    Make a handler of a server's connections that lives as long as it has something to do.

    asyncio holds the task of a connection only while there is something to read from it: when the
    client has ended its half, the garbage collector may take the task away in the middle. And it
    logs a task that is cancelled, as at the end of a check.

    Args:
        handle: Handles one connection; it need not close it.
    """
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        with contextlib.suppress(OSError, BadHTTPError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()
        tasks.discard(task)

    return serve


async def _copy(source: Wire, target: Wire) -> None:
    with contextlib.suppress(OSError):
        while some := await source.peek():
            source.ahead = b""
            await target.send(some)
        target.writer.write_eof()

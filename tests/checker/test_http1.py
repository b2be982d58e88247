"""HTTP/1.1 as it is on the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from meshtrace.checker.http1 import BadHTTPError, Head, Wire, looks_like

T = TypeVar("T")


class _Writer:
    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        pass


def _read(data: bytes, use: Callable[[Wire], Awaitable[T]]) -> T:
    async def run() -> T:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await use(Wire(reader, _Writer()))  # type: ignore[arg-type]  # as far as needed

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"PROPFIND /", "http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM", "http2"),
        (b"\x16\x03\x01\x02\x00", "tls"),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "other"),
        (b"*1\r\n$4\r\nPING\r\n", "other"),
    ],
)
def test_what_a_connection_speaks(first: bytes, kind: str) -> None:
    """HTTP, TLS and others are told apart by their first bytes."""
    assert kind == looks_like(first)


def test_a_head() -> None:
    """Names keep their case, values their inner blanks, and lines their order and number."""
    head = _read(b"GET / HTTP/1.1\r\nB3:  a b \r\nX: 1\r\nX: 2\r\n\r\n", Wire.head)
    assert Head("GET / HTTP/1.1", (("B3", "a b"), ("X", "1"), ("X", "2"))) == head


def test_the_end_of_a_connection() -> None:
    """A connection that ends between messages has no head; one in the middle is bad."""
    assert _read(b"", Wire.head) is None
    with pytest.raises(BadHTTPError):
        _read(b"GET / HTTP/1.1\r\n", Wire.head)


def test_a_head_without_end() -> None:
    """A head has its limit."""
    with pytest.raises(BadHTTPError, match="too long"):
        _read(b"x" * (1 << 21), Wire.head)


@pytest.mark.parametrize(
    ("headers", "data", "body"),
    [
        pytest.param((), b"rest", b"", id="none"),
        pytest.param((("Content-Length", "4"),), b"bodyrest", b"body", id="by length"),
        pytest.param(
            (("Transfer-Encoding", "chunked"),),
            b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nTrailer: 1\r\n\r\nrest",
            b"body",
            id="in chunks",
        ),
    ],
)
def test_the_body_of_a_request(
    headers: tuple[tuple[str, str], ...], data: bytes, body: bytes
) -> None:
    """It ends where the headers say, and what comes after it is left."""

    async def use(wire: Wire) -> tuple[bytes, bytes]:
        return await wire.request_body(Head("POST / HTTP/1.1", headers)), await wire.peek()

    assert (body, b"rest") == _read(data, use)


def test_a_request_that_waits_to_be_asked() -> None:
    """A client that expects 100 Continue gets it."""

    async def use(wire: Wire) -> object:
        headers = (("expect", "100-continue"), ("content-length", "1"))
        await wire.request_body(Head("POST / HTTP/1.1", headers))
        return wire.writer

    writer = _read(b"x", use)
    assert isinstance(writer, _Writer)
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == writer.sent


@pytest.mark.parametrize(
    ("start", "method", "body"),
    [
        pytest.param("HTTP/1.1 200 OK", "GET", b"until the end", id="until the end"),
        pytest.param("HTTP/1.1 200 OK", "HEAD", b"", id="of HEAD"),
        pytest.param("HTTP/1.1 204 No Content", "GET", b"", id="of 204"),
        pytest.param("nonsense", "GET", b"until the end", id="without a status"),
    ],
)
def test_the_body_of_an_answer(start: str, method: str, body: bytes) -> None:
    """Without a length, it ends with the connection; some answers have none."""

    async def use(wire: Wire) -> bytes:
        return await wire.response_body(Head(start, ()), method)

    assert body == _read(b"until the end", use)


def test_a_chunk_without_a_size() -> None:
    """It is bad."""

    async def use(wire: Wire) -> bytes:
        return await wire.request_body(Head("", (("transfer-encoding", "chunked"),)))

    with pytest.raises(BadHTTPError, match="a chunk without a size"):
        _read(b"x\r\n", use)

"""The prober sends, and waits no longer than it should."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from meshtrace.checker.http1 import held
from meshtrace.checker.prober import Outcome, Prober, Request
from meshtrace.checker.probes import bare, burst
from tests.checker.judging import probe

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def _run(serve: Serve, use: Callable[[Prober], Awaitable[None]], timeout: float = 5) -> None:
    async def run() -> None:
        server = await asyncio.start_server(held(serve), "127.0.0.1", 0)
        prober = Prober("127.0.0.1", server.sockets[0].getsockname()[1], timeout)
        await use(prober)
        await prober.close()
        server.close()

    asyncio.run(run())


def _answering(*answers: bytes) -> tuple[Serve, list[bytes]]:
    """Serve one answer for each request, and keep what came."""
    left, seen = list(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            try:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError:
                return
            answer = left.pop(0)
            writer.write(answer)
            await writer.drain()
            if not answer.startswith(b"HTTP/1.1 200"):
                return

    return serve, seen


def test_the_request() -> None:
    """It has the sidecar's headers, the probe's, and those that the user wants."""
    sent = probe("zipkin, sampled")
    serve, seen = _answering(GOOD)

    async def use(prober: Prober) -> None:
        request = Request("/a?b=1", "PUT", (("Accept", "text/html"), ("end-user", "jason")))
        assert Outcome(200) == await prober.send(sent, request)

    _run(serve, use)
    lines = seen[0].decode().split("\r\n")
    assert "PUT /a?b=1 HTTP/1.1" == lines[0]
    assert {"Accept: text/html", "end-user: jason", "content-length: 0"} < {*lines}
    assert {f"{name}: {value}" for name, value in sent.fields} < {*lines}
    assert "accept: */*" not in lines


def test_one_connection() -> None:
    """Probes one after another share a connection, until the service ends it."""
    serve, seen = _answering(GOOD, GOOD, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")

    async def use(prober: Prober) -> None:
        assert [200, 200, 503] == [(await prober.send(bare(), Request())).status for _ in range(3)]
        # That one is not the service's fault: it is sent again, on a new connection.
        assert 0 == (await prober.send(bare(), Request())).status

    _run(serve, use)
    assert 3 == len(seen)


def test_at_once() -> None:
    """Several probes are sent on connections of their own."""
    arrived = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        arrived += 1
        while arrived < 12:  # noqa: ASYNC110 - all of them have to be here
            await asyncio.sleep(0.001)
        writer.write(GOOD)

    async def use(prober: Prober) -> None:
        outcomes = await prober.send_at_once(burst(), Request())
        assert [Outcome(200)] * 12 == outcomes

    _run(serve, use)


def test_early_answers() -> None:
    """An answer that tells of another one to come is not the answer."""
    serve, _ = _answering(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + GOOD)

    async def use(prober: Prober) -> None:
        assert Outcome(200) == await prober.send(bare(), Request())

    _run(serve, use)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(
            b"", Outcome(0, "the connection was closed without an answer"), id="closed at once"
        ),
        pytest.param(
            b"SSH-2.0\r\n",
            Outcome(0, "an answer that is no HTTP/1.1: the connection ended in the middle"),
            id="no HTTP",
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Outcome(200), id="ended by the connection"
        ),
    ],
)
def test_answers(answer: bytes, outcome: Outcome) -> None:
    """What is no good answer is told in words."""
    serve, _ = _answering(answer)

    async def use(prober: Prober) -> None:
        assert outcome == await prober.send(bare(), Request())

    _run(serve, use)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"", "no answer within 0.05 s"),
        (b"HTTP/1.1 200 OK\r\n\r\nx", "the answer 200 did not end within 0.05 s"),
    ],
)
def test_no_end(answer: bytes, trouble: str) -> None:
    """A service that hangs, or streams for ever, is left after a while."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await asyncio.Event().wait()

    async def use(prober: Prober) -> None:
        outcome = await prober.send(bare(), Request())
        assert (trouble, True) == (outcome.trouble, outcome.hung)

    _run(serve, use, timeout=0.05)


def test_nobody_there() -> None:
    """A service that takes no connection is told in words."""

    async def use() -> None:
        with_nobody = Prober("127.0.0.1", 1, 5)
        assert "no connection" in (await with_nobody.send(bare(), Request())).trouble

    asyncio.run(use())

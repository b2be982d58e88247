"""The recorder catches calls, and passes on what it cannot read."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from meshtrace.checker.answers import Answers
from meshtrace.checker.calls import Unseen
from meshtrace.checker.http1 import Wire, held
from meshtrace.checker.recorder import Origin, Recorder

Use = Callable[[Recorder], Awaitable[None]]
PLAIN = b"GET /a HTTP/1.1\r\nhost: reviews:9080\r\n\r\n"


async def _dial(host: str, port: int) -> Wire:
    del host
    return Wire(*await asyncio.open_connection("127.0.0.1", port))


async def _refuse(_host: str, _port: int) -> Wire:
    raise ConnectionRefusedError


@contextlib.asynccontextmanager
async def _other(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Have a server that takes whatever comes, answers, and ends."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer.startswith(b"first"):
            writer.write(answer)
        seen.append(await reader.read(1000))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def _ask(port: int, request: bytes) -> bytes:
    """Send, and read until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def _run(use: Use, **options: object) -> Recorder:
    async def run() -> Recorder:
        async with Recorder(Answers([]), **options) as recorder:  # type: ignore[arg-type]  # a test's
            recorder.port = await recorder.listen()
            await use(recorder)
            return recorder

    return asyncio.run(run())


def test_a_call() -> None:
    """It is noted as it came, and answered."""

    async def use(recorder: Recorder) -> None:
        answer = await _ask(recorder.port, PLAIN + PLAIN)
        assert 2 == answer.count(b"HTTP/1.1 200 200\r\n")
        assert answer.endswith(b"\r\n\r\n{}")

    recorder = _run(use)
    assert [("GET", "reviews", 9080, "/a", (("host", "reviews:9080"),))] * 2 == [
        (call.method, call.host, call.port, call.path, call.headers) for call in recorder.calls
    ]
    assert [0, 1] == [call.line[1] for call in recorder.calls]


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        pytest.param(
            b"GET http://ratings:9080/b?c=1 HTTP/1.1\r\nhost: x\r\n\r\n",
            ("ratings", 9080, "/b?c=1"),
            id="as to a proxy",
        ),
        pytest.param(
            b"GET http://[fd00::1] HTTP/1.1\r\n\r\n", ("fd00::1", 80, "/"), id="to a proxy, IPv6"
        ),
        pytest.param(
            b"CONNECT ratings:9080 HTTP/1.1\r\n\r\n" + PLAIN,
            ("ratings", 9080, "/a"),
            id="through a proxy",
        ),
        pytest.param(b"OPTIONS * HTTP/1.0\r\n\r\n", ("", 80, "*"), id="no host, and HTTP/1.0"),
        pytest.param(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", ("a", 80, "/"), id="HEAD"),
    ],
)
def test_where_a_call_was_going(request_: bytes, place: tuple[str, int, str]) -> None:
    """Proxies are told in the request; what was told to call here says it in the host header."""

    async def use(recorder: Recorder) -> None:
        assert b"200" in await _ask(recorder.port, request_)

    [call] = _run(use).calls
    assert place == (call.host, call.port, call.path)


def test_places() -> None:
    """A port can stand for a place, and the place of a connection can be looked up."""

    async def use(recorder: Recorder) -> None:
        port = await recorder.listen(going_to=("ratings", 9080))
        await _ask(port, PLAIN)
        port = await recorder.listen(find=lambda _: Origin(7, "details", 1))
        await _ask(port, PLAIN)
        port = await recorder.listen(find=lambda _: None)
        await _ask(port, PLAIN)

    calls = _run(use).calls
    assert [("ratings", 9080), ("details", 1), ("reviews", 9080)] == [
        (call.host, call.port) for call in calls
    ]
    assert 7 == calls[1].line[0]


def test_a_delay() -> None:
    """Answers can take their time, but not those to an exporter of spans."""

    async def use(recorder: Recorder) -> None:
        recorder.delay = 0.05
        loop = asyncio.get_running_loop()
        before = loop.time()
        await _ask(recorder.port, PLAIN)
        assert loop.time() - before >= 0.05
        recorder.delay = 60
        await _ask(recorder.port, b"POST /v1/traces HTTP/1.1\r\ncontent-length: 0\r\n\r\n")

    _run(use)


def test_quiet() -> None:
    """What is being answered is waited for."""

    async def use(recorder: Recorder) -> None:
        recorder.delay = 0.05
        asking = asyncio.create_task(_ask(recorder.port, PLAIN))
        while not recorder.calls:  # noqa: ASYNC110 - the recorder has no event for it
            await asyncio.sleep(0.001)
        await recorder.quiet(0.02)
        await asking

    assert 1 == len(_run(use).calls)


@pytest.mark.parametrize(
    ("first", "kind"),
    [(b"\x16\x03\x01", "tls"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"), (b"\0\0", "other")],
)
def test_what_is_no_http(first: bytes, kind: str) -> None:
    """It is listed, and ended when there is nowhere to pass it on to."""

    async def use(recorder: Recorder) -> None:
        port = await recorder.listen(going_to=("database", 5432))
        assert b"" == await _ask(port, first)

    recorder = _run(use)
    assert [Unseen(kind, "database", 5432)] == [*recorder.unseen]
    assert [] == recorder.calls


def test_passing_on() -> None:
    """What is no HTTP is led to where it was going, and answers come back."""

    async def use(recorder: Recorder) -> None:
        async with _other(b"pong") as (there, seen):
            port = await recorder.listen(going_to=("database", there))
            assert b"pong" == await _ask(port, b"\0ping")
            assert [b"\0ping"] == seen

    assert [True] == [unseen.passed_on for unseen in _run(use, onward=_dial).unseen]


def test_a_client_that_has_said_all() -> None:
    """A connection of which one half has ended outlives the garbage collector."""

    async def use(recorder: Recorder) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            gc.collect()
            writer.write(b"pong")
            writer.close()

        server = await asyncio.start_server(held(serve), "127.0.0.1", 0)
        there = server.sockets[0].getsockname()[1]
        port = await recorder.listen(going_to=("database", there))
        assert b"pong" == await _ask(port, b"\0ping")
        server.close()

    _run(use, onward=_dial)


def test_a_server_that_speaks_first() -> None:
    """A client that waits for the server is led to it after a while."""

    async def use(recorder: Recorder) -> None:
        async with _other(b"first, hello") as (there, _):
            port = await recorder.listen(going_to=("mysql", there))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert b"first, hello" == await reader.read(12)
            writer.write_eof()
            assert b"first, hello" == await reader.read()
            writer.close()

    assert ["other"] == [unseen.kind for unseen in _run(use, onward=_dial).unseen]


def test_passing_on_to_nobody() -> None:
    """What cannot be passed on is listed, and ended."""

    async def use(recorder: Recorder) -> None:
        port = await recorder.listen(going_to=("database", 5432))
        assert b"" == await _ask(port, b"\0ping")

    assert [False] == [unseen.passed_on for unseen in _run(use, onward=_refuse).unseen]


def test_forwarding() -> None:
    """A call is noted, sent on as it came but for the framing, and its answer comes back."""
    request = (
        b"POST http://x:80/a HTTP/1.1\r\nX-Case: Kept\r\nConnection: keep-alive\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    )

    async def use(recorder: Recorder) -> None:
        async with _other(b"HTTP/1.1 201 Created\r\n\r\n") as (there, seen):
            changed = request.replace(b"x:80", b"x:%d" % there)
            assert b"HTTP/1.1 201 Created\r\n\r\n" == await _ask(recorder.port, changed)
            [head] = seen
            assert (
                b"POST /a HTTP/1.1\r\nconnection: close\r\nX-Case: Kept\r\ncontent-length: 2\r\n"
                b"\r\nhi" == head
            )

    assert 1 == len(_run(use, forward=_dial).calls)


def test_forwarding_to_nobody() -> None:
    """The caller gets a 502."""

    async def use(recorder: Recorder) -> None:
        assert (await _ask(recorder.port, PLAIN)).startswith(b"HTTP/1.1 502")

    _run(use, forward=_refuse)


def test_what_ends_in_the_middle() -> None:
    """A connection that breaks off is no call."""

    async def use(recorder: Recorder) -> None:
        assert b"" == await _ask(recorder.port, b"GET / HTTP/1.1\r\nhost")
        assert b"" == await _ask(recorder.port, b"")

    assert [] == _run(use).calls

"""The server that every outbound call is led to: it notes the call, and answers in its place."""

import asyncio
import contextlib
import functools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self

from meshtrace.checker.answers import Answer, Answers
from meshtrace.checker.calls import Call, Unseen
from meshtrace.checker.http1 import Head, Wire, held, looks_like

__all__ = ["Dial", "Origin", "Recorder"]

Dial = Callable[[str, int], Awaitable[Wire]]
"""Opens a connection to a host and a port; raises OSError."""

_SILENCE = 1.0
"""In seconds: after that, a connection waits for the other side to speak first."""

_LIMIT = 1 << 20
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "upgrade"}
_authority = re.compile(r"(?:\w+://)?(\[[^\]]*\]|[^:/?]*)(?::(\d+))?(.*)").fullmatch


class Origin(NamedTuple):
    """
    Where a connection comes from, and where it was going.

    Attributes:
        own_port: The port that it has in the service.
        host: The host that was meant; empty where only the request can tell.
        port: Its port.
    """

    own_port: int
    host: str = ""
    port: int = 0


class Recorder:
    """
    Catches calls.

    Args:
        answers: What is answered.
        forward: Opens the connection that an HTTP call is passed on to; None answers instead.
        onward: Likewise for what is no HTTP; None ends such a connection.

    Attributes:
        calls: What was caught.
        unseen: What could not be read.
        window: Set to tell what is going on; noted with each call.
        delay: Set to let answers take so long, in seconds: calls made at once then overlap.
        port: Where calls arrive that were told to come here.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        forward: Dial | None = None,
        onward: Dial | None = None,
    ) -> None:
        self.calls: list[Call] = []
        self.unseen: dict[Unseen, None] = {}
        self.window = -1
        self.delay = 0.0
        self.port = 0
        self._answers = answers
        self._forward = forward
        self._onward = onward
        self._servers: list[asyncio.Server] = []
        self._requests: Counter[int] = Counter()
        self._open = 0
        self._last = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for server in self._servers:
            server.close()

    async def listen(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        going_to: tuple[str, int] = ("", 0),
        find: Callable[[int], Origin | None] | None = None,
    ) -> int:
        """
        Take connections at one more place.

        Args:
            host: Where to listen.
            port: The port; 0 is any.
            going_to: The host and port that is meant by those who come here.
            find: Gives the origin of a connection by its peer's port, instead.

        Returns:
            The port.

        Raises:
            OSError: The port is in use.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername")[1]
            origin = find(peer) if find else Origin(peer, *going_to)
            await self._speak(Wire(reader, writer), origin or Origin(peer))

        server = await asyncio.start_server(held(serve), host, port, limit=_LIMIT)
        self._servers.append(server)
        listening: int = server.sockets[0].getsockname()[1]
        return listening

    async def quiet(self, seconds: float) -> None:
        """Wait until no call came, and none was being answered, for so long."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while self._open or loop.time() - max(since, self._last) < seconds:  # noqa: ASYNC110 - what is waited for is time
            await asyncio.sleep(seconds / 4)

    async def _speak(self, wire: Wire, origin: Origin) -> None:
        if self._onward is None:
            first = await wire.peek()
        else:
            try:
                first = await asyncio.wait_for(wire.peek(), _SILENCE)
            except TimeoutError:
                first = b"?"  # a server that speaks first, as MySQL does
        kind = looks_like(first)
        if kind == "http":
            while await self._request(wire, origin):
                pass
        elif first:
            await self._pass_on(wire, origin, kind)

    async def _request(self, wire: Wire, origin: Origin) -> bool:
        """Take one request; tell whether another one may follow."""
        head = await wire.head()
        if head is None:
            return False
        method, target, _ = (*head.start.split(" ", 2), "", "")[:3]
        if method == "CONNECT":
            host, port, _ = _parts(target)
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await self._speak(wire, Origin(origin.own_port, host, port or 443))
            return False
        body = await wire.request_body(head)
        call = self._note(head, method, target, origin, body)
        self._open += 1
        try:
            # What goes to a collector is waited for by nobody.
            if self.delay and not call.is_telemetry:
                await asyncio.sleep(self.delay)
            if self._forward is not None:
                await self._send_on(wire, call, self._forward)
                return False
            return await _answer(wire, head, self._answers.to(call.host, call.port, call.path))
        finally:
            self._open -= 1
            self._last = asyncio.get_running_loop().time()

    def _note(self, head: Head, method: str, target: str, origin: Origin, body: bytes) -> Call:
        host, port = origin.host, origin.port
        path = target
        if not target.startswith(("/", "*")):
            # As it is told to a proxy.
            host, port, path = _parts(target)
            port = port or 80
        elif not host:
            host, port, _ = _parts(head.value("host"))
        line = (origin.own_port, self._requests[origin.own_port])
        self._requests[origin.own_port] += 1
        call = Call(method, host, port or 80, path or "/", head.headers, body, self.window, line)
        self.calls.append(call)
        return call

    async def _send_on(self, wire: Wire, call: Call, forward: Dial) -> None:
        try:
            other = await forward(call.host, call.port)
        except OSError:
            await _answer(wire, Head("", ()), Answer(502, "text/plain", b""))
            return
        try:
            headers = [pair for pair in call.headers if pair[0].lower() not in _HOP_BY_HOP]
            lines = [f"{call.method} {call.path} HTTP/1.1", "connection: close"]
            lines += [f"{name}: {value}" for name, value in headers]
            if "chunked" in call.header("transfer-encoding").lower():
                lines = [text for text in lines if not text.lower().startswith("transfer-encod")]
                lines.append(f"content-length: {len(call.body)}")
            await other.send("\r\n".join([*lines, "", ""]).encode("latin-1") + call.body)
            while some := await other.peek():
                other.ahead = b""
                await wire.send(some)
        finally:
            await other.close()

    async def _pass_on(self, wire: Wire, origin: Origin, kind: str) -> None:
        other = None
        if self._onward is not None and origin.host:
            with contextlib.suppress(OSError):
                other = await self._onward(origin.host, origin.port)
        self.unseen[Unseen(kind, origin.host, origin.port, other is not None)] = None
        if other is not None:
            try:
                await wire.join(other)
            finally:
                await other.close()


async def _answer(wire: Wire, head: Head, answer: Answer) -> bool:
    keep = head.start.endswith("HTTP/1.1") and head.value("connection") != "close"
    lines = (
        f"HTTP/1.1 {answer.status} {answer.status}",
        f"content-type: {answer.kind}",
        f"content-length: {len(answer.body)}",
        f"connection: {'keep-alive' if keep else 'close'}",
    )
    body = b"" if head.start.startswith("HEAD ") else answer.body
    await wire.send("\r\n".join([*lines, "", ""]).encode() + body)
    return keep


@functools.cache
def _parts(target: str) -> tuple[str, int, str]:
    match = _authority(target)
    host, port, path = match.groups() if match else ("", None, target)
    return host.strip("[]"), int(port or 0), path

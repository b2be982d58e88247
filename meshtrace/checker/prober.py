"""Sends the probes, and waits for the answers no longer than it should."""

import asyncio
from dataclasses import dataclass

from meshtrace.checker.http1 import BadHTTPError, Wire
from meshtrace.checker.probes import Probe

__all__ = ["Outcome", "Prober", "Request"]


@dataclass(frozen=True)
class Request:
    """
    What is asked of the service, beside the trace headers.

    Attributes:
        path: Path and query.
        method: The method.
        headers: More headers.
        body: The body.
    """

    path: str = "/"
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True)
class Outcome:
    """
    How a probe ended.

    Attributes:
        status: The answer's status; 0 when none came.
        trouble: What went wrong, in words; empty when nothing did.
    """

    status: int
    trouble: str = ""

    @property
    def hung(self) -> bool:
        """Whether time ran out."""
        return "within" in self.trouble


class Prober:
    """
    Sends probes to one service.

    One after another they share a connection, as a sidecar's do: what a service leaves behind on it
    is seen then.

    Args:
        host: Where the service listens.
        port: Its port.
        timeout: The longest to wait for an answer, in seconds; may be changed.
        authority: What the ``host`` header says; None is the host and the port.
    """

    def __init__(self, host: str, port: int, timeout: float, authority: str | None = None) -> None:
        self._host = host
        self._port = port
        self.timeout = timeout
        self._authority = authority or f"{host}:{port}"
        self._wire: Wire | None = None

    async def send(self, probe: Probe, request: Request) -> Outcome:
        """Send one probe on the connection that all of them share."""
        reused = self._wire is not None
        try:
            self._wire = self._wire or await self._connect()
            outcome, keep = await self._exchange(self._wire, probe, request)
        except OSError as error:
            outcome, keep = Outcome(0, f"no connection: {error.strerror or error}"), False
        if not keep:
            await self.close()
        if reused and outcome.status == 0 and not outcome.hung:
            # The service may have ended the connection just then, as it may at any time.
            return await self.send(probe, request)
        return outcome

    async def send_at_once(self, probes: list[Probe], request: Request) -> list[Outcome]:
        """Send all of them at the same time, each on a connection of its own."""
        return list(await asyncio.gather(*(self._alone(probe, request) for probe in probes)))

    async def close(self) -> None:
        """End the connection."""
        if self._wire is not None:
            wire, self._wire = self._wire, None
            await wire.close()

    async def _alone(self, probe: Probe, request: Request) -> Outcome:
        other = Prober(self._host, self._port, self.timeout, self._authority)
        try:
            return await other.send(probe, request)
        finally:
            await other.close()

    async def _connect(self) -> Wire:
        return Wire(*await asyncio.open_connection(self._host, self._port, limit=1 << 20))

    async def _exchange(self, wire: Wire, probe: Probe, request: Request) -> tuple[Outcome, bool]:
        status = 0
        try:
            async with asyncio.timeout(self.timeout):
                await wire.send(self._bytes(probe, request))
                head = await wire.head()
                while head is not None and head.status // 100 == 1:
                    head = await wire.head()
                if head is None:
                    return Outcome(0, "the connection was closed without an answer"), False
                status = head.status
                await wire.response_body(head, request.method)
                return Outcome(status), _stays(head.start, head.value("connection"))
        except TimeoutError:
            what = f"the answer {status} did not end" if status else "no answer"
            return Outcome(status, f"{what} within {self.timeout:g} s"), False
        except BadHTTPError as error:
            return Outcome(status, f"an answer that is no HTTP/1.1: {error}"), False

    def _bytes(self, probe: Probe, request: Request) -> bytes:
        own = {name.lower() for name, _ in request.headers}
        headers = [pair for pair in probe.headers(self._authority) if pair[0] not in own] + [
            *request.headers
        ]
        if request.body or request.method in {"POST", "PUT", "PATCH"}:
            headers.append(("content-length", str(len(request.body))))
        lines = [f"{request.method} {request.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def _stays(start: str, connection: str) -> bool:
    return start.startswith("HTTP/1.1") and connection != "close"

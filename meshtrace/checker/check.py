"""One check, from the start of the service to the calls that it made."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from meshtrace.checker.advice import where_to_listen
from meshtrace.checker.attribution import Window, assign
from meshtrace.checker.calls import Call, Unseen
from meshtrace.checker.effect import Effect
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.http1 import Wire
from meshtrace.checker.isolation.environment import MARK, environment
from meshtrace.checker.isolation.inside import Inside
from meshtrace.checker.isolation.namespace import Outside
from meshtrace.checker.judged import Endpoint, judge
from meshtrace.checker.notes import Notes
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Outcome
from meshtrace.checker.process import Service
from meshtrace.checker.recorder import Dial, Recorder
from meshtrace.checker.sending import Sender

__all__ = ["Checked", "check"]

_COLLECTORS = {4317, 4318, 8126, 9411, 14250, 14268}
"""The ports of OTLP, Datadog's agent, Zipkin and Jaeger."""

_EXPORTERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables that say where an SDK exports to: gRPC's own connections are not redirected."""

_EXPORT = 2.0
"""In seconds: how late spans may be exported."""

Progress = Callable[[str], None]


@dataclass
class Checked:
    """
    What a check has seen.

    Attributes:
        endpoints: The places that were called, with all that was judged.
        windows: What was sent.
        outcomes: How each probe ended, by its name.
        unseen: What could not be read.
        ignored: How many calls went to hosts that are not judged.
        telemetry: Calls to collectors of spans or metrics, which are not judged.
        redirected: Whether a Python interpreter was redirected.
        output: The last lines of what the service said, where it was started here.
    """

    endpoints: list[Endpoint] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    telemetry: list[Call] = field(default_factory=list)
    ignored: int = 0
    redirected: bool = False
    output: list[str] = field(default_factory=list)


async def check(plan: Plan, outside: Outside | None, progress: Progress) -> Checked:
    """
    Check one service.

    Args:
        plan: What to do.
        outside: Given inside the namespace: the line to the process outside.
        progress: Told what is going on.

    Raises:
        CannotCheckError: There is nothing to see.
    """
    async with contextlib.AsyncExitStack() as stack:
        run = _Run(plan, outside, progress)
        await run.prepare(stack)
        if plan.listen is not None:
            await run.send_all(*plan.url, lambda: None)
        else:
            async with run.service() as service:
                host, port = await run.start(service)
                await run.send_all(host, port, service.check)
                run.output = service.lines()
        return run.result()


class _Run:
    def __init__(self, plan: Plan, outside: Outside | None, progress: Progress) -> None:
        self._plan = plan
        self._outside = outside
        self._progress = progress
        self._redirects = outside is None and plan.listen is None
        self._recorder = Recorder(plan.answers, forward=self._forward(), onward=self._onward())
        self._notes = Notes(self._place)
        self._inside: Inside | None = None
        self.output: list[str] = []
        self._control = 0
        self._free = 0
        self._sender = Sender(plan, self._recorder, progress, self._learn)

    async def prepare(self, stack: contextlib.AsyncExitStack) -> None:
        """Have all that listens, before the service starts."""
        recorder = await stack.enter_async_context(self._recorder)
        if self._outside is not None:
            self._inside = Inside(recorder)
            await stack.enter_async_context(self._inside.network())
        try:
            recorder.port = await recorder.listen(*(self._plan.listen or ("127.0.0.1", 0)))
        except OSError as error:
            host, port = self._plan.listen or ("127.0.0.1", 0)
            raise CannotCheckError(
                f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}"
            ) from None
        self._control = await self._notes.listen()
        stack.callback(self._notes.close)

    def service(self) -> Service:
        """Give the service, not started yet."""
        plan = self._plan
        if plan.port is not None and not _is_free(plan.port):
            raise CannotCheckError(f"port {plan.port} is in use already, by something else")
        self._free = plan.port or _free_port()
        command = plan.command or (
            *(sys.executable, "-m", "meshtrace.checker.serving", plan.application, "{port}"),
        )
        variables = environment(
            {name: self._fill(value) for name, value in plan.environment.items()},
            control=self._control,
            recorder=self._recorder.port,
            redirect=self._redirects,
        )
        return Service([self._fill(word) for word in command], variables, MARK)

    async def start(self, service: Service) -> tuple[str, int]:
        """Wait until the service listens, and give the place."""
        self._progress("waiting for the service to listen")
        words = (*self._plan.command, *self._plan.environment.values())
        told = self._plan.application or any("{port}" in word for word in words)
        try:
            place = await service.listens(
                self._free if told else self._plan.port, self._plan.start_timeout
            )
        except CannotCheckError as error:
            advice = "" if told else where_to_listen(self._plan.command)
            raise CannotCheckError(str(error), error.output, advice) from None
        if self._inside is not None:
            self._inside.loopback.open()
        return place

    async def send_all(self, host: str, port: int, after_each: Callable[[], None]) -> None:
        """Send every probe."""
        await self._sender.send_all(host, port, after_each)
        await self._wait_for_exports()

    def result(self) -> Checked:
        """Give what was seen."""
        self._notes.attach(self._recorder.calls)
        judged = [
            call
            for call in self._recorder.calls
            if not call.is_telemetry and call.host not in self._plan.ignored
        ]
        telemetry = [call for call in self._recorder.calls if call.is_telemetry]
        return Checked(
            self._judge(judged),
            self._sender.windows,
            self._sender.outcomes,
            list(self._recorder.unseen),
            telemetry,
            len(self._recorder.calls) - len(judged) - len(telemetry),
            any(hello["redirect"] for hello in self._notes.hellos),
            self.output,
        )

    def _judge(self, calls: list[Call]) -> list[Endpoint]:
        probes = [probe for window in self._sender.windows for probe in window.probes]
        return judge(assign(self._sender.windows, calls), probes, self._is_exported)

    async def _wait_for_exports(self) -> None:
        """Give an exporter the time to tell of the spans that calls were seen to name."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _EXPORT
        while loop.time() < deadline and any(  # noqa: ASYNC110 - nobody tells of what does not come
            effect.code == "phantom" for effect in self._effects()
        ):
            await asyncio.sleep(_EXPORT / 10)

    def _effects(self) -> list[Effect]:
        calls = [call for call in self._recorder.calls if not call.is_telemetry]
        return [
            effect
            for endpoint in self._judge(calls)
            for judged in endpoint.judged
            for effect in judged.effects
        ]

    def _is_exported(self, span_id: str) -> bool:
        """Tell whether a span was exported; what cannot be read counts as an export."""
        return (
            any(call.names_span(span_id) for call in self._recorder.calls if call.is_telemetry)
            or any(unseen.port in _COLLECTORS for unseen in self._recorder.unseen)
            or (
                self._redirects
                and any(map({**os.environ, **self._plan.environment}.get, _EXPORTERS))
            )
        )

    def _forward(self) -> Dial | None:
        return self._dial_forward if self._plan.forward_to else None

    def _onward(self) -> Dial | None:
        if self._plan.forward_to:
            return self._dial_forward
        return _dial if self._redirects else None

    async def _dial_forward(self, _host: str, port: int) -> Wire:
        host, _, own_port = self._plan.forward_to.partition(":")
        dial = _dial if self._outside is None else self._outside.dial
        return await dial(host, int(own_port or port))

    async def _learn(self) -> bool:
        return self._inside is not None and await self._inside.loopback.learn()

    async def _place(self, host: str, port: int) -> int:
        return await self._recorder.listen(going_to=(host, port))

    def _fill(self, text: str) -> str:
        return text.replace("{recorder}", f"127.0.0.1:{self._recorder.port}").replace(
            "{port}", str(self._free)
        )


async def _dial(host: str, port: int) -> Wire:
    reader, writer = await asyncio.open_connection(host, port)
    return Wire(reader, writer)


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port

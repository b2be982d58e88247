"""Sends all probes of a check, and waits for the calls that come of each."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from meshtrace.checker.attribution import Window
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Outcome, Prober, Request
from meshtrace.checker.probes import Probe, burst, make
from meshtrace.checker.recorder import Recorder

__all__ = ["Sender"]

_QUIET = 0.08
"""In seconds: when no call came for so long, no more will come."""

_LATE = 1.5
"""In seconds: how late the first call of all may come after the answer."""

_OVERLAP = 0.05
"""In seconds: how long calls are kept waiting, so that those of several requests overlap."""

_PATIENCE = 1.0
"""In seconds: what a probe gets once another one has run out of time."""

_MOST_LESSONS = 8


class Sender:
    """
    Sends the probes of one check.

    Args:
        plan: What to send.
        recorder: Where the calls are caught.
        progress: Told what is sent.
        learn: Called after each probe; tells whether something stood in the way of its calls that
            no longer does, so that it is sent again.

    Attributes:
        windows: What was sent.
        outcomes: How each probe ended, by its name.
    """

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        progress: Callable[[str], None],
        learn: Callable[[], Awaitable[bool]],
    ) -> None:
        self.windows: list[Window] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self._plan = plan
        self._recorder = recorder
        self._progress = progress
        self._learn = learn
        self._calm = 0.0

    async def send_all(self, host: str, port: int, after_each: Callable[[], None]) -> None:
        """
        Send every probe.

        Args:
            host: Where the service listens.
            port: Its port.
            after_each: Called after each one.
        """
        plan = self._plan
        prober = Prober(host, port, plan.timeout)
        try:
            for request in plan.requests:
                for probe in make(plan.providers, odd=plan.odd):
                    self._progress(f"{request.path}: {probe.name}")
                    if (await self._send(prober, probe, request)).hung:
                        prober.timeout = min(prober.timeout, _PATIENCE)
                    after_each()
                self._progress(f"{request.path}: twelve at once")
                await self._send_at_once(prober, burst(plan.providers), request)
                after_each()
        finally:
            await prober.close()

    async def _send(self, prober: Prober, probe: Probe, request: Request) -> Outcome:
        window = len(self.windows)
        self.windows.append(Window((probe,), request.path))
        for _ in range(_MOST_LESSONS):
            self._recorder.window = window
            outcome = await prober.send(probe, request)
            await self._quiet()
            if not await self._learn():
                break
            # What came of it does not count.
            self._recorder.calls[:] = [
                call for call in self._recorder.calls if call.window != window
            ]
        self.outcomes.append((probe.name, outcome))
        return outcome

    async def _send_at_once(self, prober: Prober, probes: list[Probe], request: Request) -> None:
        self._recorder.window = len(self.windows)
        self._recorder.delay = _OVERLAP
        self.windows.append(Window(tuple(probes), request.path))
        outcomes = await prober.send_at_once(probes, request)
        await self._quiet()
        self._recorder.delay = 0.0
        self.outcomes += [
            (probe.name, outcome) for probe, outcome in zip(probes, outcomes, strict=True)
        ]

    async def _quiet(self) -> None:
        """Wait for what is still to come; the first time tells how late that may be."""
        if not self._calm:
            self._calm = _QUIET + 2 * await self._lateness()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._plan.timeout):
                await self._recorder.quiet(self._calm)

    async def _lateness(self) -> float:
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while not self._recorder.calls and loop.time() - answered < _LATE:  # noqa: ASYNC110 - what may not come has no event
            await asyncio.sleep(_QUIET / 4)
        return loop.time() - answered if self._recorder.calls else 0.0

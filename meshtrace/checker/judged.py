"""All calls of a check, judged, and put together by the place that they go to."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from meshtrace.checker.attribution import Made
from meshtrace.checker.calls import Call
from meshtrace.checker.effect import Effect, effects
from meshtrace.checker.probes import BARE, Probe
from meshtrace.checker.verdict import Row, compare

__all__ = ["AT_ONCE", "Endpoint", "Judged", "judge"]

AT_ONCE = "twelve at once"
"""What the probes are called together that are sent at the same time."""

_variable = re.compile(r"(?<=/)(?:\d+|[0-9a-fA-F-]{8,})(?=/|$)")


@dataclass(frozen=True)
class Judged:
    """
    One call, and what is to be said of it.

    Attributes:
        call: The call.
        probe: The probe that it was made for.
        at_once: Whether that was sent together with others.
        rows: What became of each header.
        effects: What that does to the trace.
    """

    call: Call
    probe: Probe
    at_once: bool
    rows: tuple[Row, ...]
    effects: tuple[Effect, ...]

    @property
    def sent_as(self) -> str:
        """The probe's name in the report."""
        return AT_ONCE if self.at_once else self.probe.name


@dataclass
class Endpoint:
    """
    One place that the service calls.

    Attributes:
        method: The method.
        url: The address, with ``*`` for what differs from call to call.
        nth: Which of several calls to it, from 1.
        path: What the service was asked for.
        judged: The calls.
    """

    method: str
    url: str
    nth: int
    path: str
    judged: list[Judged] = field(default_factory=list)

    def __str__(self) -> str:
        number = "" if self.nth == 1 else f" (call {self.nth} of a request)"
        return f"{self.method} {self.url}{number}"


def judge(
    made: Iterable[Made], probes: Iterable[Probe], is_exported: Callable[[str], bool]
) -> list[Endpoint]:
    """
    Judge all calls.

    Args:
        made: The calls, with their probes.
        probes: All probes.
        is_exported: Tells whether a span was exported by the application.
    """
    everyone = list(probes)
    grouped: dict[tuple[str, str, str, int], list[Judged]] = defaultdict(list)
    counts: dict[tuple[Probe, str, str, str], int] = defaultdict(int)
    for each in made:
        call, probe = each.call, each.probe
        others = {known for other in everyone if other is not probe for known in other.ids}

        def is_foreign(value: str, others: set[str] = others) -> bool:
            lower = value.lower()
            return any(known in lower for known in others)

        rows = tuple(compare(probe, call.headers, is_foreign))
        at_once = len(each.window.probes) > 1
        judged = Judged(call, probe, at_once, rows, tuple(effects(probe, rows, is_exported)))
        place = (call.method, _place(call), each.window.path)
        counts[(probe, *place)] += 1
        grouped[(*place, counts[(probe, *place)])].append(judged)
    return [
        Endpoint(method, _common(url, judged), nth, path, judged)
        for (method, url, path, nth), judged in grouped.items()
    ]


def is_bare(judged: Judged) -> bool:
    """Tell whether a call was made for a request that brought nothing."""
    return judged.probe.name == BARE


def _place(call: Call) -> str:
    return _variable.sub("*", _url(call))


def _url(call: Call) -> str:
    host = f"[{call.host}]" if ":" in call.host else call.host
    port = "" if call.port == 80 else f":{call.port}"  # noqa: PLR2004 - HTTP's own
    return f"http://{host}{port}{call.path.partition('?')[0]}"


def _common(place: str, judged: list[Judged]) -> str:
    urls = {_url(each.call) for each in judged}
    return urls.pop() if len(urls) == 1 else place

"""All calls of a check, judged, and put together by the place that they go to."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from meshtrace.checker.alignment import align
from meshtrace.checker.attribution import Made
from meshtrace.checker.calls import Call
from meshtrace.checker.effect import Effect, effects
from meshtrace.checker.probes import BARE, Probe
from meshtrace.checker.verdict import Row, compare

__all__ = ["AT_ONCE", "Endpoint", "Judged", "judge"]

AT_ONCE = "twelve at once"
"""What the probes are called together that are sent at the same time."""


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
    places: dict[tuple[str, str], list[Made]] = defaultdict(list)
    for each in made:
        places[each.call.place, each.window.path].append(each)
    return [
        _endpoint(path, nth, [_judged(each, everyone, is_exported) for each in column])
        for (_, path), to_one_place in places.items()
        for nth, column in enumerate(align(to_one_place), 1)
    ]


def _judged(made: Made, probes: list[Probe], is_exported: Callable[[str], bool]) -> Judged:
    probe = made.probe
    others = {known for other in probes if other is not probe for known in other.ids}

    def is_foreign(value: str) -> bool:
        lower = value.lower()
        return any(known in lower for known in others)

    rows = tuple(compare(probe, made.call.headers, is_foreign))
    at_once = len(made.window.probes) > 1
    return Judged(made.call, probe, at_once, rows, tuple(effects(probe, rows, is_exported)))


def _endpoint(path: str, nth: int, judged: list[Judged]) -> Endpoint:
    call = judged[0].call
    urls = {each.call.url for each in judged}
    url = urls.pop() if len(urls) == 1 else call.place.partition(" ")[2]
    return Endpoint(call.method, url, nth, path, judged)


def is_bare(judged: Judged) -> bool:
    """Tell whether a call was made for a request that brought nothing."""
    return judged.probe.name == BARE

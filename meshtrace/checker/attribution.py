"""
Which call was made for which probe.

A call is a probe's when it carries the probe's ids, or came while the probe was served. The two can
disagree: a task of the background calls late, and keeps the ids; a context kept in a global gives
one request's ids to the calls of another. What tells them apart is the number of calls: after late
calls everybody has as many as the others, after mixed ones some have too many and others too few.
They are counted for each place that is called: what one request calls, another one need not.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from meshtrace.checker.calls import Call
from meshtrace.checker.probes import Probe

__all__ = ["Made", "Window", "assign"]


@dataclass(frozen=True)
class Window:
    """
    One or several probes that were served at the same time.

    Attributes:
        probes: The probes.
        path: What was asked for.
    """

    probes: tuple[Probe, ...]
    path: str


@dataclass(frozen=True)
class Made:
    """
    A call, and the probe that it was made for.

    Attributes:
        call: The call.
        probe: The probe.
        window: What the probe was one of.
    """

    call: Call
    probe: Probe
    window: Window

    @cached_property
    def carries_ids(self) -> bool:
        """Whether the call carries any id of its probe."""
        return _carries(self.call, self.probe)


def assign(windows: Sequence[Window], calls: Iterable[Call]) -> list[Made]:
    """
    Find the probe of each call.

    Args:
        windows: What was sent, in order; a call's ``window`` counts them.
        calls: What was caught. Calls that came before the first window are left out.
    """
    caught: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.window >= 0:
            caught[windows[call.window].path, call.place].append(call)
    made = []
    for (path, _), to_one_place in caught.items():
        here = {number: window for number, window in enumerate(windows) if window.path == path}
        made += _share_out(here, to_one_place)
    return made


def _share_out(windows: dict[int, Window], calls: list[Call]) -> list[Made]:
    home = {probe: window for window in windows.values() for probe in window.probes}
    usual = max(1, round(len(calls) / len(home)))
    missing = Counter(dict.fromkeys(home, usual))
    probe_of: dict[int, Probe] = {}
    left_over = []
    owners = {id(call): _owner(call, home, windows[call.window]) for call in calls}
    # What has the ids of its own window first: what is too much is then what came elsewhere.
    for call in sorted(calls, key=lambda call: owners[id(call)] not in windows[call.window].probes):
        owner = owners[id(call)]
        if owner is not None and (missing[owner] > 0 or windows[call.window].probes == (owner,)):
            missing[owner] -= 1
            probe_of[id(call)] = owner
        else:
            left_over.append(call)
    # Those first that can be of their own window.
    left_over.sort(key=lambda call: _most_in_want(windows[call.window].probes, missing) is None)
    for call in left_over:
        here = windows[call.window].probes
        before = [
            probe
            for number, window in windows.items()
            if number < call.window
            for probe in window.probes
        ]
        probe = _most_in_want(here, missing) or _most_in_want(before, missing)
        # With everybody served, it is one more call of its owner's, or of who was being served.
        probe = probe or owners[id(call)] or max(here, key=missing.__getitem__)
        missing[probe] -= 1
        probe_of[id(call)] = probe
    return [Made(call, probe_of[id(call)], home[probe_of[id(call)]]) for call in calls]


def _owner(call: Call, probes: Iterable[Probe], window: Window) -> Probe | None:
    """Give the probe whose ids a call carries; with those of several, rather one of its window."""
    owners = [probe for probe in probes if _carries(call, probe)]
    owners.sort(key=lambda probe: probe not in window.probes)
    return owners[0] if owners else None


def _carries(call: Call, probe: Probe) -> bool:
    text = "\n".join(value for _, value in call.headers).lower()
    return any(known in text for known in probe.ids)


def _most_in_want(probes: Sequence[Probe], missing: Counter[Probe]) -> Probe | None:
    most = max(probes, key=missing.__getitem__, default=None)
    return most if most is not None and missing[most] > 0 else None

"""Judges made-up calls without any service."""

from collections.abc import Iterable

from meshtrace.checker.attribution import Made, Window
from meshtrace.checker.calls import Call, Note
from meshtrace.checker.check import Checked
from meshtrace.checker.judged import Endpoint, judge
from meshtrace.checker.probes import ODD, Probe, make

Fields = Iterable[tuple[str, str]]

FACTS = {"disabled": False, "middleware": True, "used": True, "tracers": []}


def probe(name: str) -> Probe:
    """Make the probe of a name."""
    if name in ODD:
        return ODD[name]()
    provider = name.partition(",")[0]
    providers = [provider] if provider != "no trace headers" else []
    return next(probe for probe in make(providers) if probe.name == name)


def call(
    headers: Fields,
    *,
    host: str = "reviews",
    path: str = "/reviews/0",
    window: int = 0,
    note: Note | None = None,
) -> Call:
    """Make a call."""
    return Call("GET", host, 80, path, tuple(headers), window=window, note=note)


def without(fields: Fields, *names: str) -> list[tuple[str, str]]:
    """Leave some headers out."""
    return [pair for pair in fields if pair[0] not in names]


def changed(fields: Fields, **values: str) -> list[tuple[str, str]]:
    """Give some headers other values; underscores stand for dashes."""
    others = {name.replace("_", "-"): value for name, value in values.items()}
    return [(name, others.get(name, value)) for name, value in fields]


def judged(probe: Probe, headers: Fields, *exported: str, note: Note | None = None) -> Endpoint:
    """Judge one call that was made for a probe."""
    made = Made(call(headers, note=note), probe, Window((probe,), "/"))
    [endpoint] = judge([made], [probe], lambda span: span in exported)
    return endpoint


def checked(*endpoints: Endpoint) -> Checked:
    """Put endpoints together."""
    windows = [
        Window((each.probe,), endpoint.path) for endpoint in endpoints for each in endpoint.judged
    ]
    return Checked([*endpoints], windows)

"""
What a sidecar would send: the headers of one request, as each of Envoy's tracers makes them.

The shapes are those of requests captured behind a real Envoy 1.40: the names, their order and case,
the mark of the sampling decision in the 15th character of ``x-request-id``. The ids are new.
"""

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["BARE", "BURST", "ODD", "PROVIDERS", "Probe", "bare", "burst", "make"]

Fields = tuple[tuple[str, str], ...]

BURST = 12
"""So many requests at once."""

BARE = "no trace headers"

_SAMPLED, _UNSAMPLED = "sampled", "unsampled"
_MARKS = {True: "9", False: "4"}
"""What Envoy makes of the 15th character of a request id that it samples, or does not."""


@dataclass(frozen=True, eq=False)
class Probe:
    """
    One request to send; no two are the same.

    Attributes:
        name: What it is called in the report.
        fields: The trace headers, in order.
        reads: The formats that the Envoy of this provider reads, the one it prefers first.
        stale: Names of headers that Envoy let through from outside; they may go on, or not.
        malformed: Names of headers that must not go on.
        ids: What tells this request from every other.
    """

    name: str
    fields: Fields
    reads: tuple[str, ...] = ()
    stale: frozenset[str] = frozenset()
    malformed: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()

    def headers(self, host: str) -> Fields:
        """
        Give all headers of the request, the sidecar's others included.

        >>> [name for name, _ in bare().headers("shop:8000")]
        ['host', 'user-agent', 'accept', 'x-forwarded-proto', 'x-envoy-expected-rq-timeout-ms']
        """
        return (
            ("host", host),
            ("user-agent", "meshtrace-check"),
            ("accept", "*/*"),
            ("x-forwarded-proto", "http"),
            *((name, value) for name, value in self.fields if name == "x-request-id"),
            ("x-envoy-expected-rq-timeout-ms", "15000"),
            *((name, value) for name, value in self.fields if name != "x-request-id"),
        )


class _Ids:
    """The ids of one request, all new."""

    def __init__(self) -> None:
        self.trace = uuid.uuid4().hex
        self.span = uuid.uuid4().hex[16:]
        self.parent = uuid.uuid4().hex[16:]
        self._request = str(uuid.uuid4())

    def request(self, *, sampled: bool) -> tuple[str, str]:
        marked = f"{self._request[:14]}{_MARKS[sampled]}{self._request[15:]}"
        return ("x-request-id", marked)

    def b3(self, sampled: str = "", *, bits: int = 128) -> Fields:
        ids = (
            ("x-b3-traceid", self.trace[-bits // 4 :]),
            ("x-b3-spanid", self.span),
            ("x-b3-parentspanid", self.parent),
        )
        return (*ids, ("x-b3-sampled", sampled)) if sampled else ids

    def traceparent(self, flags: str) -> tuple[str, str]:
        return ("traceparent", f"00-{self.trace}-{self.span}-{flags}")


Maker = Callable[[_Ids, bool], Fields]


def _zipkin(ids: _Ids, sampled: bool) -> Fields:  # noqa: FBT001 - one of a table of functions
    return ids.b3("01"[sampled])


def _opentelemetry(ids: _Ids, sampled: bool) -> Fields:  # noqa: FBT001 - as above
    return (ids.traceparent(("00", "01")[sampled]), ("tracestate", ""))


def _zipkin_w3c(ids: _Ids, sampled: bool) -> Fields:  # noqa: FBT001 - as above
    return (*_zipkin(ids, sampled), ids.traceparent(("00", "01")[sampled]))


def _datadog(ids: _Ids, sampled: bool) -> Fields:  # noqa: FBT001 - as above
    priority = ("-1", "1")[sampled]
    decision = ("", ",_dd.p.dm=-0")[sampled]
    return (
        ("x-datadog-trace-id", str(int(ids.trace[16:], 16))),
        ("x-datadog-parent-id", str(int(ids.span, 16))),
        ("x-datadog-sampling-priority", priority),
        ("x-datadog-tags", f"_dd.p.tid={ids.trace[:16]}{decision}"),
        ids.traceparent(("00", "01")[sampled]),
        ("tracestate", f"dd=s:{priority};p:{ids.span}"),
    )


def _skywalking(ids: _Ids, _sampled: bool) -> Fields:  # noqa: FBT001 - as above
    # Base 64 of ASCII digits: the ids are told apart, and need not be decoded.
    return (("sw8", f"1-{ids.trace}-{ids.parent}-1-c2hvcA==-c2hvcA==-Lw==-MTI3LjAuMC4xOjgw"),)


_READS: dict[str, tuple[str, ...]] = {
    "zipkin": ("b3",),
    "opentelemetry": ("w3c",),
    "zipkin-w3c": ("b3", "w3c"),
    "datadog": ("w3c", "datadog"),
    "skywalking": ("sw8",),
}
_MAKERS: dict[str, Maker] = {
    "zipkin": _zipkin,
    "opentelemetry": _opentelemetry,
    "zipkin-w3c": _zipkin_w3c,
    "datadog": _datadog,
    "skywalking": _skywalking,
}
PROVIDERS = tuple(_MAKERS)
"""The tracing providers of a mesh; the first two are tried unless others are named."""

_DEFAULT = PROVIDERS[:2]

ODD: dict[str, Callable[[], Probe]] = {}
"""What is seldom seen: by name, what makes a probe of it."""


def make(providers: Iterable[str] = _DEFAULT, *, odd: bool = False) -> list[Probe]:
    """
    Make the probes that are sent one after another.

    Args:
        providers: Names of `PROVIDERS`.
        odd: Whether to add what is seldom seen: `ODD`.

    >>> [probe.name for probe in make(["zipkin"])]
    ['zipkin, sampled', 'zipkin, unsampled', 'no trace headers']
    """
    probes = []
    for provider in providers:
        probes.append(_of(provider, sampled=True))
        # Without sampling, SkyWalking's tracer sends no header at all.
        if provider != "skywalking":
            probes.append(_of(provider, sampled=False))
    if odd:
        probes += [maker() for maker in ODD.values()]
    return [*probes, bare()]


def burst(providers: Iterable[str] = _DEFAULT, number: int = BURST) -> list[Probe]:
    """
    Make the probes that are sent at once, each with ids of its own.

    >>> len({probe.fields for probe in burst()})
    12
    """
    turns: Iterator[str] = itertools.cycle(providers)
    return [_of(next(turns), sampled=True) for _ in range(number)]


def bare() -> Probe:
    """Make the request of one who is outside the mesh: it brings no trace headers."""
    return Probe(BARE, ())


def _of(provider: str, *, sampled: bool) -> Probe:
    ids = _Ids()
    fields = (ids.request(sampled=sampled), *_MAKERS[provider](ids, sampled))
    name = f"{provider}, {_SAMPLED if sampled else _UNSAMPLED}"
    return Probe(name, fields, _READS[provider], ids=_told_by(ids, fields))


def _told_by(ids: _Ids, fields: Fields) -> frozenset[str]:
    """Give the ids that may be looked for in a call: each is long enough to be no accident."""
    opaque = {value for name, value in fields if name in {"x-request-id", "x-datadog-trace-id"}}
    return frozenset({ids.trace, ids.trace[16:], ids.span} | opaque)


def _odd(name: str, reads: str) -> Callable[[Callable[[_Ids], "_Oddity"]], None]:
    def register(maker: Callable[[_Ids], _Oddity]) -> None:
        def probe() -> Probe:
            ids = _Ids()
            made = maker(ids)
            fields = (ids.request(sampled=True), *made.fields)
            return Probe(
                name, fields, (reads,), made.stale, made.malformed, ids=_told_by(ids, fields)
            )

        ODD[name] = probe

    return register


@dataclass(frozen=True)
class _Oddity:
    fields: Fields
    stale: frozenset[str] = frozenset()
    malformed: frozenset[str] = frozenset()


@_odd("zipkin, not decided yet", "b3")
def _deferred(ids: _Ids) -> _Oddity:
    return _Oddity(ids.b3())


@_odd("b3, not decided yet", "b3")
def _deferred_single(ids: _Ids) -> _Oddity:
    return _Oddity((("b3", f"{ids.trace}-{ids.span}"),))


@_odd("b3, do not sample, without ids", "b3")
def _denied(_ids: _Ids) -> _Oddity:
    return _Oddity((("b3", "0"),))


@_odd("b3, debug", "b3")
def _debug(ids: _Ids) -> _Oddity:
    return _Oddity((("b3", f"{ids.trace}-{ids.span}-d-{ids.parent}"),))


@_odd("zipkin, 64 bit", "b3")
def _short(ids: _Ids) -> _Oddity:
    return _Oddity(ids.b3("1", bits=64))


@_odd("zipkin, beside a stale traceparent", "b3")
def _stale_traceparent(ids: _Ids) -> _Oddity:
    stale = _Ids().traceparent("00")
    return _Oddity((*ids.b3("1"), stale), stale=frozenset({"traceparent"}))


@_odd("zipkin, beside a stale b3", "b3")
def _stale_b3(ids: _Ids) -> _Oddity:
    # As Envoy before 1.40 lets it through: what it names is the parent of what x-b3-* name.
    stale = ("b3", f"{ids.trace}-{ids.parent}-1")
    return _Oddity((stale, *ids.b3("1")), stale=frozenset({"b3"}))


@_odd("opentelemetry, beside stale x-b3-*", "w3c")
def _stale_b3_multi(ids: _Ids) -> _Oddity:
    stale = _Ids().b3("0")
    fields = (*_opentelemetry(ids, sampled=True), *stale)
    return _Oddity(fields, stale=frozenset(name for name, _ in stale))


@_odd("opentelemetry, malformed", "w3c")
def _malformed_traceparent(ids: _Ids) -> _Oddity:
    bad = ("traceparent", f"00-{ids.trace}-{ids.span}")
    return _Oddity((bad,), malformed=frozenset({"traceparent"}))


@_odd("zipkin, malformed", "b3")
def _malformed_b3(ids: _Ids) -> _Oddity:
    bad = (("x-b3-traceid", f"{ids.trace[:-1]}x"), *ids.b3("1")[1:])
    return _Oddity(bad, malformed=frozenset(name for name, _ in bad))

"""
What a real Envoy handed an application goes out again, byte for byte.

The captures in tests/data are the headers that an application got from its sidecar: 784 requests to
Envoy 1.40.0, 186 to 1.36.4, with several tracers, sampled and not, with whatever a client may have
sent. What is expected is worked out here, from the captures and two tables; nothing of meshtrace's
own judgement is used.

Needs no fixture: tests/test_sham.py also runs it by itself.
"""

import json
import operator
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.relay.journeys import through_asgi, through_wsgi

DATA = Path(__file__).parent / "data"

RELAYED = {
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "x-datadog-origin",
    "sw8",
    "sw8-x",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-ot-span-context",
}
"""What is relayed to a host of the mesh when nothing else is asked for."""

X_B3 = {"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"}
B3 = {"b3"}
W3C = {"traceparent", "tracestate"}

EVERY_TRACER = frozenset({"datadog", "otel-http", "zipkin", "zipkin-w3c"})
NOT_ZIPKIN = frozenset({"datadog", "otel-http"})
"""Zipkin's tracers make good B3 of what these let through."""
NOT_W3C = frozenset({"otel-http", "zipkin"})
"""The one lets a bad ``traceparent`` through, the other every one; the rest write a good one."""
ZIPKIN = frozenset({"zipkin"})

OLDER = frozenset({"1.36.4"})
NEWER = frozenset({"1.40.0"})


class LeftOut(NamedTuple):
    """Fields that arrive in a case, and do not go out again."""

    case: str
    tracers: frozenset[str]
    fields: set[str]
    why: str
    envoys: frozenset[str] = OLDER | NEWER
    protocols: frozenset[str] = frozenset({"ASGI", "WSGI"})


LEFT_OUT = [
    # docs/rules.md, "What is dropped": a malformed format is left out whole, and the others go on.
    LeftOut("tp-empty", NOT_W3C, W3C, "no traceparent: empty"),
    LeftOut("tp-garbage", NOT_W3C, W3C, "no traceparent: hello"),
    LeftOut("tp-malformed-b3-good", NOT_W3C, W3C, "no traceparent: 00-bad; B3 goes on"),
    LeftOut("tp-short", NOT_W3C, W3C, "no traceparent: 54 characters"),
    LeftOut("tp-nothex", NOT_W3C, W3C, "no traceparent: the trace id is not hex"),
    LeftOut("tp-zero-trace", NOT_W3C, W3C, "no traceparent: a zero trace id"),
    LeftOut("tp-zero-span", NOT_W3C, W3C, "no traceparent: a zero span id"),
    LeftOut("tp-v00-more", NOT_W3C, W3C, "no traceparent: version 00 has no more fields"),
    LeftOut("tp-v01-more", NOT_W3C, W3C, "a traceparent, but it poisons the next Envoy"),
    LeftOut("tp-vff", ZIPKIN, W3C, "no traceparent: there is no version ff"),
    LeftOut("tracestate-alone", ZIPKIN, W3C, "a tracestate goes only with its traceparent"),
    LeftOut("b3s-empty", EVERY_TRACER, B3, "no b3: empty"),
    LeftOut("b3s-garbage", EVERY_TRACER, B3, "no b3: hello"),
    LeftOut("b3s-badflag", EVERY_TRACER, B3, "no b3: the decision is an x"),
    LeftOut("b3m-20chars", EVERY_TRACER, X_B3, "no B3: a trace id of 20 digits"),
    LeftOut("b3m-nothex", EVERY_TRACER, X_B3, "no B3: the trace id is not hex"),
    LeftOut("b3m-zero-trace", EVERY_TRACER, X_B3, "no B3: a zero trace id, which Zipkin's keeps"),
    LeftOut(
        "b3m-zero-trace",
        frozenset({"zipkin-w3c"}),
        W3C,
        "no traceparent: the tracer made it from the zero trace id",
        NEWER,
    ),
    LeftOut("b3m-short", NOT_ZIPKIN, X_B3, "no B3: a trace id of 15 digits"),
    LeftOut("b3m-no-span", NOT_ZIPKIN, X_B3, "no B3: a trace id without a span id"),
    # docs/rules.md, "One line for each name": lines that differ are malformed.
    LeftOut("b3m-twice", NOT_ZIPKIN, X_B3, "two lines that differ"),
    LeftOut("tp-twice-different", ZIPKIN, W3C, "two lines that differ"),
    # An environ does not tell two lines from one with a comma, and equal lines are one.
    LeftOut(
        "tp-joined-comma", NOT_W3C, W3C, "two values in one line", protocols=frozenset({"ASGI"})
    ),
    # docs/rules.md, "stale": an older Envoy leaves b3 as the client sent it and refreshes x-b3-*.
    *(
        LeftOut(case, ZIPKIN, B3, "stale: x-b3-* beside it are alive", OLDER)
        for case in (
            "b3s-0",
            "b3s-1",
            "b3s-64",
            "b3s-64-deferred",
            "b3s-d",
            "b3s-deferred",
            "b3s-only-0",
            "b3s-only-1",
            "b3s-only-d",
            "b3s-parent",
            "both-b3s-b3m-different",
            "both-b3s0-only-tp01",
        )
    ),
]


ONE_LINE = {
    # docs/rules.md, "One line for each name": a list is joined, and equal lines are one.
    ("tp-tracestate-2lines", "tracestate"): {"zipkin", "zipkin-w3c"},
    ("tp-twice-same", "traceparent"): {"zipkin"},
}
"""Fields that arrive in two lines and go out in one: case and field, to the tracers."""


class Capture(NamedTuple):
    """The headers of one request, as a client sent them and as an application got them."""

    envoy: str
    tracer: str
    case: str
    entry: str
    random_sampling: str
    inbound: list[tuple[str, str]]

    def __str__(self) -> str:
        return (
            f"Envoy {self.envoy}, {self.tracer}, through the {self.entry}, "
            f"random sampling {self.random_sampling}: {self.case}"
        )


def _captures() -> Iterable[Capture]:
    for path in sorted(DATA.glob("envoy-*.json")):
        for capture in json.loads(path.read_text(encoding="ascii")):
            yield Capture(
                path.stem.removeprefix("envoy-"),
                capture["tracer"],
                capture["case"],
                capture["entry"],
                str(capture["random_sampling"]),
                [(name, value) for name, value in capture["inbound"]],
            )


CAPTURES = list(_captures())


def _applies(rule: LeftOut, capture: Capture) -> bool:
    return (
        rule.case == capture.case
        and capture.tracer in rule.tracers
        and capture.envoy in rule.envoys
    )


def _expected(capture: Capture, protocol: str) -> dict[str, str]:
    left_out: set[str] = set()
    for rule in LEFT_OUT:
        if _applies(rule, capture) and protocol in rule.protocols:
            left_out |= rule.fields
    lines: dict[str, list[str]] = {}
    for name, value in capture.inbound:
        # An empty value is never sent: Envoy's OpenTelemetry tracer writes an empty tracestate.
        if name in RELAYED - left_out and value:
            lines.setdefault(name, []).append(value)
    return {name: _one_line(name, ",".join(values)) for name, values in lines.items()}


def _one_line(name: str, line: str) -> str:
    """Lines of a list are one line; equal lines of a field without commas are one."""
    if name in {"tracestate", "x-datadog-tags"}:
        return line
    (value,) = {value.strip() for value in line.split(",")}
    return value


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_what_came_by_asgi_goes_out(capture: Capture) -> None:
    """Each capture leaves an ASGI application as it came, but for what the table says."""
    assert [_expected(capture, "ASGI")] == through_asgi(capture.inbound)


@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_what_came_by_wsgi_goes_out(capture: Capture) -> None:
    """Each capture leaves a WSGI application as it came, but for what the table says."""
    assert [_expected(capture, "WSGI")] == through_wsgi(capture.inbound)


def test_no_capture_is_missing() -> None:
    """There are 784 captures of Envoy 1.40.0 and 186 of 1.36.4, all different."""
    assert {"1.40.0": 784, "1.36.4": 186} == Counter(capture.envoy for capture in CAPTURES)
    assert len(CAPTURES) == len(set(map(str, CAPTURES)))


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, id=f"{rule.case}: {rule.why}") for rule in LEFT_OUT]
)
def test_what_is_left_out_had_come(rule: LeftOut) -> None:
    """Each line of the table takes something out of every capture that it is about."""
    captures = [capture for capture in CAPTURES if _applies(rule, capture)]
    assert rule.envoys == {capture.envoy for capture in captures}
    assert rule.tracers == {capture.tracer for capture in captures}
    assert all(rule.fields & {name for name, _ in capture.inbound} for capture in captures)


def test_what_is_made_one_line_had_come_in_two() -> None:
    """The second table names every field that arrives in several lines and goes out."""
    tracers = defaultdict(set)
    for capture in CAPTURES:
        lines = Counter(name for name, _ in capture.inbound)
        for name in _expected(capture, "ASGI"):
            if lines[name] > 1:
                tracers[capture.case, name].add(capture.tracer)
    assert ONE_LINE == tracers


@pytest.mark.parametrize("protocol", ["ASGI", "WSGI"])
def test_most_captures_go_out_as_they_came(protocol: str) -> None:
    """All but 98 of the 970 go out with every relayed field that came and was not empty."""
    came = [
        [(name, value) for name, value in capture.inbound if name in RELAYED and value]
        for capture in CAPTURES
    ]
    goes = [[*_expected(capture, protocol).items()] for capture in CAPTURES]
    assert 98 == sum(map(operator.ne, came, goes))

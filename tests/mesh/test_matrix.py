"""
What clients send, under every tracer, with spans of the services' own.

A trace stays one: the services' spans hang from Envoy's and Envoy's from theirs, whatever else is
in the headers, and no span's parent is one that nobody reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from http import HTTPStatus

import msgpack  # type: ignore[import-untyped]  # it has no types
import pytest

from examples.bookinfo.runner import collector
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.sidecars import TRACERS
from examples.bookinfo.runner.spans import Span
from examples.bookinfo.runner.verdict import Hop
from tests.mesh.lab import RECORDED, Lines, Seen, look
from tests.mesh.lab import TRACERS as MORE_TRACERS

pytestmark = pytest.mark.envoy

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER_TRACE, OTHER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

DATADOG_FLUSHES = 2.5
"""In so many seconds Envoy's Datadog tracer has handed over its spans."""

# A request that came without any trace gets one from the first service that makes a span.
SERVICES = tuple(
    dataclasses.replace(
        service,
        environment={**service.environment, "OTEL_TRACES_SAMPLER": "parentbased_always_on"},
    )
    for service in RECORDED
)


def _traceparent(trace: str = TRACE, span: str = SPAN, flags: str = "01") -> tuple[str, str]:
    return "traceparent", f"00-{trace}-{span}-{flags}"


def _b3(trace: str = TRACE, span: str = SPAN, decision: str = "-1") -> tuple[str, str]:
    return "b3", f"{trace}-{span}{decision}"


def _datadog(trace: str = TRACE, priority: str = "1") -> Lines:
    upper, lower = trace[:-16], trace[-16:]
    return [
        ("x-datadog-trace-id", str(int(lower, 16))),
        ("x-datadog-parent-id", str(int(SPAN, 16))),
        *[("x-datadog-sampling-priority", priority)] * bool(priority),
        *[("x-datadog-tags", f"_dd.p.tid={upper}")] * bool(upper),
    ]


ZIPKIN: dict[str, Lines] = {
    "agree": [_b3(), _traceparent()],
    "disagree": [_b3(), _traceparent(OTHER_TRACE, OTHER_SPAN)],
    "64 bit": [_b3(TRACE[16:])],
    "defer": [_b3(decision="")],
    "debug": [_b3(decision="-d")],
    "deny": [_b3(decision="-0")],
    "malformed": [("b3", "hello")],
}
LINES: dict[str, dict[str, Lines]] = {
    "zipkin": ZIPKIN,
    "zipkin-w3c": ZIPKIN,
    "opentelemetry": {
        "agree": [_traceparent(), _b3()],
        "disagree": [_traceparent(), _b3(OTHER_TRACE, OTHER_SPAN)],
        "64 bit": [_traceparent(TRACE[16:].zfill(32)), _b3(TRACE[16:])],
        "defer": [_traceparent(), _b3(decision="")],
        "debug": [_traceparent(), _b3(decision="-d")],
        "deny": [_traceparent(flags="00")],
        "malformed": [_traceparent(span="0" * 16)],
    },
    "datadog": {
        "agree": [_traceparent(), *_datadog()],
        "disagree": [_traceparent(), *_datadog(), _b3(OTHER_TRACE, OTHER_SPAN)],
        "64 bit": _datadog(TRACE[16:]),
        "defer": _datadog(priority=""),
        "debug": [_traceparent(), *_datadog(priority="2"), _b3(decision="-d")],
        "deny": [_traceparent(flags="00"), *_datadog(priority="0")],
        "malformed": [("x-datadog-trace-id", "hello"), _traceparent(span="0" * 16)],
    },
}


def _from_datadog(body: bytes) -> list[Span]:
    """Read what the Datadog tracer sends; its agent drops traces that were not to be kept."""
    return [
        Span(
            trace_id=f"{span['trace_id']:016x}",
            span_id=f"{span['span_id']:016x}",
            parent_id=f"{span['parent_id']:016x}" if span["parent_id"] else None,
            workload=span["service"],
            operation=span["resource"],
            kind=_kind(span["service"], span["resource"]),
            start=span["start"] // 1000,
            duration=span["duration"] // 1000,
            tags=span["meta"],
        )
        for chunk in msgpack.unpackb(body)
        if chunk[0]["metrics"]["_sampling_priority_v1"] > 0
        for span in chunk
    ]


def _kind(workload: str, operation: str) -> str:
    """Tell it by the name of the listener's route: Datadog's spans do not say."""
    served = "productpage" if workload == "gateway" else workload.partition("-")[0]
    return "SERVER" if operation.startswith(f"{served}:") else "CLIENT"


@pytest.fixture(scope="module", params=sorted(LINES))
def tracer_and_mesh(request: pytest.FixtureRequest) -> Iterator[tuple[str, Mesh]]:
    """Give the bookshop with spans of its own, under each tracer."""
    tracer: str = request.param
    with pytest.MonkeyPatch.context() as patch:
        reader = (_from_datadog, HTTPStatus.OK)
        patch.setitem(collector.ENDPOINTS, "/v0.4/traces", reader)
        file = TRACERS.get(tracer) or MORE_TRACERS[tracer]
        with Mesh(tracer=file, services=SERVICES, spans=True) as mesh:
            # The probes that came before any request have made spans, too.
            mesh.collector.wait_until_quiet()
            yield tracer, mesh


def _look(mesh: Mesh, lines: Lines, *, spans: int | None = None) -> Seen:
    """Look at the page; Datadog and 64 bit B3 name only the lower half of a trace id."""
    seen = look(mesh, lines, spans=spans)
    shortened = [dataclasses.replace(span, trace_id=span.trace_id[-16:]) for span in seen.spans]
    return dataclasses.replace(seen, spans=shortened)


@pytest.mark.parametrize("case", ["agree", "disagree", "64 bit", "defer", "debug"])
def test_one_whole_trace_below_the_client(tracer_and_mesh: tuple[str, Mesh], case: str) -> None:
    """Whatever else came, the trace that Envoy reads is joined, all spans nested, no orphan."""
    tracer, mesh = tracer_and_mesh
    seen = _look(mesh, LINES[tracer][case])
    assert [seen.whole] == seen.shapes
    tops = [(trace.trace_id, top.parent_id) for trace in seen.traces for top in trace.tops]
    assert [(TRACE[16:], SPAN)] == tops


def test_a_denial_leaves_no_span(tracer_and_mesh: tuple[str, Mesh]) -> None:
    """A client that wants no trace gets none, neither of an Envoy nor of a service."""
    tracer, mesh = tracer_and_mesh
    seen = look(mesh, LINES[tracer]["deny"], spans=0)
    quiet = DATADOG_FLUSHES if tracer == "datadog" else 0.5
    assert HTTPStatus.OK == seen.status
    assert [] == mesh.collector.wait_until_quiet(quiet)


def test_what_is_malformed_breaks_no_trace(tracer_and_mesh: tuple[str, Mesh]) -> None:
    """Envoy's Datadog tracer starts over; others make no span, and the first service does."""
    tracer, mesh = tracer_and_mesh
    starts_over = tracer == "datadog"
    seen = _look(mesh, LINES[tracer]["malformed"], spans=None if starts_over else 9)
    assert [seen.whole if starts_over else _from_the_first_service_on(seen)] == seen.shapes
    assert [None] == [top.parent_id for trace in seen.traces for top in trace.tops]


def _from_the_first_service_on(seen: Seen) -> Hop:
    (to_page,) = seen.whole.below
    (inbound,) = to_page.below
    (page,) = inbound.below
    return page

"""What Envoys report, read as spans and traces."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from examples.bookinfo.runner.spans import Span, Trace, from_otlp, from_zipkin, traces

SPAN = Span(
    trace_id="80f198ee56343ba864fe8b2a57d3eff7",
    span_id="e457b5a2e4d86bd1",
    parent_id="05e3ac9a4f6e3b90",
    workload="reviews-v2",
    operation="ratings:9080/*",
    kind="CLIENT",
    start=1_700_000_000_000_000,
    duration=1500,
    tags={"guid:x-request-id": "1234", "response_flags": "DI", "http.status_code": "200"},
)


def _span(span_id: str, parent_id: str | None, *, start: int = 0, trace_id: str = "t") -> Span:
    return Span(trace_id, span_id, parent_id, "w", "o", "SERVER", start, 1)


def test_zipkin_json_is_read() -> None:
    """A Zipkin v2 span gives all that we show, with its tags."""
    body = [
        {
            "traceId": SPAN.trace_id,
            "id": SPAN.span_id,
            "parentId": SPAN.parent_id,
            "localEndpoint": {"serviceName": SPAN.workload},
            "name": SPAN.operation,
            "kind": SPAN.kind,
            "timestamp": SPAN.start,
            "duration": SPAN.duration,
            "tags": SPAN.tags,
        }
    ]
    (read,) = from_zipkin(json.dumps(body).encode())
    assert read == SPAN
    assert read.tags == SPAN.tags


def test_otlp_is_read() -> None:
    """An OTLP span, its ids in bytes and its times in nanoseconds, gives the same."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    name = resource_spans.resource.attributes.add(key="service.name")
    name.value.string_value = SPAN.workload
    span = resource_spans.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(SPAN.trace_id),
        span_id=bytes.fromhex(SPAN.span_id),
        parent_span_id=bytes.fromhex(SPAN.parent_id or ""),
        name=SPAN.operation,
        kind=OtlpSpan.SPAN_KIND_CLIENT,
        start_time_unix_nano=SPAN.start * 1000,
        end_time_unix_nano=(SPAN.start + SPAN.duration) * 1000,
    )
    for key, value in SPAN.tags.items():
        span.attributes.add(key=key).value.string_value = value
    (read,) = from_otlp(request.SerializeToString())
    assert read == SPAN
    assert read.tags == SPAN.tags


def test_an_otlp_root_has_no_parent() -> None:
    """No parent span id, in OTLP an empty one, is none."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(span_id=b"12345678")
    (read,) = from_otlp(request.SerializeToString())
    assert read.parent_id is None


def test_spans_are_sorted_into_traces() -> None:
    """Spans with one trace id make one trace, in the order in which they began."""
    first, second = _span("a", None, start=1), _span("b", "a", start=2)
    other = _span("c", None, start=0, trace_id="u")
    assert [Trace("u", (other,)), Trace("t", (first, second))] == traces([second, first, other])


def test_an_orphan_is_a_span_whose_parent_nobody_reported() -> None:
    """A root is no orphan, and neither is a child of a span that is there."""
    root, child, orphan = _span("a", None), _span("b", "a"), _span("c", "nobody")
    trace = Trace("t", (root, child, orphan))
    assert [orphan] == trace.orphans
    assert [root, orphan] == trace.tops
    assert [child] == trace.children(root)


@pytest.mark.parametrize(
    ("tags", "notes"),
    [
        pytest.param({"response_flags": "-", "http.status_code": "200"}, [], id="all well"),
        pytest.param({"response_flags": "DI"}, ["fault: delayed"], id="a delay"),
        pytest.param(
            {"response_flags": "FI", "http.status_code": "500"},
            ["fault: aborted", "status 500"],
            id="an abort",
        ),
        pytest.param({"http.status_code": "0"}, [], id="no response"),
        pytest.param({}, [], id="no tags"),
    ],
)
def test_what_is_unusual_is_noted(tags: dict[str, str], notes: list[str]) -> None:
    """Envoy's response flags and a status of 400 and more are put in words."""
    assert notes == Span("t", "s", None, "w", "o", "SERVER", 0, 1, tags).notes

"""OpenTelemetry's server instrumentations beside meshtrace, inside it and outside."""

from collections.abc import Callable, Iterator

import pytest
import requests
from opentelemetry import context, trace
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.opentelemetry.applications import REVIEWS, Application, Telemetry, Wire

TRACE = "80f198ee56343ba864fe8b2a57d3eff7"
SPAN = "e457b5a2e4d86bd1"
PARENT = "05e3ac9a4f6e3b90"
REQUEST_ID = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
B3 = {
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}

MakeSession = Callable[[], requests.Session]

CAME: list[dict[str, str]] = [
    {**REQUEST_ID, **TRACEPARENT, "tracestate": "a=1, b=2"},
    {},
    {**REQUEST_ID, **B3},
    {**REQUEST_ID, **TRACEPARENT, **B3, "tracestate": "a=1"},
    # A decision alone, a decision put off, debug with a parent id, 64 bit ids.
    {"b3": "0"},
    {**TRACEPARENT, "b3": "0"},
    {"b3": f"{TRACE}-{SPAN}"},
    {**B3, "x-b3-sampled": "0"},
    {"b3": f"{TRACE}-{SPAN}-d-{PARENT}"},
    {**B3, "x-b3-traceid": TRACE[16:]},
    {"traceparent": f"00-{TRACE}-{SPAN}-00"},
    # Two traces in one request.
    {**TRACEPARENT, "x-b3-traceid": SPAN, "x-b3-spanid": PARENT},
    {"x-datadog-trace-id": "1", "x-datadog-parent-id": "2", "sw8": "1-a"},
    {},
]
"""What requests bring, one after the other."""

THRICE = [came for came in CAME for _ in range(3)]
"""Every application calls three times for each request."""


def test_what_came_is_relayed(
    application: Application, telemetry: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """What came goes out, byte for byte, on every call, whatever OpenTelemetry does inside."""
    with make_session() as session:
        get = application(lambda: session.get(REVIEWS), telemetry)
        assert [b"served"] * len(CAME) == [get(came) for came in CAME]
    assert THRICE == wire.sent


def test_spans_of_ones_own(
    application: Application, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """Spans that the application makes by hand change nothing of what is relayed."""
    tracer = trace.get_tracer("shop", tracer_provider=recording.provider)
    came = {**REQUEST_ID, **TRACEPARENT, **B3}

    def call() -> None:
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
            session.get(REVIEWS)

    with make_session() as session:
        application(call, recording)(came)
    assert [came] * 3 == wire.sent


def test_server_spans(application: Application, recording: Telemetry) -> None:
    """The server span is a SERVER span, and its parent is the span that came."""
    application(lambda: None, recording)(TRACEPARENT)
    (span,) = recording.spans
    assert SpanKind.SERVER == span.kind
    assert (int(TRACE, 16), int(SPAN, 16)) == (span.parent.trace_id, span.parent.span_id)
    assert span.parent.is_remote
    assert int(TRACE, 16) == span.context.trace_id


def test_server_spans_without_a_parent(application: Application, recording: Telemetry) -> None:
    """Each request without headers has a SERVER span that begins a trace of its own."""
    get = application(lambda: None, recording)
    for headers in (TRACEPARENT, {}, {}):
        get(headers)
    _, first, second = recording.spans
    assert [SpanKind.SERVER] * 2 == [first.kind, second.kind]
    assert [None, None] == [first.parent, second.parent]
    assert 3 == len({span.context.trace_id for span in recording.spans})


def test_the_server_span_is_current(application: Application, recording: Telemetry) -> None:
    """The application finds OpenTelemetry's server span current when it is called."""
    found: list[object] = []
    application(lambda: found.append(trace.get_current_span()), recording)(TRACEPARENT)
    assert recording.spans == found[:1]


def test_nothing_is_left_behind(application: Application, telemetry: Telemetry) -> None:
    """After a request, OpenTelemetry's context is what it was before."""
    before = context.get_current()
    application(lambda: None, telemetry)(TRACEPARENT)
    assert before == context.get_current()
    assert trace.INVALID_SPAN is trace.get_current_span()


@pytest.fixture(
    params=[
        pytest.param(B3MultiFormat(), id="B3 in several headers"),
        pytest.param(B3SingleFormat(), id="B3 in one header"),
        pytest.param(
            CompositePropagator([TraceContextTextMapPropagator(), B3MultiFormat()]),
            id="W3C and B3",
        ),
    ]
)
def _propagator(request: pytest.FixtureRequest) -> Iterator[TextMapPropagator]:
    before = get_global_textmap()
    set_global_textmap(request.param)
    yield request.param
    set_global_textmap(before)


@pytest.mark.usefixtures("_propagator")
def test_whatever_the_propagator(
    application: Application, make_session: MakeSession, wire: Wire
) -> None:
    """What OpenTelemetry reads in the headers, and makes of it, changes nothing that goes out."""
    recording = Telemetry(TracerProvider(shutdown_on_exit=False))
    with make_session() as session:
        get = application(lambda: session.get(REVIEWS), recording)
        assert [b"served"] * len(CAME) == [get(came) for came in CAME]
    recorded = [span for span in recording.spans if isinstance(span, ReadableSpan)]
    assert THRICE == wire.sent
    assert len(CAME) // 2 < len(recorded)
    assert {SpanKind.SERVER} == {span.kind for span in recorded}

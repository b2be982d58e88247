"""
OpenTelemetry's instrumentations of server and client, whose spans join the mesh's trace.

Envoy's span is the parent of the SERVER span, that of the CLIENT span, and that is what goes out,
in every format that came.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import meshtrace
from meshtrace import MeshPropagator
from tests.formats.strategies import PARENT, SPAN, TRACE
from tests.opentelemetry.applications import (
    APPLICATIONS,
    REVIEWS,
    Application,
    Telemetry,
    Wire,
    wsgi_instrumented,
)

REQUEST_ID = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}
W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1 ,9b=2,a=3"}
B3 = {
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}
CAME = {**REQUEST_ID, **W3C, **B3, "sw8": "1-a"}


def _with(span_id: str, came: dict[str, str]) -> dict[str, str]:
    """Give what goes out with a span: nothing but its id is new."""
    new = {"traceparent": f"00-{TRACE}-{span_id}-01", "x-b3-spanid": span_id}
    sent = {**came, **{name: new[name] for name in new if name in came}}
    sent.pop("x-b3-parentspanid", None)
    return sent


class _Spans(Telemetry):
    """An SDK with an exporter, and what it exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        super().__init__(provider)

    def of(self, kind: SpanKind) -> list[Any]:
        """Give the spans of one kind, in the order in which they ended."""
        return [span for span in self._exporter.get_finished_spans() if span.kind == kind]


@pytest.fixture
def spans() -> _Spans:
    """Give an SDK with an exporter."""
    return _Spans()


@pytest.fixture
def _propagator() -> Iterator[None]:
    before = get_global_textmap()
    set_global_textmap(MeshPropagator())
    yield
    set_global_textmap(before)


@contextmanager
def _instrumented(spans: _Spans) -> Iterator[None]:
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    yield
    instrumentor.uninstrument()


MakeSession = Callable[[], requests.Session]

# The instrumentation of Flask ends its span before a body is streamed.
STREAMING = {name: APPLICATIONS[name] for name in APPLICATIONS if "Flask" not in name}
FLASK = {name: APPLICATIONS[name] for name in APPLICATIONS if "Flask" in name}


@pytest.fixture(params=[*STREAMING.values()], ids=[*STREAMING])
def application(request: pytest.FixtureRequest) -> Application:
    """Give each kind of application whose server span lasts until its body has ended."""
    chosen: Application = request.param
    return chosen


@pytest.fixture(params=[True, False], ids=["instrumented first", "instrumented last"])
def session(
    request: pytest.FixtureRequest, make_session: MakeSession, spans: _Spans
) -> Iterator[requests.Session]:
    """Give a session that relays and is instrumented, in both orders."""
    if request.param:
        with _instrumented(spans), make_session() as session:
            yield session
            meshtrace.unpatch()
    else:
        with make_session() as session, _instrumented(spans):
            yield session


def _ids(spans: list[Any]) -> list[str]:
    return [f"{span.context.span_id:016x}" for span in spans]


def _assert_nested(spans: _Spans) -> list[str]:
    (server,) = spans.of(SpanKind.SERVER)
    clients = spans.of(SpanKind.CLIENT)
    assert (int(TRACE, 16), int(SPAN, 16)) == (server.parent.trace_id, server.parent.span_id)
    assert [server.context.span_id] * 3 == [client.parent.span_id for client in clients]
    return _ids(clients)


@pytest.mark.usefixtures("_propagator")
def test_with_the_propagator(
    application: Application, session: requests.Session, spans: _Spans, wire: Wire
) -> None:
    """With ours as the global propagator, every format that came names the CLIENT span."""
    application(lambda: session.get(REVIEWS), spans)(CAME)
    assert [_with(span_id, CAME) for span_id in _assert_nested(spans)] == wire.sent


@pytest.mark.usefixtures("_propagator")
@pytest.mark.parametrize("flask", FLASK.values(), ids=FLASK.keys())
def test_flask(flask: Application, session: requests.Session, spans: _Spans, wire: Wire) -> None:
    """Flask's view is inside of its SERVER span; the streamed body is not, and relays."""
    flask(lambda: session.get(REVIEWS), spans)(CAME)
    (server,) = spans.of(SpanKind.SERVER)
    in_the_view, *_ = spans.of(SpanKind.CLIENT)
    assert server.context.span_id == in_the_view.parent.span_id
    assert [_with(_ids([in_the_view])[0], CAME), CAME, CAME] == wire.sent


@pytest.mark.usefixtures("_propagator")
@pytest.mark.parametrize("came", [W3C, B3, CAME], ids=["W3C", "x-b3-*", "both"])
def test_the_propagator_alone(came: dict[str, str], spans: _Spans, wire: Wire) -> None:
    """It needs nothing else of meshtrace."""
    with _instrumented(spans), requests.Session() as session:
        session.mount("http://", wire)
        wsgi_instrumented(lambda: session.get(REVIEWS), spans)(came)
    assert [_with(span_id, came) for span_id in _assert_nested(spans)] == wire.sent


def test_with_opentelemetrys_propagator(
    application: Application, session: requests.Session, spans: _Spans, wire: Wire
) -> None:
    """With OpenTelemetry's own as the global one, B3 names the CLIENT span, too."""
    meshtrace.configure(own_spans="join")
    came = {**CAME, "tracestate": "a=1,b=2"}
    application(lambda: session.get(REVIEWS), spans)(came)
    assert [_with(span_id, came) for span_id in _assert_nested(spans)] == wire.sent


@pytest.mark.usefixtures("_propagator")
def test_where_nothing_came(
    application: Application, session: requests.Session, spans: _Spans, wire: Wire
) -> None:
    """A request that brought nothing is the root of a trace, in both formats."""
    application(lambda: session.get(REVIEWS), spans)({})
    clients = spans.of(SpanKind.CLIENT)
    trace_id = f"{clients[0].context.trace_id:032x}"
    assert [
        {"x-b3-traceid": trace_id, "x-b3-spanid": span_id, "x-b3-sampled": "1"}
        for span_id in _ids(clients)
    ] == [{name: sent[name] for name in sent if name != "traceparent"} for sent in wire.sent]
    assert [f"00-{trace_id}-{span_id}" for span_id in _ids(clients)] == [
        sent["traceparent"][:52] for sent in wire.sent
    ]


@pytest.mark.usefixtures("_propagator")
@pytest.mark.parametrize(
    "came",
    [
        pytest.param({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}, id="undecided"),
        pytest.param({**B3, "x-b3-sampled": "0"}, id="denied"),
        pytest.param({"b3": "0"}, id="denied without ids"),
    ],
)
def test_what_the_mesh_has_decided(
    application: Application,
    session: requests.Session,
    spans: _Spans,
    wire: Wire,
    came: dict[str, str],
) -> None:
    """What the mesh has decided, or has left open, goes out as it came."""
    application(lambda: session.get(REVIEWS), spans)(came)
    assert [came] * 3 == wire.sent

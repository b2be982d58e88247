"""
OpenTelemetry's instrumentation of requests beside meshtrace, installed before it and after.

That instrumentation writes a ``traceparent`` of its own onto every call: the id of the CLIENT span
it makes. Installed after meshtrace's patch it is there already when meshtrace comes, and looks like
the caller's own; before it, or around a wrapped session, it overwrites what meshtrace has added. So
here, and here only, W3C Trace Context does not go out as it came. Every other format does.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider, Span, SpanKind

import meshtrace
from tests.opentelemetry.applications import (
    REVIEWS,
    Application,
    Telemetry,
    Wire,
    wsgi_alone,
    wsgi_inside,
    wsgi_outside,
)

TRACE = "80f198ee56343ba864fe8b2a57d3eff7"
SPAN = "e457b5a2e4d86bd1"
W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1,b=2"}
OTHERS = {
    "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": "05e3ac9a4f6e3b90",
    "x-b3-sampled": "1",
    "sw8": "1-a-b-3-c-d-e-f",
}
CAME = {**W3C, **OTHERS}

MakeSession = Callable[[], requests.Session]


class _Clients(list[Span]):
    """The CLIENT spans that were made."""

    def keep(self, span: Span, _: requests.PreparedRequest) -> None:
        """Keep one: the hook that the instrumentation calls."""
        self.append(span)

    @property
    def traceparents(self) -> list[str]:
        """What they look like in a header."""
        contexts = [span.get_span_context() for span in self]
        return [
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
            for context in contexts
        ]


@contextmanager
def _instrumented(telemetry: Telemetry, clients: _Clients) -> Iterator[None]:
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.provider, request_hook=clients.keep)
    yield
    instrumentor.uninstrument()


@contextmanager
def _first(
    make_session: MakeSession, telemetry: Telemetry, clients: _Clients
) -> Iterator[requests.Session]:
    with _instrumented(telemetry, clients), make_session() as session:
        yield session
        meshtrace.unpatch()


@contextmanager
def _last(
    make_session: MakeSession, telemetry: Telemetry, clients: _Clients
) -> Iterator[requests.Session]:
    with make_session() as session, _instrumented(telemetry, clients):
        yield session


Instrument = Callable[[MakeSession, Telemetry, _Clients], AbstractContextManager[requests.Session]]


@pytest.fixture(params=[_first, _last], ids=["instrumented first", "instrumented last"])
def instrument(request: pytest.FixtureRequest) -> Iterator[Instrument]:
    """Give what instruments requests before or after meshtrace, and leave requests as it was."""
    untouched = requests.Session.send
    yield request.param
    meshtrace.unpatch()
    assert untouched is requests.Session.send


@pytest.mark.parametrize("application", [wsgi_alone, wsgi_inside, wsgi_outside])
def test_the_other_formats_go_out_as_they_came(
    instrument: Instrument,
    application: Application,
    telemetry: Telemetry,
    make_session: MakeSession,
    wire: Wire,
) -> None:
    """All but W3C Trace Context goes out as it came, and every field in one line."""
    with instrument(make_session, telemetry, _Clients()) as session:
        get = application(lambda: session.get(REVIEWS), telemetry)
        assert [b"served"] * 2 == [get(came) for came in (CAME, {})]
    relayed = [{name: sent[name] for name in sent if name not in W3C} for sent in wire.sent]
    assert [OTHERS] * 3 + [{}] * 3 == relayed


@pytest.mark.parametrize("application", [wsgi_inside, wsgi_outside])
def test_with_a_server_span(
    instrument: Instrument,
    application: Application,
    recording: Telemetry,
    make_session: MakeSession,
    wire: Wire,
) -> None:
    """With a server span, traceparent names the CLIENT span, in the very trace that came."""
    clients = _Clients()
    with instrument(make_session, recording, clients) as session:
        application(lambda: session.get(REVIEWS), recording)(CAME)
    assert clients.traceparents == [sent["traceparent"] for sent in wire.sent]
    assert [W3C["tracestate"]] * 3 == [sent["tracestate"] for sent in wire.sent]
    assert {TRACE} == {sent["traceparent"][3:35] for sent in wire.sent}


@pytest.mark.parametrize("application", [wsgi_inside, wsgi_outside])
def test_the_spans_hang_together(
    instrument: Instrument,
    application: Application,
    recording: Telemetry,
    make_session: MakeSession,
) -> None:
    """The SERVER span hangs below what came, and the CLIENT spans below the SERVER span."""
    clients = _Clients()
    with instrument(make_session, recording, clients) as session:
        application(lambda: session.get(REVIEWS), recording)(CAME)
    (server,) = recording.spans
    assert [SpanKind.SERVER, int(SPAN, 16)] == [server.kind, server.parent.span_id]
    made: list[Any] = list(clients)
    assert [SpanKind.CLIENT] * 3 == [client.kind for client in made]
    assert [server.context] * 3 == [client.parent for client in made]


def test_without_a_server_span(
    instrument: Instrument, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """Without a server span, the CLIENT span begins a trace that has nothing to do with ours."""
    clients = _Clients()
    with instrument(make_session, recording, clients) as session:
        wsgi_alone(lambda: session.get(REVIEWS), recording)(CAME)
    assert clients.traceparents == [sent["traceparent"] for sent in wire.sent]
    assert TRACE not in {sent["traceparent"][3:35] for sent in wire.sent}


@pytest.mark.parametrize("application", [wsgi_alone, wsgi_inside, wsgi_outside])
def test_the_api_alone(
    instrument: Instrument, application: Application, make_session: MakeSession, wire: Wire
) -> None:
    """Where there is no SDK, everything goes out as it came."""
    telemetry = Telemetry(NoOpTracerProvider())
    with instrument(make_session, telemetry, _Clients()) as session:
        get = application(lambda: session.get(REVIEWS), telemetry)
        for came in (CAME, {}, OTHERS):
            get(came)
    assert [CAME] * 3 + [{}] * 3 + [OTHERS] * 3 == wire.sent


def test_a_sampler_that_drops(
    instrument: Instrument, make_session: MakeSession, wire: Wire
) -> None:
    """An SDK that drops its spans writes them nevertheless, as not sampled; B3 stays as it came."""
    dropping = Telemetry(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    with instrument(make_session, dropping, _Clients()) as session:
        wsgi_inside(lambda: session.get(REVIEWS), dropping)(CAME)
    assert {(TRACE, "00")} == {
        (sent["traceparent"][3:35], sent["traceparent"][-2:]) for sent in wire.sent
    }
    assert {SPAN} != {sent["traceparent"][36:52] for sent in wire.sent}
    assert {"1"} == {sent["x-b3-sampled"] for sent in wire.sent}


def test_replacing(recording: Telemetry, wire: Wire) -> None:
    """With on_conflict="replace", and instrumented after the patch, all goes out as it came."""
    meshtrace.configure(on_conflict="replace")
    meshtrace.patch("requests")
    with requests.Session() as session, _instrumented(recording, _Clients()):
        session.mount("http://", wire)
        wsgi_inside(lambda: session.get(REVIEWS), recording)(CAME)
    assert [CAME] * 3 == wire.sent


def test_baggage_is_opentelemetrys(
    instrument: Instrument, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """OpenTelemetry sends the baggage that its server span read, which meshtrace would not."""
    with instrument(make_session, recording, _Clients()) as session:
        get = wsgi_inside(lambda: session.get(REVIEWS), recording)
        get({**CAME, "baggage": "key=value"})
    assert [{"baggage": "key=value"}] * 3 == [
        {name: sent[name] for name in sent if name not in CAME} for sent in wire.sent
    ]

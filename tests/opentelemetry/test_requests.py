"""
OpenTelemetry's instrumentation of requests beside meshtrace, installed before it and after.

That instrumentation writes headers of its own onto every call: the ids of the CLIENT span it makes.
Installed after meshtrace's patch they are there already when meshtrace comes; before it, or around
a wrapped session, they take the place of what meshtrace has added. What came goes out nevertheless.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.trace import Span, SpanKind

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
def test_what_came_goes_out(
    instrument: Instrument,
    application: Application,
    telemetry: Telemetry,
    make_session: MakeSession,
    wire: Wire,
) -> None:
    """What came goes out as it came, and nothing else, whatever spans are made."""
    with instrument(make_session, telemetry, _Clients()) as session:
        get = application(lambda: session.get(REVIEWS), telemetry)
        assert [b"served"] * 3 == [get(came) for came in (CAME, {}, OTHERS)]
    assert [CAME] * 3 + [{}] * 3 + [OTHERS] * 3 == wire.sent


@pytest.fixture(params=[B3MultiFormat, B3SingleFormat], ids=["x-b3-*", "b3"])
def _b3(request: pytest.FixtureRequest) -> Iterator[None]:
    before = get_global_textmap()
    set_global_textmap(request.param())
    yield
    set_global_textmap(before)


@pytest.mark.usefixtures("_b3")
@pytest.mark.parametrize("application", [wsgi_alone, wsgi_inside])
def test_whatever_the_propagator(
    instrument: Instrument,
    application: Application,
    telemetry: Telemetry,
    make_session: MakeSession,
    wire: Wire,
) -> None:
    """What came goes out as it came, also where B3 is OpenTelemetry's format, and undecided."""
    undecided = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
    with instrument(make_session, telemetry, _Clients()) as session:
        get = application(lambda: session.get(REVIEWS), telemetry)
        assert [b"served"] * 3 == [get(came) for came in (CAME, {}, undecided)]
    assert [CAME] * 3 + [{}] * 3 + [undecided] * 3 == wire.sent


def test_a_prepared_request_sent_again(
    instrument: Instrument, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """A request that is sent for two requests in turn carries what came with each."""
    prepared = requests.Request("GET", REVIEWS).prepare()
    with instrument(make_session, recording, _Clients()) as session:
        get = wsgi_inside(lambda: session.send(prepared), recording)
        for came in (CAME, {}, OTHERS):
            get(came)
    assert [CAME] * 3 + [{}] * 3 + [OTHERS] * 3 == wire.sent


def test_outside_any_request(
    instrument: Instrument, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """A call outside any request is OpenTelemetry's own affair."""
    clients = _Clients()
    with instrument(make_session, recording, clients) as session:
        session.get(REVIEWS)
    assert [{"traceparent": traceparent} for traceparent in clients.traceparents] == wire.sent


def test_the_callers_own_headers(
    instrument: Instrument, recording: Telemetry, make_session: MakeSession, wire: Wire
) -> None:
    """What the caller has set stays, beside what came in the other formats."""
    own = {"b3": "0"}
    with instrument(make_session, recording, _Clients()) as session:
        wsgi_inside(lambda: session.get(REVIEWS, headers=own), recording)(CAME)
    relayed = {name: value for name, value in CAME.items() if not name.startswith("x-b3-")}
    assert [{**relayed, **own}] * 3 == wire.sent


def test_it_is_said_once(
    instrument: Instrument,
    recording: Telemetry,
    make_session: MakeSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line of the log tells how to have these spans in the mesh's trace."""
    caplog.set_level("INFO", "meshtrace")
    with instrument(make_session, recording, _Clients()) as session:
        wsgi_inside(lambda: session.get(REVIEWS), recording)(CAME)
    said = [record.getMessage() for record in caplog.records]
    assert 1 == len([line for line in said if "MESHTRACE_OWN_SPANS" in line])


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

"""Each field that a call did not get has its reason code."""

from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

import meshtrace
from meshtrace.ambient import CURRENT
from meshtrace.departure import Departures
from meshtrace.relay.inject import Sent
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings
from tests.outbound.recording import ALL, B3, IDS, USER_DATA, VENDOR_DATA, W3C

MESH = "http://reviews:9080/"
OUTSIDE = "https://api.example.com/"


def _withheld(
    url: str | None,
    carrier: dict[str, str] | None = None,
    before: Sent | None = None,
    came: dict[str, str] = ALL,
    **own: object,
) -> dict[str, str]:
    """Make one call, under settings of its client, and give what it did not get, and why."""
    options: Options = own  # type: ignore[assignment]  # each test gives good ones
    departures = Departures("requests", Settings(**options))
    with meshtrace.use(came):
        departures.decide({**(carrier or {})}, url, before)
        (call,) = meshtrace.explain().calls
    return dict(call.withheld)


@pytest.fixture(autouse=True)
def _explained() -> None:
    meshtrace.configure(explain=True, forward=["end-user", "baggage"])


def test_a_host_of_the_mesh_gets_all() -> None:
    """Nothing is withheld from a host of the mesh."""
    assert {} == _withheld(MESH)


@pytest.mark.parametrize("url", [OUTSIDE, None])
def test_not_mesh_host(url: str | None) -> None:
    """A host outside the mesh, or one that is not known, gets ids only."""
    assert dict.fromkeys([*VENDOR_DATA, *USER_DATA], "not-mesh-host") == _withheld(url)


def test_denied() -> None:
    """A host on the deny list gets nothing."""
    assert dict.fromkeys(ALL, "denied") == _withheld(MESH, deny_hosts="reviews")


def test_a_host_header_counts() -> None:
    """A call that names a denied host in its Host header gets nothing, and the reason says so."""
    assert dict.fromkeys(ALL, "denied") == _withheld(
        MESH, {"Host": "bad.example"}, deny_hosts="bad.example"
    )


def test_not_traced_host() -> None:
    """Where ids do not go, the tracestate that belongs to them does not go, either."""
    expected = dict.fromkeys([*IDS, "tracestate"], "not-traced-host")
    assert expected == _withheld(MESH, trace_hosts="elsewhere")


def test_already_set() -> None:
    """What the caller sets costs its whole format, and no other."""
    assert dict.fromkeys(B3, "already-set") == _withheld(MESH, {"B3": "0"})


def test_not_forwarded() -> None:
    """A client's own list of user data leaves out the rest."""
    assert {"baggage": "not-forwarded"} == _withheld(MESH, forward="end-user")


def test_redirect_stripped() -> None:
    """Once a chain of redirects has left the mesh, user data does not come back in it."""
    outside = Sent(())
    outside.outside = True
    assert dict.fromkeys(USER_DATA, "redirect-stripped") == _withheld(MESH, {}, outside.next_hop())


@pytest.mark.parametrize(
    ("url", "before", "reason"),
    [
        pytest.param(MESH, None, "not-authorized-host", id="a host that was not named"),
        pytest.param("http://orders/", Sent(()).next_hop(), "redirect-stripped", id="redirected"),
    ],
)
def test_authorization_has_reasons_of_its_own(url: str, before: Sent | None, reason: str) -> None:
    """The caller's authorization goes to named hosts only, and after no redirect."""
    Departures("requests", Settings(authorization_hosts="orders"))
    came = {"b3": "0", "authorization": "Bearer secret"}
    found = _withheld(url, {}, before, came, authorization_hosts="orders")
    assert {"authorization": reason} == found


def test_ended() -> None:
    """After the end of the request, its user data goes nowhere."""
    departures = Departures("requests", Settings())
    with meshtrace.use(ALL):
        request = CURRENT.get()
        assert isinstance(request, Snapshot)
        request.ended = True
        departures.decide({}, MESH)
        explanation = meshtrace.explain()
    assert dict.fromkeys(USER_DATA, "ended") == dict(explanation.calls[0].withheld)
    assert [*USER_DATA] == [one.name for one in explanation.came if one.code == "ended"]


def test_no_context() -> None:
    """A call made for no request is noted for the process."""
    Departures("requests", Settings()).decide({}, MESH)
    meshtrace.headers(MESH)
    last = meshtrace.explain().calls[-2:]
    assert [
        ("requests", "reviews:9080", (("", "no-context"),)),
        ("headers()", "reviews:9080", (("", "no-context"),)),
    ] == [(call.client, call.host, call.withheld) for call in last]
    assert "requests to reviews:9080: sent nothing; lost: no-context" == str(last[0])


def test_what_was_replaced_is_told() -> None:
    """Headers of the caller's that had to go are named."""
    departures = Departures("requests", Settings(on_conflict="replace"))
    with meshtrace.use(W3C):
        departures.decide({"Traceparent": "mine"}, MESH)
        (call,) = meshtrace.explain().calls
    assert (("traceparent",), ()) == (call.replaced, call.withheld)


def test_names_in_bytes_are_told_as_text() -> None:
    """Some clients take names in bytes."""
    carrier: dict[object, str] = {b"Traceparent": "mine"}
    departures = Departures("requests", Settings(on_conflict="replace"))
    with meshtrace.use(W3C):
        departures.decide(carrier, MESH)  # type: ignore[arg-type]  # as some clients do
        (call,) = meshtrace.explain().calls
    assert ("traceparent",) == call.replaced


@pytest.mark.parametrize(
    "decide",
    [
        pytest.param(lambda: meshtrace.headers(MESH), id="headers()"),
        pytest.param(lambda: Departures("httpx", Settings()).decide({}, MESH), id="a client"),
    ],
)
def test_a_request_that_brought_nothing_is_explained(decide: Callable[[], object]) -> None:
    """A call made for a request without trace headers is noted, too."""
    with meshtrace.use({"accept": "*/*"}):
        decide()
        explanation = meshtrace.explain()
    assert ((), 1, ()) == (explanation.came, len(explanation.calls), explanation.calls[0].sent)


def test_joined() -> None:
    """Where a span of the application's own stands in, Envoy's parent span is left out."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    departures = Departures("requests", Settings(own_spans="join"))
    context = SpanContext(
        int(B3["x-b3-traceid"], 16),
        int(B3["x-b3-spanid"], 16),
        is_remote=True,
        trace_flags=TraceFlags(1),
    )
    remote = set_span_in_context(NonRecordingSpan(context))
    with meshtrace.use(B3), provider.get_tracer("shop").start_as_current_span("work", remote):
        departures.decide({}, MESH)
        (call,) = meshtrace.explain().calls
    assert (("x-b3-parentspanid", "joined"),) == call.withheld


def test_joined_outside_any_request() -> None:
    """A span that goes out from where no request is, is noted with the calls made for none."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    departures = Departures("requests", Settings(own_spans="join", root_formats="w3c"))
    with provider.get_tracer("shop").start_as_current_span("work"):
        departures.decide({}, "http://root.svc/")
    last = meshtrace.explain().calls[-1]
    assert ("root.svc", ("traceparent",)) == (last.host, last.sent)

"""Calls onto which an OpenTelemetry instrumentation has written headers of its own."""

import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests.structures import CaseInsensitiveDict

import meshtrace
from meshtrace.departure import Departures, put_on
from meshtrace.relay.inject import Sent
from meshtrace.settings import OnConflict, Settings
from tests.formats.strategies import SPAN, TRACE
from tests.otel.test_join import OTHER, OWN, own_span, reported

REVIEWS = "http://reviews:9080/"
OUTSIDE = "https://api.example.com/"
W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"}
UNDECIDED = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}

Carrier = CaseInsensitiveDict[Any]


def send(
    carrier: Carrier,
    came: dict[str, str] | None,
    before: Sent | None = None,
    **options: Any,  # noqa: ANN401 - options of Settings
) -> Sent:
    """Decide for one call, and write it to its headers."""
    departures = Departures("a client", Settings(**options))
    with meshtrace.detached() if came is None else meshtrace.use(came):
        sent = departures.decide(carrier, REVIEWS, before)
    put_on(carrier, sent)
    return sent


def written(trace_id: str = TRACE) -> Carrier:
    """Give the headers of a call onto which an instrumentation has written."""
    carrier: Carrier = CaseInsensitiveDict({"Accept": "*/*"})
    context = trace.set_span_in_context(reported(own_span(trace_id)))
    TraceContextTextMapPropagator().inject(carrier, context)
    B3MultiFormat().inject(carrier, context)
    return carrier


@pytest.mark.parametrize(
    "came",
    [
        pytest.param(W3C, id="W3C"),
        pytest.param(UNDECIDED, id="B3, undecided"),
        pytest.param({**W3C, **UNDECIDED}, id="both"),
        pytest.param({}, id="nothing"),
    ],
)
@pytest.mark.parametrize("trace_id", [TRACE, OTHER], ids=["of the trace", "of another trace"])
def test_relaying(came: dict[str, str], trace_id: str) -> None:
    """What came goes out, and nothing of the instrumentation's."""
    carrier = written(trace_id)
    with trace.use_span(reported(own_span(trace_id))):
        send(carrier, came)
    assert {"Accept": "*/*", **came} == dict(carrier)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"trace_fields": "b3,x-request-id"}, id="formats that are not relayed"),
        pytest.param({"incoming": "ignore"}, id="formats of which none is taken in"),
    ],
)
def test_what_is_not_picked(options: dict[str, Any]) -> None:
    """What an instrumentation has written goes, also in a format that is not picked."""
    meshtrace.configure(**options)
    carrier = written()
    with trace.use_span(reported(own_span())):
        send(carrier, {})
    assert {"Accept": "*/*"} == dict(carrier)


def test_joining() -> None:
    """Where spans join, what came goes out with the span's ids, and no other format."""
    carrier = written()
    with trace.use_span(reported(own_span())):
        send(carrier, W3C, own_spans="join")
    own = {"traceparent": f"00-{TRACE}-{OWN}-01", "tracestate": "a=1"}
    assert {"Accept": "*/*", **own} == dict(carrier)


def test_what_the_caller_has_set_stays() -> None:
    """A format that does not name the current span is the caller's, and wins."""
    carrier = written()
    before = dict(carrier)
    with trace.use_span(reported(own_span(OTHER))):
        send(carrier, {**W3C, **UNDECIDED})
    assert before == dict(carrier)


def test_outside_any_request() -> None:
    """Outside any request nothing is taken away."""
    carrier = written()
    before = dict(carrier)
    with trace.use_span(reported(own_span())):
        send(carrier, None)
    assert before == dict(carrier)


@pytest.mark.parametrize("remote", [False, True], ids=["a span of its own", "what came"])
def test_written_over_ours(*, remote: bool) -> None:
    """What is written over headers that we have added gives way when it is decided again."""
    span = own_span(remote=True) if remote else own_span()
    came = {"x-b3-traceid": TRACE, "x-b3-spanid": OWN if remote else SPAN}
    carrier: Carrier = CaseInsensitiveDict()
    with trace.use_span(reported(span)):
        first = send(carrier, came)
        B3MultiFormat().inject(carrier)
        send(carrier, came, first)
    assert came == dict(carrier)


@pytest.mark.parametrize("on_conflict", ["keep", "replace"])
def test_sent_again(on_conflict: OnConflict) -> None:
    """The caller's own headers stand, or come back, each time."""
    own = {"b3": "0"}
    carrier: Carrier = CaseInsensitiveDict(own)
    span = own_span(remote=True)
    came = {"b3": f"{TRACE}-{OWN}-1", "x-b3-traceid": OTHER, "x-b3-spanid": SPAN}
    with trace.use_span(reported(span)):
        first = send(carrier, came, on_conflict=on_conflict)
        between = dict(carrier)
        send(carrier, {}, first, on_conflict=on_conflict)
    assert own == dict(carrier)
    assert {"keep": own, "replace": came}[on_conflict] == between


def test_it_never_comes_back() -> None:
    """A call that is sent again outside any request has none of it."""
    carrier = written()
    with trace.use_span(reported(own_span())):
        first = send(carrier, W3C)
    send(carrier, None, first)
    assert {"Accept": "*/*"} == dict(carrier)


@pytest.mark.parametrize(("own_spans", "lines"), [("relay", 1), ("join", 0)])
def test_it_is_said(own_spans: str, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    """Where it gives way to what came, this is said once, and how to have it otherwise."""
    caplog.set_level("INFO", "meshtrace")
    with trace.use_span(reported(own_span())):
        for _ in range(2):
            send(written(), W3C, own_spans=own_spans)
    said = [line for line in caplog.messages if "MESHTRACE_OWN_SPANS=join" in line]
    assert lines == len(said)


def test_opentelemetry_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has loaded OpenTelemetry, all headers are the caller's."""
    carrier = written()
    before = dict(carrier)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    send(carrier, {**W3C, **UNDECIDED})
    assert before == dict(carrier)


def test_outside_the_mesh() -> None:
    """A host outside the mesh gets the span's ids, and no vendor data, as it would without."""
    meshtrace.configure(own_spans="join")
    came = {**W3C, "x-datadog-trace-id": str(int(TRACE[16:], 16)), "x-datadog-parent-id": "1"}
    with meshtrace.use(came), trace.use_span(reported(own_span())):
        assert {
            "traceparent": f"00-{TRACE}-{OWN}-01",
            "x-datadog-trace-id": came["x-datadog-trace-id"],
            "x-datadog-parent-id": str(int(OWN, 16)),
        } == meshtrace.headers(OUTSIDE)


def test_joining_without_a_span() -> None:
    """Where spans join and none is current, what came is relayed."""
    carrier: Carrier = CaseInsensitiveDict()
    send(carrier, {**W3C, **UNDECIDED}, own_spans="join")
    assert {**W3C, **UNDECIDED} == dict(carrier)


def test_a_missing_middleware_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Where spans join, a call outside any request that has no root is one without headers."""
    carrier: Carrier = CaseInsensitiveDict()
    with trace.use_span(reported(own_span())):
        send(carrier, None, own_spans="join", root_formats="w3c")
    assert {"traceparent": f"00-{TRACE}-{OWN}-01"} == dict(carrier)
    assert "no middleware ever ran" not in caplog.text
    send(CaseInsensitiveDict(), None, own_spans="join", root_formats="w3c")
    assert 1 == caplog.text.count("no middleware ever ran")

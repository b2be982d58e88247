"""
Why OpenTelemetry's propagators do not carry what came: what they lose, and is kept here.

Each case is extracted and injected by the propagator that knows the format best, and relayed by
meshtrace. Where the two agree, OpenTelemetry is the oracle in tests/formats/test_oracle.py.
"""

import pytest
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from meshtrace.policy import Share
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import InboundRules
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64, TRACEPARENT

SINGLE = B3SingleFormat()
MULTI = B3MultiFormat()
W3C = TraceContextTextMapPropagator()

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}


def _relayed(carrier: dict[str, str]) -> dict[str, str]:
    return dict(from_carrier(carrier, InboundRules.of()).fields(Share.MESH))


def _by_opentelemetry(propagator: TextMapPropagator, carrier: dict[str, str]) -> dict[str, str]:
    injected: dict[str, str] = {}
    propagator.inject(injected, propagator.extract(carrier, Context()))
    return injected


@pytest.mark.parametrize(
    ("propagator", "carrier"),
    [
        pytest.param(SINGLE, {"b3": f"{TRACE}-{SPAN}"}, id="b3, defer: theirs force it on"),
        pytest.param(MULTI, IDS, id="x-b3-*, defer: theirs deny it"),
        pytest.param(SINGLE, {"b3": "0"}, id="b3: 0 alone: theirs send nothing"),
        pytest.param(SINGLE, {"b3": "d"}, id="b3: d alone: theirs send nothing"),
        pytest.param(MULTI, {"x-b3-sampled": "0"}, id="x-b3-sampled: 0 alone: theirs send nothing"),
        pytest.param(MULTI, {"x-b3-flags": "1"}, id="x-b3-flags: 1 alone: theirs send nothing"),
        pytest.param(SINGLE, {"b3": f"{TRACE}-{SPAN}-d"}, id="b3, debug: theirs accept"),
        pytest.param(MULTI, {**IDS, "x-b3-flags": "1"}, id="x-b3-flags: 1: theirs accept"),
        pytest.param(
            MULTI, {**IDS, "x-b3-sampled": "true"}, id="x-b3-sampled: true: theirs spell it anew"
        ),
        pytest.param(
            SINGLE, {"b3": f"{TRACE}-{SPAN}-1-{PARENT}"}, id="b3, a parent: theirs lose it"
        ),
        pytest.param(
            MULTI,
            {**IDS, "x-b3-parentspanid": PARENT, "x-b3-sampled": "1"},
            id="x-b3-parentspanid: theirs lose it",
        ),
        pytest.param(SINGLE, {"b3": f"{TRACE_64}-{SPAN}-1"}, id="b3, 64 bit: theirs pad it"),
        pytest.param(
            MULTI,
            {"x-b3-traceid": TRACE_64, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
            id="x-b3-traceid, 64 bit: theirs pad it",
        ),
        pytest.param(MULTI, {"b3": f"{TRACE}-{SPAN}-1"}, id="the other spelling: theirs change it"),
        pytest.param(
            SINGLE, {"b3": f"{TRACE.upper()}-{SPAN}-1"}, id="b3, upper case: theirs lower it"
        ),
        pytest.param(
            W3C, {"traceparent": f"cc-{TRACE}-{SPAN}-01"}, id="a later version: theirs say 00"
        ),
        pytest.param(
            W3C,
            {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
            id="traceparent, upper case: theirs send nothing",
        ),
        pytest.param(
            W3C,
            {"traceparent": TRACEPARENT, "tracestate": "a=1,a=2"},
            id="a key that repeats: theirs lose the tracestate",
        ),
    ],
)
def test_what_opentelemetry_changes_goes_out_as_it_came(
    propagator: TextMapPropagator, carrier: dict[str, str]
) -> None:
    """Meshtrace sends exactly what came; OpenTelemetry's propagator sends something else."""
    assert carrier == _relayed(carrier)
    assert carrier != _by_opentelemetry(propagator, carrier)


@pytest.mark.parametrize(
    ("propagator", "carrier"),
    [
        pytest.param(SINGLE, {"b3": f"{TRACE}-{SPAN}-1"}, id="b3, accept"),
        pytest.param(SINGLE, {"b3": f"{TRACE}-{SPAN}-0"}, id="b3, deny"),
        pytest.param(MULTI, {**IDS, "x-b3-sampled": "1"}, id="x-b3-*, accept"),
        pytest.param(MULTI, {**IDS, "x-b3-sampled": "0"}, id="x-b3-*, deny"),
        pytest.param(W3C, {"traceparent": TRACEPARENT}, id="traceparent"),
        pytest.param(
            W3C, {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}, id="with a tracestate"
        ),
    ],
)
def test_what_opentelemetry_keeps_is_kept_here(
    propagator: TextMapPropagator, carrier: dict[str, str]
) -> None:
    """Where OpenTelemetry's propagator sends what came, so does meshtrace."""
    assert [carrier] * 2 == [_relayed(carrier), _by_opentelemetry(propagator, carrier)]


@pytest.mark.parametrize(
    ("propagator", "carrier"),
    [
        pytest.param(
            W3C, {"traceparent": TRACEPARENT + "\n"}, id="a line feed behind a traceparent"
        ),
        pytest.param(
            MULTI,
            {"x-b3-traceid": "0" * 32, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
            id="a zero trace id",
        ),
    ],
)
def test_what_opentelemetry_lets_through_is_dropped_here(
    propagator: TextMapPropagator, carrier: dict[str, str]
) -> None:
    """Some of what is malformed gets past OpenTelemetry's propagators."""
    assert {} == _relayed(carrier)
    assert {} != _by_opentelemetry(propagator, carrier)

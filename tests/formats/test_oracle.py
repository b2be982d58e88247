"""
OpenTelemetry's own propagators as the oracle, on the cases they get right.

The others are in tests/relay/test_unlike_opentelemetry.py.
"""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from meshtrace import MalformedHeaderError, Sampling, TraceContext
from meshtrace.formats import b3, w3c
from tests.formats.strategies import (
    TRACEPARENT,
    nearly,
    span_ids,
    trace_ids,
    trace_ids_128,
    traceparents,
    tracestate_members,
)

W3C = TraceContextTextMapPropagator()

decided = st.sampled_from([Sampling.ACCEPT, Sampling.DENY])


def _read(propagator: TextMapPropagator, carrier: Mapping[str, str]) -> trace.SpanContext:
    context = propagator.extract(carrier, Context())
    return trace.get_current_span(context).get_span_context()


def _write(propagator: TextMapPropagator, context: TraceContext) -> dict[str, str]:
    carrier: dict[str, str] = {}
    span = trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=int(context.trace_id or "0", 16),
            span_id=int(context.span_id or "0", 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(context.trace_flags),
        )
    )
    propagator.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier


def _ids_and_flags(context: TraceContext) -> tuple[int, int, int]:
    """Give what OpenTelemetry knows of a context; without ids it knows nothing."""
    if context.trace_id is None or context.span_id is None:
        return 0, 0, 0
    return int(context.trace_id, 16), int(context.span_id, 16), context.trace_flags


def _as_opentelemetry_has_it(context: trace.SpanContext) -> tuple[int, int, int]:
    return context.trace_id, context.span_id, context.trace_flags & 3


SPELLINGS = [
    pytest.param(B3SingleFormat(), lambda context: {"b3": b3.format_b3(context)}, id="b3"),
    pytest.param(B3MultiFormat(), b3.format_b3_multi, id="x-b3-*"),
    pytest.param(
        W3C, lambda context: {"traceparent": w3c.format_traceparent(context)}, id="traceparent"
    ),
]


@pytest.mark.parametrize(("propagator", "write"), SPELLINGS)
@given(trace_ids_128, span_ids, decided)
def test_a_decided_context_is_written_as_opentelemetry_writes_it(
    propagator: TextMapPropagator,
    write: Callable[[TraceContext], dict[str, str]],
    trace_id: str,
    span_id: str,
    sampling: Sampling,
) -> None:
    """With ids of 128 bit, a decision and nothing else, both write the same fields."""
    context = TraceContext(trace_id=trace_id, span_id=span_id, sampling=sampling)
    assert _write(propagator, context) == write(context)


@pytest.mark.parametrize(("propagator", "write"), SPELLINGS)
@given(trace_ids, span_ids, decided | st.just(Sampling.DEBUG))
def test_a_decided_context_is_read_by_opentelemetry(
    propagator: TextMapPropagator,
    write: Callable[[TraceContext], dict[str, str]],
    trace_id: str,
    span_id: str,
    sampling: Sampling,
) -> None:
    """OpenTelemetry finds the ids and the sampled flag in what is written here."""
    context = TraceContext(trace_id=trace_id, span_id=span_id, sampling=sampling)
    assert _ids_and_flags(context) == _as_opentelemetry_has_it(_read(propagator, write(context)))


@given(nearly(traceparents))
def test_traceparent_is_read_as_opentelemetry_reads_it(value: str) -> None:
    """Lower case, one line, no line feed: there the two agree on what is a parent."""
    assume(value == value.strip().lower())
    assume(not value.startswith("ff"))
    theirs = _as_opentelemetry_has_it(_read(W3C, {"traceparent": value}))
    try:
        ours = _ids_and_flags(w3c.parse_traceparent(value))
    except MalformedHeaderError:
        ours = (0, 0, 0)
    assert theirs == ours


@given(tracestate_members)
def test_tracestate_is_read_as_opentelemetry_reads_it(
    members: tuple[tuple[str, str], ...],
) -> None:
    """Keys of level 1 that do not repeat: there the two agree on the members."""
    members = tuple({key: value for key, value in members if key.isalpha()}.items())
    state = w3c.format_tracestate(members)
    assume(len(state) <= 512)
    read = _read(W3C, {"traceparent": TRACEPARENT, "tracestate": state})
    assert tuple(read.trace_state.items()) == members

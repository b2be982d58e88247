"""B3 as b3: one grammar, in one field, and how both spellings are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace import MalformedHeaderError, Sampling, TraceContext
from meshtrace.formats import b3
from tests.formats.strategies import (
    PARENT,
    SPAN,
    TRACE,
    TRACE_64,
    b3_singles,
    contexts,
    in_any_case,
    nearly,
)

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}


def _context(sampling: Sampling, parent: str | None = None, trace: str = TRACE) -> TraceContext:
    return TraceContext(trace_id=trace, span_id=SPAN, parent_span_id=parent, sampling=sampling)


@pytest.mark.parametrize(
    ("value", "context"),
    [
        pytest.param(
            f"{TRACE}-{SPAN}", _context(Sampling.DEFER), id="ids without a decision: defer"
        ),
        pytest.param(f"{TRACE}-{SPAN}-0", _context(Sampling.DENY), id="0: deny"),
        pytest.param(f"{TRACE}-{SPAN}-1", _context(Sampling.ACCEPT), id="1: accept"),
        pytest.param(f"{TRACE}-{SPAN}-d", _context(Sampling.DEBUG), id="d: debug"),
        pytest.param("0", TraceContext(sampling=Sampling.DENY), id="deny without ids"),
        pytest.param("1", TraceContext(sampling=Sampling.ACCEPT), id="accept without ids"),
        pytest.param("d", TraceContext(sampling=Sampling.DEBUG), id="debug without ids"),
        pytest.param(
            f"{TRACE}-{SPAN}-1-{PARENT}", _context(Sampling.ACCEPT, PARENT), id="with a parent"
        ),
        pytest.param(
            f"{TRACE}-{SPAN}-d-{PARENT}", _context(Sampling.DEBUG, PARENT), id="debug and a parent"
        ),
        pytest.param(
            f"{TRACE_64}-{SPAN}-1",
            _context(Sampling.ACCEPT, trace=TRACE_64),
            id="a trace id of 64 bit stays 16 digits",
        ),
        pytest.param(
            f"{TRACE_64}-{SPAN}", _context(Sampling.DEFER, trace=TRACE_64), id="64 bit, undecided"
        ),
        pytest.param(
            f"{'0' * 16}{TRACE_64}-{SPAN}-1",
            _context(Sampling.ACCEPT, trace="0" * 16 + TRACE_64),
            id="128 bit whose left half is zero stay 32 digits",
        ),
        pytest.param(
            f"{TRACE}-{SPAN}-1-{PARENT}".upper(),
            _context(Sampling.ACCEPT, PARENT),
            id="upper case is read as lower case",
        ),
    ],
)
def test_a_good_b3_is_read_and_relayed(value: str, context: TraceContext) -> None:
    """Every form of b3 is read, and sent on as it came."""
    assert context == b3.parse_b3(value)
    assert value == b3.relayable_b3(value)


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param("", id="empty"),
        pytest.param("nonsense", id="garbage"),
        pytest.param("0" * 16, id="zero"),
        pytest.param(PARENT[1:], id="15 digits"),
        pytest.param(f"{PARENT}-1", id="a field too many"),
        pytest.param(f"{PARENT}\n", id="a line feed behind"),
        pytest.param("\n" * 3, id="line feeds"),
        pytest.param("-" * 1_000_000, id="a million dashes"),
    ],
)
def test_a_bad_parent_costs_only_the_parent(parent: str) -> None:
    """The ids and the decision before a bad parent span id are read and relayed without it."""
    value = f"{TRACE}-{SPAN}-1-{parent}"
    assert f"{TRACE}-{SPAN}-1" == b3.relayable_b3(value)
    assert _context(Sampling.ACCEPT) == b3.parse_b3(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="garbage"),
        pytest.param("2", id="a decision that is none"),
        pytest.param("D", id="debug in upper case"),
        pytest.param("true", id="a decision as x-b3-sampled may spell it"),
        pytest.param("01", id="two decisions"),
        pytest.param("0\n", id="a line feed behind a decision"),
        pytest.param(" 0", id="a blank before: values are stripped before"),
        pytest.param("\u0660", id="a zero that is not ASCII"),
        pytest.param(f"{TRACE}", id="a trace id alone"),
        pytest.param(f"{TRACE}-", id="an empty span id"),
        pytest.param(f"-{SPAN}", id="an empty trace id"),
        pytest.param(f"{TRACE}-{SPAN}-", id="an empty decision"),
        pytest.param(f"{TRACE}-{SPAN}-x", id="a flag that is none"),
        pytest.param(f"{TRACE}-{SPAN}-true", id="true behind ids"),
        pytest.param(f"{TRACE}-{SPAN}--{PARENT}", id="a parent without a decision"),
        pytest.param(f"{TRACE}-{SPAN}-{PARENT}", id="a parent in place of a decision"),
        pytest.param(f"{TRACE}-1", id="a decision in place of a span id"),
        pytest.param(f"{TRACE[:20]}-{SPAN}-1", id="a trace id of 20 digits"),
        pytest.param(f"{TRACE_64[:15]}-{SPAN}-1", id="a trace id of 15 digits"),
        pytest.param(f"{TRACE}0-{SPAN}-1", id="a trace id of 33 digits"),
        pytest.param(f"{TRACE}-{SPAN[:15]}-1", id="a span id of 15 digits"),
        pytest.param(f"{TRACE}-{TRACE}-1", id="a span id of 32 digits"),
        pytest.param(f"xyz{TRACE[3:]}-{SPAN}-1", id="a trace id that is not hex"),
        pytest.param(f"{TRACE}-xyz{SPAN[3:]}-1", id="a span id that is not hex"),
        pytest.param(f"{'0' * 32}-{SPAN}-1", id="a zero trace id"),
        pytest.param(f"{'0' * 16}-{SPAN}-1", id="a zero trace id of 64 bit"),
        pytest.param(f"{TRACE}-{'0' * 16}-1", id="a zero span id"),
        pytest.param(f"{TRACE[:-1]}\u0663-{SPAN}-1", id="a digit that is not ASCII"),
        pytest.param(f"{TRACE}-{SPAN}-1\n", id="a line feed behind"),
        pytest.param(f"{TRACE}-{SPAN}-1, {TRACE}-{SPAN}-1", id="two in one line"),
        pytest.param("0" * 1_000_000, id="a million zeros"),
        pytest.param("f-" * 500_000, id="half a million fields"),
    ],
)
def test_what_is_no_b3_is_refused(value: str) -> None:
    """Whatever else stands in b3 is malformed, and not relayed."""
    with pytest.raises(MalformedHeaderError, match="b3: "):
        b3.parse_b3(value)
    with pytest.raises(MalformedHeaderError, match="b3: "):
        b3.relayable_b3(value)


@given(contexts.filter(lambda context: context != TraceContext()))
def test_a_context_survives_b3(context: TraceContext) -> None:
    """Reading what was written gives the context back, but an undecided one cannot say a parent."""
    undecided = context.sampling is Sampling.DEFER
    expected = _without_parent(context) if undecided else context
    assert expected == b3.parse_b3(b3.format_b3(context))


@given(b3_singles)
def test_a_good_b3_survives_a_context(value: str) -> None:
    """Writing what was read gives the text back."""
    assert value == b3.format_b3(b3.parse_b3(value))


@given(b3_singles, in_any_case)
def test_a_good_b3_is_relayed_in_the_case_it_came_in(value: str, case: type[str]) -> None:
    """Hex digits may be in upper case; what is relayed is the very text."""
    spelled = "-".join(case(part) if len(part) > 1 else part for part in value.split("-"))
    assert spelled == b3.relayable_b3(spelled)
    assert b3.parse_b3(value) == b3.parse_b3(spelled)


def _without_parent(context: TraceContext) -> TraceContext:
    return TraceContext(
        trace_id=context.trace_id, span_id=context.span_id, sampling=context.sampling
    )


@pytest.mark.parametrize(
    ("context", "single", "multi"),
    [
        pytest.param(
            _context(Sampling.DEFER), f"{TRACE}-{SPAN}", IDS, id="defer is written as nothing"
        ),
        pytest.param(
            _context(Sampling.DENY), f"{TRACE}-{SPAN}-0", {**IDS, "x-b3-sampled": "0"}, id="deny"
        ),
        pytest.param(
            _context(Sampling.ACCEPT, PARENT),
            f"{TRACE}-{SPAN}-1-{PARENT}",
            {**IDS, "x-b3-parentspanid": PARENT, "x-b3-sampled": "1"},
            id="accept, with a parent",
        ),
        pytest.param(
            _context(Sampling.DEBUG),
            f"{TRACE}-{SPAN}-d",
            {**IDS, "x-b3-flags": "1"},
            id="debug, which implies the decision",
        ),
        pytest.param(
            TraceContext(sampling=Sampling.DENY),
            "0",
            {"x-b3-sampled": "0"},
            id="a decision without ids",
        ),
        pytest.param(
            _context(Sampling.ACCEPT, trace=TRACE_64),
            f"{TRACE_64}-{SPAN}-1",
            {"x-b3-traceid": TRACE_64, "x-b3-spanid": SPAN, "x-b3-sampled": "1"},
            id="64 bit are not padded",
        ),
    ],
)
def test_both_spellings_are_written(
    context: TraceContext, single: str, multi: dict[str, str]
) -> None:
    """A context is written as b3 and as x-b3-*."""
    assert single == b3.format_b3(context)
    assert multi == b3.format_b3_multi(context)


def test_nothing_cannot_be_written_as_b3() -> None:
    """A context without ids and without a decision has no b3; an empty field is never sent."""
    with pytest.raises(ValueError, match="needs ids or a decision"):
        b3.format_b3(TraceContext())


@given(st.text() | nearly(b3_singles))
def test_any_text_is_b3_or_malformed(value: str) -> None:
    """Any text is relayed as it is, or without its bad parent, or is MalformedHeaderError."""
    try:
        relayed = b3.relayable_b3(value)
    except MalformedHeaderError:
        with pytest.raises(MalformedHeaderError):
            b3.parse_b3(value)
    else:
        assert value == relayed or value.startswith(relayed + "-")
        assert relayed == b3.relayable_b3(relayed)
        assert b3.parse_b3(relayed) == b3.parse_b3(value)


LIVE = {**IDS, "x-b3-parentspanid": PARENT, "x-b3-sampled": "1"}

"""B3: one grammar, two spellings, four states."""

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
    b3_multis,
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


@pytest.mark.parametrize(
    ("carrier", "context"),
    [
        pytest.param({}, TraceContext(), id="nothing"),
        pytest.param(IDS, _context(Sampling.DEFER), id="ids without a decision: defer"),
        pytest.param({**IDS, "x-b3-sampled": "0"}, _context(Sampling.DENY), id="0: deny"),
        pytest.param({**IDS, "x-b3-sampled": "1"}, _context(Sampling.ACCEPT), id="1: accept"),
        pytest.param({**IDS, "x-b3-sampled": "true"}, _context(Sampling.ACCEPT), id="true: accept"),
        pytest.param({**IDS, "x-b3-sampled": "TRUE"}, _context(Sampling.ACCEPT), id="TRUE: accept"),
        pytest.param({**IDS, "x-b3-sampled": "false"}, _context(Sampling.DENY), id="false: deny"),
        pytest.param(
            {**IDS, "x-b3-sampled": "d"}, _context(Sampling.DENY), id="d: deny, as Envoy has it"
        ),
        pytest.param({**IDS, "x-b3-flags": "1"}, _context(Sampling.DEBUG), id="flags 1: debug"),
        pytest.param(
            {**IDS, "x-b3-flags": "1", "x-b3-sampled": "0"},
            _context(Sampling.DEBUG),
            id="flags 1 beside 0: debug",
        ),
        pytest.param(
            {**IDS, "x-b3-flags": "1", "x-b3-sampled": "1"},
            _context(Sampling.DEBUG),
            id="flags 1 beside 1: debug",
        ),
        pytest.param({**IDS, "x-b3-flags": "0"}, _context(Sampling.DEFER), id="flags 0: defer"),
        pytest.param(
            {"x-b3-sampled": "0"}, TraceContext(sampling=Sampling.DENY), id="deny without ids"
        ),
        pytest.param(
            {"x-b3-sampled": "1"}, TraceContext(sampling=Sampling.ACCEPT), id="accept without ids"
        ),
        pytest.param(
            {"x-b3-flags": "1"}, TraceContext(sampling=Sampling.DEBUG), id="debug without ids"
        ),
        pytest.param(
            {**IDS, "x-b3-parentspanid": PARENT}, _context(Sampling.DEFER, PARENT), id="a parent"
        ),
        pytest.param(
            {**IDS, "x-b3-traceid": TRACE_64},
            _context(Sampling.DEFER, trace=TRACE_64),
            id="a trace id of 64 bit stays 16 digits",
        ),
        pytest.param(
            {"x-b3-traceid": TRACE.upper(), "x-b3-spanid": SPAN.upper()},
            _context(Sampling.DEFER),
            id="upper case is read as lower case",
        ),
    ],
)
def test_good_multi_fields_are_read_and_relayed(
    carrier: dict[str, str], context: TraceContext
) -> None:
    """Every form of x-b3-* is read, and sent on as it came."""
    assert context == b3.parse_b3_multi(carrier)
    assert carrier == b3.relayable_b3_multi(carrier)


@pytest.mark.parametrize(
    ("alone", "context"),
    [
        pytest.param(
            {"x-b3-parentspanid": ""}, _context(Sampling.ACCEPT), id="an empty parent span id"
        ),
        pytest.param({"x-b3-parentspanid": "0" * 16}, _context(Sampling.ACCEPT), id="a zero one"),
        pytest.param({"x-b3-parentspanid": TRACE}, _context(Sampling.ACCEPT), id="one of 128 bit"),
        pytest.param({"x-b3-parentspanid": "x"}, _context(Sampling.ACCEPT), id="garbage for one"),
        pytest.param({"x-b3-flags": ""}, _context(Sampling.ACCEPT), id="empty flags"),
        pytest.param({"x-b3-flags": "2"}, _context(Sampling.ACCEPT), id="flags that say nothing"),
        pytest.param({"x-b3-flags": "d"}, _context(Sampling.ACCEPT), id="a letter for flags"),
    ],
)
def test_a_bad_parent_or_bad_flags_cost_only_themselves(
    alone: dict[str, str], context: TraceContext
) -> None:
    """The other fields are read and relayed without them."""
    good = {**IDS, "x-b3-sampled": "1"}
    assert context == b3.parse_b3_multi({**good, **alone})
    assert good == b3.relayable_b3_multi({**good, **alone})


def test_a_parent_of_no_span_is_left_out() -> None:
    """A parent span id beside a decision, but without ids, is not relayed."""
    carrier = {"x-b3-sampled": "1", "x-b3-parentspanid": PARENT}
    assert {"x-b3-sampled": "1"} == b3.relayable_b3_multi(carrier)


@pytest.mark.parametrize(
    ("carrier", "field"),
    [
        pytest.param({"x-b3-traceid": TRACE}, "x-b3-*", id="a trace id without a span id"),
        pytest.param({"x-b3-spanid": SPAN}, "x-b3-*", id="a span id without a trace id"),
        pytest.param(
            {"x-b3-traceid": TRACE, "x-b3-sampled": "1"}, "x-b3-*", id="half of the ids, decided"
        ),
        pytest.param({**IDS, "x-b3-traceid": ""}, "x-b3-*", id="an empty trace id"),
        pytest.param({**IDS, "x-b3-spanid": ""}, "x-b3-*", id="an empty span id"),
        pytest.param({**IDS, "x-b3-traceid": "0" * 32}, "x-b3-*", id="a zero trace id"),
        pytest.param({**IDS, "x-b3-traceid": "0" * 16}, "x-b3-*", id="a zero trace id of 64 bit"),
        pytest.param({**IDS, "x-b3-spanid": "0" * 16}, "x-b3-*", id="a zero span id"),
        pytest.param({**IDS, "x-b3-traceid": TRACE[:20]}, "x-b3-*", id="a trace id of 20 digits"),
        pytest.param(
            {**IDS, "x-b3-traceid": TRACE_64[:15]}, "x-b3-*", id="a trace id of 15 digits"
        ),
        pytest.param(
            {**IDS, "x-b3-traceid": "xyz" + TRACE[3:]}, "x-b3-*", id="a trace id that is not hex"
        ),
        pytest.param({**IDS, "x-b3-spanid": TRACE}, "x-b3-*", id="a span id of 32 digits"),
        pytest.param(
            {"x-b3-traceid": f"{TRACE}-{SPAN}", "x-b3-spanid": ""},
            "x-b3-*",
            id="both ids in one field",
        ),
        pytest.param({**IDS, "x-b3-spanid": SPAN + "\n"}, "x-b3-*", id="a line feed behind an id"),
        pytest.param({**IDS, "x-b3-sampled": ""}, "x-b3-sampled", id="an empty decision"),
        pytest.param({**IDS, "x-b3-sampled": "2"}, "x-b3-sampled", id="a decision that is none"),
        pytest.param({**IDS, "x-b3-sampled": "1\n"}, "x-b3-sampled", id="a line feed behind one"),
        pytest.param({"x-b3-sampled": "maybe"}, "x-b3-sampled", id="a bad decision alone"),
        pytest.param(
            {**IDS, "x-b3-sampled": "\u0661"}, "x-b3-sampled", id="a one that is not ASCII"
        ),
    ],
)
def test_malformed_multi_fields_are_refused_whole(carrier: dict[str, str], field: str) -> None:
    """Half of the ids, bad ids or a bad decision make all of x-b3-* malformed."""
    with pytest.raises(MalformedHeaderError) as parsing:
        b3.parse_b3_multi(carrier)
    with pytest.raises(MalformedHeaderError) as relaying:
        b3.relayable_b3_multi(carrier)
    assert [field, field] == [parsing.value.field, relaying.value.field]


@given(contexts.filter(lambda context: context != TraceContext()))
def test_a_context_survives_b3(context: TraceContext) -> None:
    """Reading what was written gives the context back, but an undecided one cannot say a parent."""
    undecided = context.sampling is Sampling.DEFER
    expected = _without_parent(context) if undecided else context
    assert expected == b3.parse_b3(b3.format_b3(context))


@given(contexts)
def test_a_context_survives_multi_fields(context: TraceContext) -> None:
    """Reading what was written gives the context back, parent and all four states included."""
    assert context == b3.parse_b3_multi(b3.format_b3_multi(context))


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


@given(
    b3_multis.flatmap(
        lambda good: st.fixed_dictionaries(
            {name: st.just(value) | nearly(st.just(value)) for name, value in good.items()}
        )
    )
    | st.dictionaries(st.sampled_from(b3.FIELDS) | st.text(), st.text())
)
def test_any_fields_are_b3_or_malformed(carrier: dict[str, str]) -> None:
    """Any fields are relayed as they are, but for the bad ones, or are MalformedHeaderError."""
    try:
        relayed = b3.relayable_b3_multi(carrier)
    except MalformedHeaderError:
        with pytest.raises(MalformedHeaderError):
            b3.parse_b3_multi(carrier)
    else:
        assert relayed.items() <= carrier.items()
        ours = set(b3.MULTI_FIELDS) & carrier.keys()
        assert ours - relayed.keys() <= {"x-b3-parentspanid", "x-b3-flags"}
        assert b3.parse_b3_multi(relayed) == b3.parse_b3_multi(carrier)


LIVE = {**IDS, "x-b3-parentspanid": PARENT, "x-b3-sampled": "1"}


@pytest.mark.parametrize(
    ("single", "multi"),
    [
        pytest.param("0", LIVE, id="a deny without ids beside ids"),
        pytest.param("1", LIVE, id="an accept without ids beside ids"),
        pytest.param("d", LIVE, id="a debug without ids beside ids"),
        pytest.param("0", IDS, id="a decision beside ids that have no parent"),
        pytest.param(f"{TRACE}-{PARENT}-1", LIVE, id="the parent of the span that x-b3-* names"),
        pytest.param(f"{TRACE}-{PARENT}", LIVE, id="the same, undecided"),
        pytest.param(f"{TRACE}-{PARENT}-d-{SPAN}", LIVE, id="the same, with a parent of its own"),
        pytest.param(f"{TRACE}-{PARENT}-1".upper(), LIVE, id="the same, in upper case"),
        pytest.param(
            f"{TRACE}-{PARENT}-1",
            {name: value.upper() for name, value in LIVE.items()},
            id="the same, beside x-b3-* in upper case",
        ),
        pytest.param(
            f"{TRACE_64}-{PARENT}-1",
            {**LIVE, "x-b3-traceid": "0" * 16 + TRACE_64},
            id="the same, in another width",
        ),
        pytest.param(
            f"{'0' * 16}{TRACE_64}-{PARENT}-1",
            {**LIVE, "x-b3-traceid": TRACE_64},
            id="the same, in the other width",
        ),
    ],
)
def test_a_b3_is_stale(single: str, multi: dict[str, str]) -> None:
    """A b3 that Envoy did not refresh names no ids, or the parent of what it wrote beside it."""
    assert b3.is_stale(single, multi)


@pytest.mark.parametrize(
    ("single", "multi"),
    [
        pytest.param(f"{TRACE}-{SPAN}-1", LIVE, id="the same span as x-b3-*"),
        pytest.param(f"{TRACE}-{SPAN}-1-{PARENT}", LIVE, id="the same span and the same parent"),
        pytest.param(f"{TRACE[::-1]}-{PARENT}-1", LIVE, id="another trace"),
        pytest.param(f"{TRACE}-{SPAN}-1", IDS, id="x-b3-* without a parent"),
        pytest.param(f"{TRACE}-{SPAN[::-1]}-1", LIVE, id="another span of the trace"),
        pytest.param("0", {"x-b3-sampled": "1"}, id="x-b3-* without ids"),
        pytest.param("d", {}, id="nothing beside it"),
    ],
)
def test_a_b3_is_alive(single: str, multi: dict[str, str]) -> None:
    """Every other b3 is relayed beside x-b3-*."""
    assert not b3.is_stale(single, multi)

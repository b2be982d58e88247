"""W3C Trace Context: traceparent and tracestate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace import MalformedHeaderError, Sampling, TraceContext
from meshtrace.formats import w3c
from tests.formats.strategies import (
    SPAN,
    TRACE,
    TRACEPARENT,
    nearly,
    span_ids,
    trace_ids,
    trace_ids_128,
    traceparents,
    tracestate_members,
)

ACCEPTED = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=Sampling.ACCEPT)
DENIED = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=Sampling.DENY)
RANDOM = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=Sampling.ACCEPT, random=True)

texts = st.text() | nearly(traceparents) | nearly(st.just(TRACEPARENT + "-more"))


@pytest.mark.parametrize(
    ("value", "context"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", ACCEPTED, id="flags 01: sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", DENIED, id="flags 00: not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", RANDOM, id="flags 03: sampled and random"),
        pytest.param(f"00-{TRACE}-{SPAN}-fd", ACCEPTED, id="flags without a meaning are not kept"),
        pytest.param(f"00-{TRACE}-{SPAN}-FF", RANDOM, id="flags in upper case"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN.upper()}-01", ACCEPTED, id="ids in upper case"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", ACCEPTED, id="version 01 of 55 characters"),
        pytest.param(f"fe-{TRACE}-{SPAN}-01", ACCEPTED, id="the last version there can be"),
    ],
)
def test_a_traceparent_of_55_characters_is_read_and_relayed(
    value: str, context: TraceContext
) -> None:
    """A traceparent of four hex fields is a parent, and may be sent on as it came."""
    assert context == w3c.parse_traceparent(value)
    assert w3c.is_traceparent(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"01-{TRACE}-{SPAN}-01-extra", id="more fields"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-", id="an empty field more"),
        pytest.param(f"CC-{TRACE}-{SPAN}-01-\N{EURO SIGN}", id="anything at all behind the dash"),
    ],
)
def test_a_longer_traceparent_of_a_later_version_is_a_parent_only(value: str) -> None:
    """It is read by its first 55 characters, but not relayed: it would poison Envoy."""
    assert ACCEPTED == w3c.parse_traceparent(value)
    assert not w3c.is_traceparent(value)


NO_TRACEPARENT = [
    pytest.param("", id="empty"),
    pytest.param("hello", id="garbage"),
    pytest.param("00-bad", id="the beginning of one"),
    pytest.param(TRACEPARENT[:-1], id="54 characters"),
    pytest.param(TRACEPARENT + "1", id="56 characters"),
    pytest.param(TRACEPARENT + "-extra", id="version 00 with more fields"),
    pytest.param(TRACEPARENT + "-", id="version 00 with a dash behind"),
    pytest.param(f"01-{TRACE}-{SPAN}-01extra", id="a later version without a dash behind"),
    pytest.param(f"ff-{TRACE}-{SPAN}-01", id="version ff"),
    pytest.param(f"fF-{TRACE}-{SPAN}-01", id="version ff in mixed case"),
    pytest.param(f"ff-{TRACE}-{SPAN}-01-more", id="version ff with more fields"),
    pytest.param(f"0x-{TRACE}-{SPAN}-01", id="a version that is not hex"),
    pytest.param(f"00-xy{TRACE[2:]}-{SPAN}-01", id="a trace id that is not hex"),
    pytest.param(f"00-{TRACE}-xy{SPAN[2:]}-01", id="a span id that is not hex"),
    pytest.param(f"00-{TRACE}-{SPAN}-0x", id="flags that are not hex"),
    pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="a zero trace id"),
    pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="a zero span id"),
    pytest.param(f"00-{TRACE[16:]}-{SPAN}-01", id="a trace id of 64 bit"),
    pytest.param(f"00_{TRACE}_{SPAN}_01", id="other separators"),
    pytest.param(f"{TRACEPARENT}, {TRACEPARENT}", id="two in one line"),
    pytest.param(TRACEPARENT + "\n", id="a line feed behind"),
    pytest.param(" " + TRACEPARENT, id="a blank before: values are stripped before"),
    pytest.param(f"00-{TRACE[:-1]}\u0663-{SPAN}-01", id="a digit that is not ASCII"),
    pytest.param(f"00-{TRACE[:-1]}\uff11-{SPAN}-01", id="a fullwidth digit"),
]


@pytest.mark.parametrize("value", NO_TRACEPARENT)
def test_what_is_no_traceparent_is_refused(value: str) -> None:
    """Whatever else stands in the field is malformed, and not relayed."""
    with pytest.raises(MalformedHeaderError, match="traceparent: "):
        w3c.parse_traceparent(value)
    assert not w3c.is_traceparent(value)


@given(
    trace_id=trace_ids_128,
    span_id=span_ids,
    sampling=st.sampled_from([Sampling.ACCEPT, Sampling.DENY]),
    random=st.booleans(),
)
def test_a_context_survives_traceparent(
    trace_id: str, span_id: str, sampling: Sampling, *, random: bool
) -> None:
    """Reading what was written gives the context back."""
    context = TraceContext(trace_id=trace_id, span_id=span_id, sampling=sampling, random=random)
    assert context == w3c.parse_traceparent(w3c.format_traceparent(context))


@given(trace_ids, span_ids, st.sampled_from(Sampling))
def test_what_is_written_as_traceparent_is_one(
    trace_id: str, span_id: str, sampling: Sampling
) -> None:
    """Every context with ids is written as 55 characters of version 00, a short id padded."""
    context = TraceContext(trace_id=trace_id, span_id=span_id, sampling=sampling)
    value = w3c.format_traceparent(context)
    assert w3c.is_traceparent(value)
    assert f"00-{trace_id.rjust(32, '0')}-{span_id}-" == value[:-2]


@pytest.mark.parametrize(
    ("sampling", "flags"),
    [
        pytest.param(Sampling.ACCEPT, "01", id="accept: sampled"),
        pytest.param(Sampling.DEBUG, "01", id="debug: sampled"),
        pytest.param(Sampling.DENY, "00", id="deny: not sampled"),
        pytest.param(Sampling.DEFER, "00", id="defer: not sampled, for there is no third state"),
    ],
)
def test_the_four_states_have_two_flags(sampling: Sampling, flags: str) -> None:
    """Traceparent knows sampled or not, nothing else."""
    context = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=sampling)
    assert f"00-{TRACE}-{SPAN}-{flags}" == w3c.format_traceparent(context)


def test_a_context_without_ids_cannot_be_written_as_traceparent() -> None:
    """No id is made up."""
    with pytest.raises(ValueError, match="needs a trace id"):
        w3c.format_traceparent(TraceContext(sampling=Sampling.ACCEPT))


@given(texts)
def test_any_text_is_a_traceparent_or_malformed(value: str) -> None:
    """Any text gives a context or is malformed; relayed is what is read in 55 characters."""
    try:
        context = w3c.parse_traceparent(value)
    except MalformedHeaderError:
        assert not w3c.is_traceparent(value)
    else:
        assert bool(w3c.is_traceparent(value)) is (len(value) == 55)
        assert value[3:52].lower() == f"{context.trace_id}-{context.span_id}"


def _members(count: int) -> str:
    return ",".join(f"k{number}=v" for number in range(count))


@pytest.mark.parametrize(
    ("value", "members"),
    [
        pytest.param("congo=t61rcWkgMzE", [("congo", "t61rcWkgMzE")], id="one member"),
        pytest.param(
            "dd=s:1;p:34b7063e298f4f73;t.dm:-0,rojo=00f067aa0ba902b7",
            [("dd", "s:1;p:34b7063e298f4f73;t.dm:-0"), ("rojo", "00f067aa0ba902b7")],
            id="two members, in their order",
        ),
        pytest.param("", [], id="empty is normal: Envoy's OpenTelemetry tracer sends it"),
        pytest.param(",", [], id="a comma alone"),
        pytest.param(" ,\t, ", [], id="blank members alone"),
        pytest.param(",a=1,,b=2,", [("a", "1"), ("b", "2")], id="empty members are allowed"),
        pytest.param(
            "a=1 ,\tb=2\t, c=3", [("a", "1"), ("b", "2"), ("c", "3")], id="blanks and tabs around"
        ),
        pytest.param("a=1 2", [("a", "1 2")], id="a space inside a value"),
        pytest.param("a= 1", [("a", " 1")], id="a space at the beginning of a value"),
        pytest.param("a=1,a=2,a=1", [("a", "1"), ("a", "2"), ("a", "1")], id="a key that repeats"),
        pytest.param("0a=1", [("0a", "1")], id="a key that begins with a digit (level 2)"),
        pytest.param("9=1", [("9", "1")], id="a key that is a digit"),
        pytest.param("z=1", [("z", "1")], id="a key that is the last letter"),
        pytest.param("fw529a3039@dt=F", [("fw529a3039@dt", "F")], id="a key with a tenant"),
        pytest.param("a@b@c=1", [("a@b@c", "1")], id="a key with two @ (level 2)"),
        pytest.param("a_-*/@=1", [("a_-*/@", "1")], id="all that a key may have"),
        pytest.param(f"{'k' * 256}=1", [("k" * 256, "1")], id="a key of 256 characters"),
        pytest.param(f"k={'v' * 256}", [("k", "v" * 256)], id="a value of 256 characters"),
        pytest.param("k=!+-<>~:;", [("k", "!+-<>~:;")], id="the edges of what a value may have"),
        pytest.param(_members(32), [(f"k{number}", "v") for number in range(32)], id="32 members"),
        pytest.param(
            "," * 40 + "a=1", [("a", "1")], id="empty members do not count towards the 32"
        ),
    ],
)
def test_a_tracestate_of_level_2_is_read_and_relayed(
    value: str, members: list[tuple[str, str]]
) -> None:
    """A tracestate is read member by member, and may be sent on as it came."""
    assert tuple(members) == w3c.parse_tracestate(value)
    assert w3c.is_tracestate(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("congo", id="a key alone"),
        pytest.param("=v", id="no key"),
        pytest.param("k=", id="an empty value"),
        pytest.param("k=1=2", id="two equals signs"),
        pytest.param("k =1", id="a space behind the key"),
        pytest.param("K=1", id="a key in upper case"),
        pytest.param("_k=1", id="a key that begins with neither letter nor digit"),
        pytest.param("@k=1", id="a key without what is before the @"),
        pytest.param("k.a=1", id="a dot in a key"),
        pytest.param(f"{'k' * 257}=1", id="a key of 257 characters"),
        pytest.param(f"k={'v' * 257}", id="a value of 257 characters"),
        pytest.param("k=a\tb", id="a tab inside a value"),
        pytest.param("k=\x7f", id="a control character in a value"),
        pytest.param("k=1\n", id="a line feed behind"),
        pytest.param("k=1\n,b=2", id="a line feed behind a member"),
        pytest.param("k=1\xa0", id="a blank that is not ASCII"),
        pytest.param("k=\u0663", id="a digit that is not ASCII"),
        pytest.param("\u0663=1", id="a key that is not ASCII"),
        pytest.param("a=1,no member,b=2", id="one bad member among good ones"),
        pytest.param(_members(33), id="33 members"),
    ],
)
def test_what_is_no_tracestate_is_refused_whole(value: str) -> None:
    """One bad member, or one too many, makes all of it malformed."""
    with pytest.raises(MalformedHeaderError, match="tracestate: "):
        w3c.parse_tracestate(value)
    assert not w3c.is_tracestate(value)


@given(tracestate_members)
def test_members_survive_tracestate(members: tuple[tuple[str, str], ...]) -> None:
    """Reading what was written gives the members back, in order, repeated keys and all."""
    assert members == w3c.parse_tracestate(w3c.format_tracestate(members))


@given(
    st.text()
    | nearly(tracestate_members.map(w3c.format_tracestate))
    | st.lists(st.sampled_from(["a=1", "", " ", "\t", "b", "=", "c=d=e", "\n"])).map(",".join)
)
def test_any_text_is_a_tracestate_or_malformed(value: str) -> None:
    """Any text gives members that are written and read alike, or MalformedHeaderError."""
    try:
        members = w3c.parse_tracestate(value)
    except MalformedHeaderError:
        assert not w3c.is_tracestate(value)
    else:
        assert w3c.is_tracestate(value)
        assert members == w3c.parse_tracestate(",".join(map("=".join, members)))


@pytest.mark.parametrize(
    "members",
    [
        pytest.param((("k", "a,b=c"),), id="a value that would be read as two members"),
        pytest.param((("k", "v "),), id="a value whose last space would be lost"),
        pytest.param(((" k", "v"),), id="a key whose blank would be lost"),
        pytest.param((("k", ""),), id="an empty value"),
        pytest.param((("K", "v"),), id="a key in upper case"),
        pytest.param(tuple((f"k{number}", "v") for number in range(33)), id="33 members"),
    ],
)
def test_a_tracestate_that_would_not_come_back_is_not_written(
    members: tuple[tuple[str, str], ...],
) -> None:
    """What would be read as something else cannot be written."""
    with pytest.raises(MalformedHeaderError, match="tracestate: "):
        w3c.format_tracestate(members)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a" * 1_000_000, id="a key without end"),
        pytest.param("a=" + "b" * 1_000_000, id="a value without end"),
        pytest.param("a=" + " " * 1_000_000 + ",b", id="blanks without end"),
        pytest.param("a=b" + " =" * 500_000, id="equals signs without end"),
        pytest.param(" ," * 500_000 + "b", id="members without end"),
        pytest.param(f"01-{TRACE}-{SPAN}-0" + "0" * 1_000_000, id="a field without end"),
        pytest.param("0" * 1_000_000, id="zeros without end"),
    ],
)
def test_a_long_text_is_refused_in_linear_time(value: str) -> None:
    """A million characters are refused as ten are: the test would not end otherwise."""
    assert not w3c.is_traceparent(value)
    assert not w3c.is_tracestate(value)
    with pytest.raises(MalformedHeaderError):
        w3c.parse_traceparent(value)

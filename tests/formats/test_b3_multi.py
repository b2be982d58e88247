"""B3 as x-b3-*: one grammar, in several fields."""

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
    contexts,
    nearly,
)

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}


def _context(sampling: Sampling, parent: str | None = None, trace: str = TRACE) -> TraceContext:
    return TraceContext(trace_id=trace, span_id=SPAN, parent_span_id=parent, sampling=sampling)


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


@given(contexts)
def test_a_context_survives_multi_fields(context: TraceContext) -> None:
    """Reading what was written gives the context back, parent and all four states included."""
    assert context == b3.parse_b3_multi(b3.format_b3_multi(context))


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

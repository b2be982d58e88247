"""What the properties of the codecs, and of what stands on them, are tried on."""

from hypothesis import strategies as st

from meshtrace import Sampling, TraceContext

TRACE = "80f198ee56343ba864fe8b2a57d3eff7"
TRACE_64 = "64fe8b2a57d3eff7"
SPAN = "e457b5a2e4d86bd1"
PARENT = "05e3ac9a4f6e3b90"

TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def _hex(*digits: int) -> st.SearchStrategy[str]:
    """Hex digits in one of some widths, not all of them zero."""
    sizes = st.sampled_from(digits)
    texts = sizes.flatmap(lambda size: st.text("0123456789abcdef", min_size=size, max_size=size))
    return texts.filter(lambda text: text.strip("0") != "")


trace_ids = _hex(16, 32)
trace_ids_128 = _hex(32)
span_ids = _hex(16)

in_any_case = st.sampled_from([str.lower, str.upper, str.title])
"""How a sender may spell hex digits."""

traceparents = st.builds(
    lambda version, trace, span, flags, case: case(f"{version}-{trace}-{span}-{flags}"),
    st.sampled_from(["00", "01", "cc", "fe"]),
    trace_ids_128,
    span_ids,
    st.integers(0, 255).map("{:02x}".format),
    in_any_case,
)
"""What may be relayed: 55 characters."""

_decisions = st.sampled_from(["0", "1", "d"])

b3_singles = st.one_of(
    _decisions,
    st.builds("{}-{}".format, trace_ids, span_ids),
    st.builds("{}-{}-{}".format, trace_ids, span_ids, _decisions),
    st.builds("{}-{}-{}-{}".format, trace_ids, span_ids, _decisions, span_ids),
)
"""Every form of a good ``b3``."""

_b3_states = st.fixed_dictionaries(
    {},
    optional={
        "x-b3-sampled": st.sampled_from(["0", "1", "true", "false", "True", "FALSE", "d"]),
        "x-b3-flags": st.sampled_from(["0", "1"]),
    },
)
_b3_ids = st.fixed_dictionaries(
    {"x-b3-traceid": trace_ids, "x-b3-spanid": span_ids},
    optional={"x-b3-parentspanid": span_ids},
)

b3_multis = st.builds(dict.__or__, st.one_of(st.just({}), _b3_ids), _b3_states)
"""Every form of good ``x-b3-*``, with and without ids."""

_key = st.text("a0_-*/@", max_size=4).map("k{}".format)
_value = st.text("a0 !+-<>~:;", max_size=6).map("{}v".format)

tracestate_members = st.lists(st.tuples(_key, _value), max_size=32).map(tuple)
"""The members of a good ``tracestate``; keys may repeat."""

contexts = st.one_of(
    st.builds(
        TraceContext,
        trace_id=trace_ids,
        span_id=span_ids,
        parent_span_id=st.none() | span_ids,
        sampling=st.sampled_from(Sampling),
    ),
    st.builds(TraceContext, sampling=st.sampled_from(Sampling)),
)
"""All that B3 can carry."""

_TRICKY = "0fF1dg-,=; \t\n\r\0\x7f\u00e9\u0663\u2028"


def nearly(good: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Good texts in which one place was changed, lost or gained a character."""

    def changed(text: str, place: int, kept: int, new: str) -> str:
        place %= len(text) + 1
        return text[:place] + new + text[place + kept :]

    return st.builds(
        changed,
        good,
        st.integers(0, 200),
        st.integers(0, 1),
        st.sampled_from(["", *_TRICKY]),
    )

"""Whatever may come in, under settings of all kinds."""

from hypothesis import strategies as st

from meshtrace import Limits
from meshtrace.formats import w3c
from meshtrace.settings import Options
from tests.formats.strategies import (
    PARENT,
    SPAN,
    TRACE,
    TRACEPARENT,
    b3_multis,
    b3_singles,
    nearly,
    traceparents,
    tracestate_members,
)

Pairs = list[tuple[str, str]]

IDS = {
    "x-request-id": "e760f6fc-9470-959d-825a-2128391da21f",
    "traceparent": TRACEPARENT,
    "b3": f"{TRACE}-{SPAN}-1",
    "x-b3-traceid": TRACE[::-1],
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
    "x-b3-flags": "0",
    "x-datadog-trace-id": "16618048217826793319",
    "x-datadog-parent-id": "3791500164402016115",
    "x-datadog-sampling-priority": "-1",
}
"""Every field that any host may have, all of it good, no part of it stale."""

VENDOR_DATA = {
    "tracestate": "dd=s:1;p:34b7063e298f4f73;t.dm:-0,congo=t61rcWkgMzE",
    "sw8": "1-ZGZnLQ==-MTIzNA==-1-c3Zj-aW5z-L2FwaQ==-cmF0aW5ncw==",
    "sw8-x": "0-1602743904804",
    "x-datadog-tags": "_dd.p.tid=6b03607300000000,_dd.p.dm=-0",
    "x-datadog-origin": "synthetics",
    "x-amzn-trace-id": "Root=1-6b03607b-abcdef012345678912345678;Sampled=1",
    "x-cloud-trace-context": f"{TRACE}/1;o=1",
    "x-ot-span-context": f"{TRACE[16:]};{SPAN};0000000000000000;cs",
}
"""Every field that only hosts of the mesh may have, all of it good."""

USER_DATA = "end-user,x-route-*,baggage,sw8-correlation"
"""What user data may be relayed, as a setting."""

_names = st.sampled_from([*IDS, *VENDOR_DATA, "end-user", "x-route-to", "baggage", "host"])
_states = tracestate_members.map(w3c.format_tracestate)
_values = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.sampled_from(["", " ", "0", "1", "d", "a", "x" * 200, "x" * 5000, TRACE, SPAN, PARENT]),
    traceparents,
    nearly(traceparents | b3_singles | _states),
).map(lambda value: value.encode("latin-1", "replace").decode("latin-1"))
_wild = st.lists(st.tuples(_names, _values), max_size=12)
_tame = st.builds(
    lambda *formats: [pair for fields in formats for pair in fields.items()],
    st.fixed_dictionaries({}, optional={"traceparent": traceparents, "b3": b3_singles}),
    b3_multis,
    st.fixed_dictionaries({}, optional={"tracestate": _states}),
)

anything = st.builds(list.__add__, _tame, _wild).flatmap(st.permutations)
"""Fields in any order, good, nearly good and bad, repeated or not, of any bytes."""

options: st.SearchStrategy[Options] = st.sampled_from(
    [
        {},
        {"forward": USER_DATA},
        {"incoming": "ids", "forward": "end-user"},
        {"incoming": "ignore"},
        {"trace_fields": "-b3,-x-b3-sampled,+end-user"},
        {"forward": "baggage.a,x-*", "limits": Limits(field=100, baggage=20, total=300)},
        {"limits": Limits(request_id=0, field=5, total=60)},
    ]
)
"""Settings of a middleware."""

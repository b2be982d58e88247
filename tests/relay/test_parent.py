"""Which of the formats that came names the remote parent, where they disagree."""

import pytest
from hypothesis import given

from meshtrace import Sampling, TraceContext
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.judge import judge
from meshtrace.relay.parent import remote_parent
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Incoming, Parent
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64
from tests.relay.strategies import Pairs, anything

OTHER = TRACE[::-1]
OTHER_SPAN = SPAN[::-1]

W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
B3 = {"x-b3-traceid": OTHER, "x-b3-spanid": OTHER_SPAN, "x-b3-sampled": "0"}
SINGLE = {"b3": f"{OTHER}-{OTHER_SPAN}-0"}
DATADOG = {"x-datadog-trace-id": str(int(TRACE[16:], 16))}

FROM_W3C = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=Sampling.ACCEPT)
FROM_B3 = TraceContext(trace_id=OTHER, span_id=OTHER_SPAN, sampling=Sampling.DENY)


def _parent(carrier: dict[str, str], prefer: Parent = "auto") -> TraceContext:
    return remote_parent(judge([*carrier.items()], InboundRules.of()), prefer)


@pytest.mark.parametrize(
    ("carrier", "parent"),
    [
        pytest.param({}, TraceContext(), id="nothing came"),
        pytest.param(W3C, FROM_W3C, id="W3C alone"),
        pytest.param(B3, FROM_B3, id="x-b3-* alone"),
        pytest.param(SINGLE, FROM_B3, id="b3 alone"),
        pytest.param(
            {"b3": "d"}, TraceContext(sampling=Sampling.DEBUG), id="a decision without ids"
        ),
        pytest.param(
            {"x-request-id": "order-4711"},
            TraceContext(request_id="order-4711"),
            id="a request id alone",
        ),
        pytest.param(
            {**W3C, "b3": "0"}, FROM_W3C, id="ids in W3C, a decision in B3: the ids count"
        ),
        pytest.param({"traceparent": "00-bad", **B3}, FROM_B3, id="a bad format does not count"),
        pytest.param(
            {"traceparent": f"{W3C['traceparent'].replace('00-', '01-', 1)}-more"},
            FROM_W3C,
            id="a longer traceparent of a later version is a parent",
        ),
        pytest.param(
            {**SINGLE, "x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
            FROM_B3,
            id="b3 beats x-b3-*, as in Envoy",
        ),
    ],
)
def test_the_parent_where_one_format_names_it(
    carrier: dict[str, str], parent: TraceContext
) -> None:
    """Without a choice, no setting counts."""
    assert [parent] * 3 == [
        _parent(carrier),
        _parent(carrier, prefer="w3c"),
        _parent(carrier, prefer="b3"),
    ]


@pytest.mark.parametrize(
    ("b3", "parent"),
    [
        pytest.param(
            {
                "x-b3-traceid": TRACE,
                "x-b3-spanid": SPAN,
                "x-b3-parentspanid": PARENT,
                "x-b3-flags": "1",
            },
            TraceContext(
                trace_id=TRACE, span_id=SPAN, parent_span_id=PARENT, sampling=Sampling.DEBUG
            ),
            id="B3 knows the parent's parent and debug",
        ),
        pytest.param(
            {"b3": f"{TRACE.upper()}-{SPAN}"},
            FROM_W3C,
            id="in whatever case; W3C has decided",
        ),
        pytest.param(
            {"traceparent": f"00-{TRACE}-{SPAN}-02", "b3": f"{TRACE}-{SPAN}"},
            TraceContext(trace_id=TRACE, span_id=SPAN, random=True),
            id="nobody has decided; W3C knows that the id is random",
        ),
    ],
)
def test_formats_that_agree(b3: dict[str, str], parent: TraceContext) -> None:
    """The formats name one trace: B3 says more of it."""
    assert [parent] * 2 == [_parent({**W3C, **b3}), _parent({**W3C, **b3}, prefer="w3c")]


@pytest.mark.parametrize(
    ("beside", "sampling", "from_w3c", "from_b3"),
    [
        pytest.param(
            {},
            "1",
            Sampling.ACCEPT,
            Sampling.ACCEPT,
            id="both accept",
        ),
        pytest.param({}, "d", Sampling.DEBUG, Sampling.DEBUG, id="a client's debug stays"),
        pytest.param({}, "0", Sampling.ACCEPT, Sampling.DENY, id="each has decided for itself"),
        pytest.param(
            {"traceparent": f"00-{TRACE}-{SPAN}-00"},
            "d",
            Sampling.DENY,
            Sampling.DEBUG,
            id="no debug of a trace that Envoy drops",
        ),
    ],
)
def test_formats_that_agree_on_the_trace_alone(
    beside: dict[str, str], sampling: str, from_w3c: Sampling, from_b3: Sampling
) -> None:
    """Of one trace, one of the spans is older: what tells Envoy's from a client's tells here."""
    came = {**W3C, "b3": f"{TRACE}-{OTHER_SPAN}-{sampling}", **beside}
    theirs = TraceContext(trace_id=TRACE, span_id=OTHER_SPAN, sampling=from_b3)
    envoys = TraceContext(trace_id=TRACE, span_id=SPAN, sampling=from_w3c)
    assert theirs == _parent(came)
    assert theirs == _parent({**came, "tracestate": ""}, prefer="b3")
    assert [envoys] * 3 == [
        _parent({**came, "tracestate": ""}),
        _parent({**came, **DATADOG}),
        _parent(came, prefer="w3c"),
    ]


def test_16_digits_agree_with_the_same_32() -> None:
    """A trace id of 64 bit is padded in W3C; it keeps the width that Envoy reports."""
    carrier = {"traceparent": f"00-{TRACE_64:0>32}-{SPAN}-01", "b3": f"{TRACE_64}-{SPAN}-1"}
    assert TRACE_64 == _parent(carrier).trace_id


@pytest.mark.parametrize("b3", [pytest.param(B3, id="x-b3-*"), pytest.param(SINGLE, id="b3")])
@pytest.mark.parametrize(
    ("beside", "parent"),
    [
        pytest.param({}, FROM_B3, id="nothing more: B3, Istio's default"),
        pytest.param({"tracestate": "dd=s:1"}, FROM_B3, id="a tracestate that says something: B3"),
        pytest.param({"tracestate": ""}, FROM_W3C, id="an empty tracestate: W3C"),
        pytest.param(DATADOG, FROM_W3C, id="Datadog's id agrees: W3C"),
        pytest.param(
            {"x-datadog-trace-id": str(int(OTHER[16:], 16))},
            FROM_B3,
            id="Datadog's id disagrees: B3",
        ),
        pytest.param({"x-datadog-trace-id": TRACE}, FROM_B3, id="Datadog's id is no number: B3"),
        pytest.param({"x-datadog-trace-id": "9" * 4096}, FROM_B3, id="Datadog's id is endless: B3"),
    ],
)
def test_formats_that_disagree(
    b3: dict[str, str], beside: dict[str, str], parent: TraceContext
) -> None:
    """One of them is an outside client's: what Envoy's tracers leave behind says which."""
    carrier = {**W3C, **b3, **beside}
    assert parent == _parent(carrier)
    assert FROM_W3C == _parent(carrier, prefer="w3c")
    assert FROM_B3 == _parent(carrier, prefer="b3")


@pytest.mark.parametrize(
    ("incoming", "kept"),
    [
        pytest.param("trust", ("order-4711", TRACE), id="trust"),
        pytest.param("ids", ("order-4711", TRACE), id="ids"),
        pytest.param("ignore", (None, None), id="ignore"),
    ],
)
def test_the_parent_is_read_from_what_was_accepted(
    incoming: Incoming, kept: tuple[str | None, str | None]
) -> None:
    """What is not taken in says nothing; the request id is part of the context."""
    rules = InboundRules.of(incoming=incoming)
    context = from_carrier({**W3C, "x-request-id": "order-4711"}, rules).remote_parent()
    assert kept == (context.request_id, context.trace_id)


@given(anything)
def test_whatever_was_accepted_has_a_parent(pairs: Pairs) -> None:
    """Reading the parent raises nothing, and what it says was relayed or is a parent only."""
    accepted = judge(pairs, InboundRules.of())
    context = remote_parent(accepted)
    carried = "".join([*accepted.ids.values(), accepted.future_traceparent or ""]).lower()
    assert (context.trace_id or "") in carried
    assert accepted.ids.get("x-request-id") == context.request_id


def test_an_edge_service_sees_which_tracer_is_at_work() -> None:
    """At the edge, too, an empty tracestate tells that W3C is alive; one with text stays behind."""
    edge = InboundRules.of(incoming="ids")
    assert FROM_W3C == from_carrier({**W3C, **B3, "tracestate": ""}, edge).remote_parent()
    accepted = from_carrier({**W3C, "tracestate": "a=1"}, edge).accepted
    assert ({}, ["tracestate"]) == (accepted.vendor_data, [*accepted.dropped])

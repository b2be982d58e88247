"""What one request carried, in no header's spelling."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace import Sampling, TraceContext
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64, contexts


@pytest.mark.parametrize(
    "given_parts",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"trace_id": TRACE, "span_id": SPAN}, id="ids of 128 bit"),
        pytest.param({"trace_id": TRACE_64, "span_id": SPAN}, id="ids of 64 bit"),
        pytest.param(
            {"trace_id": TRACE, "span_id": SPAN, "parent_span_id": PARENT}, id="ids and a parent"
        ),
        pytest.param(
            {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1"}, id="the smallest ids"
        ),
        pytest.param({"sampling": Sampling.DENY}, id="a decision without ids"),
        pytest.param({"request_id": "order-4711"}, id="a request id alone"),
    ],
)
def test_a_context_keeps_what_it_was_given(given_parts: dict[str, object]) -> None:
    """Every part may be missing, and what is missing is None, undecided and not random."""
    context = TraceContext(**given_parts)  # type: ignore[arg-type]  # each is of its own type
    missing: dict[str, object] = {
        "trace_id": None,
        "span_id": None,
        "parent_span_id": None,
        "sampling": Sampling.DEFER,
        "random": False,
        "request_id": None,
    }
    assert missing | given_parts == {name: getattr(context, name) for name in missing}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        pytest.param({"trace_id": TRACE}, "come together", id="a trace id without a span id"),
        pytest.param({"span_id": SPAN}, "come together", id="a span id without a trace id"),
        pytest.param(
            {"trace_id": TRACE.upper(), "span_id": SPAN}, "trace_id", id="a trace id in upper case"
        ),
        pytest.param(
            {"trace_id": TRACE[:20], "span_id": SPAN}, "trace_id", id="a trace id of 20 digits"
        ),
        pytest.param({"trace_id": "", "span_id": SPAN}, "trace_id", id="an empty trace id"),
        pytest.param({"trace_id": "0" * 32, "span_id": SPAN}, "trace_id", id="a zero trace id"),
        pytest.param({"trace_id": "0" * 16, "span_id": SPAN}, "trace_id", id="a zero one of 64"),
        pytest.param(
            {"trace_id": TRACE + "\n", "span_id": SPAN}, "trace_id", id="a line feed behind it"
        ),
        pytest.param(
            {"trace_id": TRACE, "span_id": SPAN.upper()}, "span_id", id="a span id in upper case"
        ),
        pytest.param({"trace_id": TRACE, "span_id": "0" * 16}, "span_id", id="a zero span id"),
        pytest.param({"trace_id": TRACE, "span_id": TRACE}, "span_id", id="a span id of 32 digits"),
        pytest.param({"parent_span_id": PARENT}, "parent_span_id", id="a parent of no span"),
        pytest.param(
            {"trace_id": TRACE, "span_id": SPAN, "parent_span_id": "0" * 16},
            "parent_span_id",
            id="a zero parent",
        ),
        pytest.param(
            {"trace_id": TRACE, "span_id": SPAN, "parent_span_id": "x"},
            "parent_span_id",
            id="garbage for a parent",
        ),
    ],
)
def test_a_context_that_cannot_be_is_not_made(parts: dict[str, str], reason: str) -> None:
    """A bad id, or half of the ids, is a ValueError that says which."""
    with pytest.raises(ValueError, match=reason):
        TraceContext(**parts)  # type: ignore[arg-type]  # texts only


@pytest.mark.parametrize(
    ("context", "carries"),
    [
        pytest.param(TraceContext(), False, id="nothing"),
        pytest.param(TraceContext(trace_id=TRACE, span_id=SPAN), True, id="ids"),
        pytest.param(TraceContext(sampling=Sampling.DENY), True, id="a decision"),
        pytest.param(TraceContext(request_id="1"), True, id="a request id"),
    ],
)
def test_a_context_is_true_if_it_carries_anything(context: TraceContext, *, carries: bool) -> None:
    """An empty context is false, every other is true."""
    assert carries is bool(context)


@pytest.mark.parametrize(
    ("sampling", "random", "flags"),
    [
        pytest.param(Sampling.DEFER, False, 0, id="defer"),
        pytest.param(Sampling.DENY, False, 0, id="deny"),
        pytest.param(Sampling.ACCEPT, False, 1, id="accept"),
        pytest.param(Sampling.DEBUG, False, 1, id="debug"),
        pytest.param(Sampling.DENY, True, 2, id="deny, random"),
        pytest.param(Sampling.ACCEPT, True, 3, id="accept, random"),
    ],
)
def test_flags_are_w3c_s(*, sampling: Sampling, random: bool, flags: int) -> None:
    """Bit 0 is sampled, bit 1 is random."""
    assert flags == TraceContext(sampling=sampling, random=random).trace_flags


def test_sampling_has_the_four_states_of_b3() -> None:
    """Defer is a state, not a missing one."""
    assert ["defer", "deny", "accept", "debug"] == [state.value for state in Sampling]


def test_a_context_cannot_be_changed() -> None:
    """What a request carried is shared by all its threads, and none can change it."""
    context = TraceContext(sampling=Sampling.DENY)
    with pytest.raises(AttributeError, match="immutable"):
        context.sampling = Sampling.ACCEPT
    assert Sampling.DENY is context.sampling


@given(contexts, st.none() | st.just("order-4711"))
def test_a_context_is_a_value(context: TraceContext, request_id: str | None) -> None:
    """Contexts with the same parts are equal, and can be copied, pickled and used as keys."""
    context = context.of_request(request_id)
    twin = context.of_request(request_id)
    assert [context] * 3 == [twin, copy.deepcopy(context), pickle.loads(pickle.dumps(context))]  # noqa: S301 - pickled here
    assert 1 == len({context, twin})


@given(contexts)
def test_the_same_parent_of_a_request(context: TraceContext) -> None:
    """A context of a request is the same remote parent, and has the request's id."""
    of_request = context.of_request("order-4711")
    assert "order-4711" == of_request.request_id
    assert context == of_request.of_request(None)
    assert context != of_request

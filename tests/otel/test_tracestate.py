"""``tracestate`` through OpenTelemetry's samplers and spans."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context, trace
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import TraceState

import meshtrace
from meshtrace.formats import w3c
from meshtrace.otel.remote import remote_parent
from meshtrace.otel.tracestate import RelayedTraceState, tracestate_of
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import InboundRules
from tests.formats.strategies import SPAN, TRACE
from tests.otel.conftest import Exported

REVIEWS = "http://reviews:9080/"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
STRANGE = "9k=1 ,a=1,,a=2, b@c=x y"
"""A list that may be relayed, and that OpenTelemetry's own class would not keep."""


class _Adding(Sampler):
    """A sampler that puts a member of its own into what its parent has."""

    def should_sample(
        self,
        parent_context: context.Context | None,
        *_: Any,  # noqa: ANN401 - the SDK's own
        **__: Any,  # noqa: ANN401 - as above
    ) -> SamplingResult:
        """Record, and sign."""
        state = trace.get_current_span(parent_context).get_span_context().trace_state
        return SamplingResult(Decision.RECORD_AND_SAMPLE, trace_state=state.update("ot", "th:8"))

    def get_description(self) -> str:
        """Give a name."""
        return "adding"


def _sent(exported: Exported, tracestate: str) -> str | None:
    """Give the tracestate that goes out with a grandchild of what came."""
    meshtrace.configure(own_spans="join")
    came = {**TRACEPARENT, "tracestate": tracestate}
    snapshot = from_carrier(came, InboundRules.of())
    parent = remote_parent(snapshot)
    assert parent is not None
    tracer = exported.tracer
    with (
        meshtrace.use(came),
        trace.use_span(parent),
        tracer.start_as_current_span("outer"),
        tracer.start_as_current_span("inner"),
    ):
        return meshtrace.headers(REVIEWS).get("tracestate")


@pytest.mark.parametrize("tracestate", [STRANGE, "a=1", "dd=s:1;p:34b7063e298f4f73;t.dm:-0"])
def test_through_the_sdk(exported: Exported, tracestate: str) -> None:
    """What came goes out with every descendant as it came."""
    assert tracestate == _sent(exported, tracestate)


def test_a_sampler_that_adds(exported: Exported) -> None:
    """A member that a sampler adds goes out first, and all the others are kept."""
    exported.provider.sampler = ParentBased(
        _Adding(), remote_parent_sampled=_Adding(), local_parent_sampled=_Adding()
    )
    assert "ot=th:8,9k=1,a=1,a=2,b@c=x y" == _sent(exported, STRANGE)


@pytest.mark.parametrize(
    ("state", "came", "goes"),
    [
        pytest.param(TraceState(), "a=1 ,", "a=1 ,", id="none: as it came"),
        pytest.param(TraceState(), "", "", id="none, and none came"),
        pytest.param(TraceState([("a", "1")]), "a=1 ,", "a=1 ,", id="the same: as it came"),
        pytest.param(TraceState([("b", "2"), ("a", "1")]), "a=1 ,", "b=2,a=1", id="changed"),
        pytest.param(TraceState([("b", "2")]), "", "b=2", id="made"),
        pytest.param(RelayedTraceState(text=STRANGE), "c=1", STRANGE, id="ours"),
        pytest.param(RelayedTraceState(), "c=1", "", id="ours, emptied"),
    ],
)
def test_what_goes_out(state: TraceState, came: str, goes: str) -> None:
    """What came goes out as it came, until somebody changes it."""
    assert goes == tracestate_of(state, came)


class TestLikeAnyOther:
    """It is a TraceState to everybody who asks."""

    def test_as_a_mapping(self) -> None:
        """It maps each key to its first value, in order."""
        state = RelayedTraceState(text=STRANGE)
        assert {"9k": "1", "a": "1", "b@c": "x y"} == dict(state)
        assert ["9k", "a", "b@c"] == [*state.keys()] == [*state]
        assert ["1", "1", "x y"] == [*state.values()]
        assert [("9k", "1"), ("a", "1"), ("b@c", "x y")] == [*state.items()]
        assert [3, True, False, None] == [len(state), "a" in state, "z" in state, state.get("z")]

    @pytest.mark.parametrize(("text", "is_there"), [("a=1", True), ("", False), (" ,", False)])
    def test_its_truth(self, text: str, *, is_there: bool) -> None:
        """OpenTelemetry's propagator asks its truth value: whether there is any member."""
        assert is_there is bool(RelayedTraceState(text=text))

    def test_it_does_not_show_what_came(self) -> None:
        """In a log it does not show what others have sent."""
        assert "RelayedTraceState(1 members)" == repr(RelayedTraceState(text="secret=1"))

    def test_made_from_pairs(self) -> None:
        """It can be made as its base class is."""
        assert "a=1,b=2" == RelayedTraceState([("a", "1"), ("b", "2")]).to_header()
        assert "" == RelayedTraceState([]).to_header()


class TestChanging:
    """Every change gives another list."""

    STATE = RelayedTraceState(text="a=1,b=2,a=3")

    def test_adding(self) -> None:
        """What is added stands first; what is there already stays."""
        assert "c=4,a=1,b=2,a=3" == self.STATE.add("c", "4").to_header()
        assert self.STATE is self.STATE.add("a", "4")

    def test_updating(self) -> None:
        """What is updated stands first, once."""
        assert "a=4,b=2" == self.STATE.update("a", "4").to_header()

    def test_deleting(self) -> None:
        """What is deleted is gone, each time it came."""
        assert "b=2" == self.STATE.delete("a").to_header()
        assert self.STATE is self.STATE.delete("z")

    @pytest.mark.parametrize(("key", "value"), [("A", "1"), ("z", "1,b=2"), ("z", ""), ("", "1")])
    def test_what_cannot_be_written(self, key: str, value: str) -> None:
        """A member that cannot be written changes nothing."""
        assert self.STATE is self.STATE.add(key, value)
        assert self.STATE is self.STATE.update(key, value)

    @pytest.mark.parametrize(
        ("long", "left_out"),
        [
            pytest.param([], 31, id="from the end"),
            pytest.param([3], 3, id="a member over 128 characters first"),
            pytest.param([3, 7], 7, id="of several, the one nearest to the end"),
        ],
    )
    def test_more_than_32(self, long: Sequence[int], left_out: int) -> None:
        """Adding to a full list leaves one out."""
        members = [(f"k{number}", "v" * 200 if number in long else "v") for number in range(32)]
        added = RelayedTraceState(members).add("new", "1")
        others = [member for number, member in enumerate(members) if number != left_out]
        assert w3c.format_tracestate((("new", "1"), *others)) == added.to_header()

    def test_a_full_list_may_be_changed(self) -> None:
        """Updating a member of a full list leaves none out."""
        members = [(f"k{number}", "v") for number in range(32)]
        assert 32 == len(RelayedTraceState(members).update("k31", "w"))


_keys = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,8}", fullmatch=True)
_values = st.from_regex(
    r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,8}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True
)
_members = st.lists(st.tuples(_keys, _values), max_size=32)


@given(_members, _keys, _values)
def test_whatever_is_added(members: list[tuple[str, str]], key: str, value: str) -> None:
    """Whatever is added, the list can be relayed, begins with it, and only a full one is cut."""
    added = RelayedTraceState(members).update(key, value)
    kept = [member for member in members if member[0] != key]
    assert w3c.is_tracestate(added.to_header())
    assert [(key, value), *kept][:32] == [*w3c.parse_tracestate(added.to_header())]


@given(_members)
def test_whatever_came(members: list[tuple[str, str]]) -> None:
    """Whatever came, its keys and first values are found again."""
    text = " ,".join(f"{key}={value}" for key, value in members)
    state = RelayedTraceState(text=text)
    assert dict(reversed(members)) == dict(state)
    assert bool(members) is bool(state)
    assert text == state.to_header()

"""How much is relayed, and which part of baggage."""

import pytest

from meshtrace import Limits
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACEPARENT
from tests.relay.judging import all_of, goes_on, judged
from tests.relay.strategies import USER_DATA


@pytest.mark.parametrize(
    ("name", "length", "relayed"),
    [
        pytest.param("x-request-id", 128, True, id="a request id of 128"),
        pytest.param("x-request-id", 129, False, id="a request id of 129"),
        pytest.param("x-datadog-trace-id", 4096, True, id="an id of 4096"),
        pytest.param("x-datadog-trace-id", 4097, False, id="an id of 4097"),
        pytest.param("sw8", 4096, True, id="vendor data of 4096"),
        pytest.param("sw8", 4097, False, id="vendor data of 4097"),
        pytest.param("end-user", 4096, True, id="user data of 4096"),
        pytest.param("end-user", 4097, False, id="user data of 4097"),
        pytest.param("x-route-to", 4097, False, id="user data under a prefix, of 4097"),
    ],
)
def test_what_is_too_long_is_dropped_not_cut(name: str, length: int, *, relayed: bool) -> None:
    """A field within its limit goes on, a longer one does not."""
    value = "x" * length
    accepted = judged((name, value), forward=USER_DATA)
    assert ({name: value} if relayed else {}) == all_of(accepted)
    assert ({} if relayed else {name: "too long"}) == accepted.dropped


def test_a_tracestate_that_is_too_long_is_dropped_alone() -> None:
    """Its traceparent goes on."""
    state = ",".join(f"k{number}={'v' * 200}" for number in range(30))
    accepted = judged(("traceparent", TRACEPARENT), ("tracestate", state))
    assert {"traceparent": TRACEPARENT} == all_of(accepted)
    assert {"tracestate": "too long"} == accepted.dropped


@pytest.mark.parametrize(
    ("total", "left"),
    [
        pytest.param(1000, {"end-user", "sw8", "traceparent", "x-request-id"}, id="all of it fits"),
        pytest.param(400, {"sw8", "traceparent", "x-request-id"}, id="user data goes first"),
        pytest.param(200, {"traceparent", "x-request-id"}, id="vendor data goes next"),
        pytest.param(100, {"x-request-id"}, id="ids go last"),
        pytest.param(0, set(), id="nothing fits"),
    ],
)
def test_all_of_it_is_within_a_limit(total: int, left: set[str]) -> None:
    """Fields are left out until the rest fits: user data first, ids last."""
    fields = {
        "x-request-id": "x" * 50,
        "traceparent": TRACEPARENT,
        "sw8": "x" * 200,
        "end-user": "x" * 300,
    }
    accepted = judged(*fields.items(), forward="end-user", limits=Limits(total=total))
    assert left == all_of(accepted).keys()
    assert fields.keys() - left == accepted.dropped.keys()


def test_what_does_not_fit_is_left_out_by_whole_formats() -> None:
    """Half of the ids would be worse than none."""
    multi = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-parentspanid": PARENT}
    pairs = [*multi.items(), ("x-request-id", "r")]
    accepted = judged(*pairs, limits=Limits(total=100))
    assert {"x-request-id": "r"} == all_of(accepted)
    assert multi.keys() == accepted.dropped.keys()


def test_long_request_ids_count_too() -> None:
    """With ids alone, too, the limit of all together holds."""
    pairs = [("b3", "0"), ("x-request-id", "x" * 19_000)]
    assert {"b3": "0"} == goes_on(*pairs, limits=Limits(request_id=20_000))


# Baggage.


@pytest.mark.parametrize(
    ("forward", "value", "relayed"),
    [
        pytest.param("baggage", "a=1,b=%0d%0a;p=q", "a=1,b=%0d%0a;p=q", id="all of it, raw"),
        pytest.param("baggage", "no member", "no member", id="raw, whatever it says"),
        pytest.param("baggage.b", "a=1, b=%20;p=q ,c=3", "b=%20;p=q", id="one key"),
        pytest.param("baggage.a,baggage.c", "a=1,b=2,c=3", "a=1,c=3", id="two keys"),
        pytest.param("baggage.a,baggage", "a=1,b=2", "a=1,b=2", id="all beats one key"),
        pytest.param("baggage.userId", "userid=1,userId=2", "userId=2", id="keys keep their case"),
        pytest.param("baggage.z", "a=1", None, id="no key that was asked for"),
        pytest.param("end-user", "a=1", None, id="not asked for at all"),
        pytest.param("baggage", "", None, id="empty"),
        pytest.param("baggage", "a=caf\u00e9", None, id="not ASCII"),
        pytest.param("baggage.a", "a=1,b=\n", None, id="a line break in another member"),
        pytest.param("baggage", ",".join(["a=1"] * 65), ",".join(["a=1"] * 64), id="65 members"),
        pytest.param("baggage", "a=1," + "b" * 8189, "a=1", id="8193 characters"),
    ],
)
def test_baggage_is_chosen_by_key_and_stays_raw(
    forward: str, value: str, relayed: str | None
) -> None:
    """Members are relayed as they came, if they were asked for and fit."""
    accepted = judged(("baggage", value), forward=forward)
    assert ({} if relayed is None else {"baggage": relayed}) == accepted.user_data
    assert (relayed is None) is ("baggage" in accepted.dropped)

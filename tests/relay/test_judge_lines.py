"""Fields that come in several lines."""

import pytest

from tests.formats.strategies import PARENT, SPAN, TRACE, TRACEPARENT
from tests.relay.judging import all_of, goes_on, judged
from tests.relay.strategies import IDS, USER_DATA, VENDOR_DATA, Pairs


@pytest.mark.parametrize("name", [*IDS, *sorted(VENDOR_DATA.keys() - {"tracestate"})])
def test_equal_lines_are_one(name: str) -> None:
    """A field that came twice with one value goes on once."""
    fields = {**IDS, **VENDOR_DATA}
    assert fields == goes_on(*fields.items(), (name, fields[name]))


@pytest.mark.parametrize(
    ("lines", "gone"),
    [
        pytest.param(
            [("traceparent", f"00-{TRACE[::-1]}-{SPAN}-01")],
            {"traceparent", "tracestate"},
            id="two traceparents: W3C is gone",
        ),
        pytest.param([("b3", "0")], {"b3"}, id="two b3: b3 is gone, x-b3-* go on"),
        pytest.param(
            [("x-b3-spanid", PARENT)],
            {"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"},
            id="two span ids: all of x-b3-* is gone",
        ),
        pytest.param(
            [("x-b3-parentspanid", SPAN)], {"x-b3-parentspanid"}, id="two parents: only the parent"
        ),
        pytest.param([("x-request-id", "other")], {"x-request-id"}, id="two request ids"),
        pytest.param([("sw8", "other")], {"sw8"}, id="two sw8"),
        pytest.param([("b3", "")], {"b3"}, id="a second line that is empty"),
        pytest.param(
            [("x-request-id", "other"), ("x-request-id", IDS["x-request-id"])],
            {"x-request-id"},
            id="three lines of which two are equal",
        ),
    ],
)
def test_lines_that_differ_are_malformed(lines: Pairs, gone: set[str]) -> None:
    """Nobody can say which of two different values was meant."""
    fields = {**IDS, **VENDOR_DATA}
    accepted = judged(*fields.items(), *lines)
    left = {name: value for name, value in fields.items() if name not in gone}
    assert left == all_of(accepted)
    assert gone == accepted.dropped.keys()
    assert "came in lines that differ" == accepted.dropped[lines[0][0]]


def test_an_empty_line_before_another_is_a_line() -> None:
    """An empty line and another differ, in whichever order they came."""
    assert {} == goes_on(("b3", ""), ("b3", "0"))


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        pytest.param(["a=1", "b=2,c=3"], "a=1,b=2,c=3", id="in their order"),
        pytest.param(["a=1", "a=1"], "a=1,a=1", id="equal ones, too"),
        pytest.param(["", "a=1", "", "b=2", ""], "a=1,b=2", id="without the empty ones"),
        pytest.param(["a=1 , b=2", "c=3"], "a=1 , b=2,c=3", id="each as it came"),
    ],
)
@pytest.mark.parametrize("name", ["tracestate", "baggage"])
def test_lines_of_a_list_are_joined(name: str, lines: list[str], joined: str) -> None:
    """Several lines of tracestate or baggage are one list."""
    pairs = [("traceparent", TRACEPARENT), *((name, line) for line in lines)]
    assert {"traceparent": TRACEPARENT, name: joined} == goes_on(*pairs, forward=USER_DATA)


def test_two_empty_lines_of_tracestate_are_empty() -> None:
    """Nothing joined with nothing is nothing, and is not sent."""
    accepted = judged(("traceparent", TRACEPARENT), ("tracestate", ""), ("tracestate", ""))
    assert ({"traceparent": TRACEPARENT}, True) == (all_of(accepted), accepted.empty_tracestate)


def test_joined_lines_are_judged_as_one() -> None:
    """17 members in one line and 16 in another are 33."""
    lines = [("tracestate", ",".join(["a=1"] * count)) for count in (17, 16)]
    assert {"traceparent": TRACEPARENT} == goes_on(("traceparent", TRACEPARENT), *lines)

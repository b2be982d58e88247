"""What became of each header."""

import pytest

from meshtrace.checker.probes import Probe
from meshtrace.checker.verdict import FIELDS, compare
from meshtrace.relay.rules import ID_NAMES

CAME = (("x-request-id", "a"), ("traceparent", "t"), ("tracestate", ""), ("b3", "s"))
PROBE = Probe("example", CAME, stale=frozenset({"b3"}))


@pytest.mark.parametrize(
    ("went", "verdict"),
    [
        pytest.param([("x-request-id", "a")], "kept", id="the same"),
        pytest.param([("X-Request-ID", "a")], "kept", id="the same, the name in another case"),
        pytest.param([], "lost", id="nothing"),
        pytest.param([("x-request-id", "")], "lost", id="an empty value"),
        pytest.param([("x-request-id", "A")], "changed", id="another value"),
        pytest.param([("x-request-id", "a"), ("x-request-id", "a")], "doubled", id="two lines"),
        pytest.param([("x-request-id", "a"), ("x-request-id", "b")], "doubled", id="two values"),
        pytest.param([("x-request-id", "a, a")], "doubled", id="twice in a line"),
        pytest.param([("x-request-id", "other")], "mixed", id="that of another request"),
    ],
)
def test_a_header(went: list[tuple[str, str]], verdict: str) -> None:
    """Every way in which a header can go has its word."""
    rows = compare(PROBE, went, lambda value: value == "other")
    assert verdict == next(row.verdict for row in rows if row.name == "x-request-id")


def test_what_did_not_come_is_invented() -> None:
    """A header that goes out and did not come is invented; an empty one is none."""
    rows = compare(Probe("bare", ()), [("b3", "0"), ("traceparent", "")], lambda _: False)
    assert [("b3", "invented", None, "0")] == [
        (row.name, row.verdict, row.came, row.went) for row in rows
    ]


def test_an_empty_header_says_nothing() -> None:
    """An empty tracestate may go on, or not: it has no row."""
    went = [("tracestate", ""), *CAME[:2]]
    assert ["x-request-id", "b3", "traceparent"] == [
        row.name for row in compare(PROBE, went, lambda _: False)
    ]


def test_remarks() -> None:
    """What is stale, and what is malformed, is marked."""
    probe = Probe("example", CAME, stale=frozenset({"b3"}), malformed=frozenset({"traceparent"}))
    remarks = {row.name: row.remark for row in compare(probe, [], lambda _: False)}
    assert {
        "x-request-id": "",
        "traceparent": "must not go on",
        "b3": "stale: may go on, or not",
    } == remarks


def test_all_trace_headers_are_looked_at() -> None:
    """What meshtrace relays, the check looks at."""
    assert {*ID_NAMES} <= {*FIELDS}
    assert len(FIELDS) == len({*FIELDS})

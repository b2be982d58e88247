"""Whether a trace is whole, told from its spans alone."""

from __future__ import annotations

import json

import pytest

from examples.bookinfo.runner.spans import APPLICATION, Span, Trace, from_zipkin, traces
from examples.bookinfo.runner.wholeness import LATE, is_over, problems
from tests.examples.recorded_runs import spans

WHOLE = from_zipkin(json.dumps(spans("with")).encode())


def _trace(members: list[Span]) -> Trace:
    (trace,) = traces(members)
    return trace


def test_a_recorded_trace_is_whole() -> None:
    """Nothing is wrong with what the demo makes."""
    assert [] == problems(_trace(WHOLE))


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        pytest.param(("gateway", "SERVER"), ["1 orphan"], id="the root"),
        pytest.param(("details", "SERVER"), [], id="a leaf: the call of it is there"),
        pytest.param(
            ("reviews-v2", "CLIENT"),
            ["1 orphan", "reviews-v2's call of ratings is missing"],
            id="a call",
        ),
    ],
)
def test_what_is_not_there_is_named(gone: tuple[str, str], told: list[str]) -> None:
    """A span that did not come leaves an orphan, or a service that called nobody."""
    rest = [span for span in WHOLE if (span.workload, span.kind) != gone]
    assert told == problems(_trace(rest))


def test_two_roots_are_one_too_many() -> None:
    """A service that began a trace of its own, with the same id."""
    first = min(WHOLE, key=lambda span: span.start)
    more = Span(first.trace_id, "f" * 16, None, "ratings", "o", "SERVER", first.start + 1, 1)
    assert ["2 roots"] == problems(_trace([*WHOLE, more]))


def test_a_call_of_the_applications_own_is_no_call_of_the_sidecars() -> None:
    """What the application says that it called has to show as its sidecar's span, too."""
    (called,) = [span for span in WHOLE if (span.workload, span.kind) == ("reviews-v2", "CLIENT")]
    own = Span(
        called.trace_id, called.span_id, called.parent_id, called.workload, "GET", "CLIENT",
        called.start, called.duration, {}, APPLICATION,
    )  # fmt: skip
    rest = [span for span in WHOLE if span is not called]
    assert ["reviews-v2's call of ratings is missing"] == problems(_trace([*rest, own]))


def test_what_is_broken_may_still_be_arriving() -> None:
    """For a while, and then it is over; what is whole is over at once."""
    rest = [span for span in WHOLE if span.kind != "CLIENT"]
    ended = max(span.start + span.duration for span in rest) / 1_000_000
    trace = _trace(rest)
    assert [False, True] == [is_over(trace, ended + LATE / 2), is_over(trace, ended + 2 * LATE)]
    assert is_over(_trace(WHOLE), ended)

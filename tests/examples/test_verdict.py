"""When a request is one whole trace, and what is said when it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from examples.bookinfo.runner.report import summary
from examples.bookinfo.runner.spans import Span, traces
from examples.bookinfo.runner.verdict import Hop, actual, expected, judge
from examples.bookinfo.runner.visitor import Visit, served_by

GUEST = Visit("GET /productpage", None, 200, "reviews-v3", sent=0, answered=1000)
PLAIN = dataclasses.replace(GUEST, reviews="reviews-v1")
LOGIN = Visit("POST /login", None, 302, None, sent=0, answered=1000)
JASON = dataclasses.replace(GUEST, user="jason", reviews="reviews-v2")


def _spans(visit: Visit, *, trace_id: str = "t", delayed: bool = False) -> list[Span]:
    """Return what a whole trace of *visit* would be."""
    spans: list[Span] = []

    def add(hop: Hop, parent: str | None) -> None:
        number = len(spans)
        late = delayed and (hop.workload, hop.kind) == ("reviews-v2", "CLIENT")
        tags = {"guid:x-request-id": trace_id, "response_flags": "DI" if late else "-"}
        start = visit.sent + number
        span = Span(trace_id, str(number), parent, hop.workload, "o", hop.kind, start, 1, tags)
        spans.append(span)
        for below in hop.below:
            add(below, span.span_id)

    add(expected(visit), None)
    return spans


def _said(visit: Visit, spans: Sequence[Span], sampling: float = 100) -> list[str]:
    (finding,) = judge([visit], spans, sampling=sampling).findings
    return list(finding.problems)


@pytest.mark.parametrize(
    ("visit", "spans"),
    [
        pytest.param(LOGIN, 3, id="signing in calls nobody"),
        pytest.param(PLAIN, 7, id="reviews v1 does not call ratings"),
        pytest.param(GUEST, 9, id="reviews v3 calls ratings"),
        pytest.param(JASON, 9, id="reviews v2 calls ratings"),
    ],
)
def test_the_route_says_what_a_whole_trace_is(visit: Visit, spans: int) -> None:
    """A span a listener, two at the gateway, for every service that was on the way."""
    assert spans == expected(visit).spans
    assert [] == _said(visit, _spans(visit, delayed=visit == JASON))


@pytest.mark.parametrize(
    ("visit", "spans"),
    [
        pytest.param(LOGIN, 4, id="signing in is served once"),
        pytest.param(PLAIN, 12, id="reviews v1: three services and two calls"),
        pytest.param(GUEST, 16, id="reviews v3: four services and three calls"),
    ],
)
def test_spans_of_the_services_own_count_too(visit: Visit, spans: int) -> None:
    """Where services make spans, a trace with Envoy's alone is not whole."""
    assert spans == expected(visit, own_spans=True).spans
    (finding,) = judge([visit], _spans(visit), sampling=100, own_spans=True).findings
    assert [f"{expected(visit).spans} spans instead of {spans}"] == finding.problems


def test_a_services_own_spans_stand_between_its_envoys() -> None:
    """Envoy's inbound span, the service's two, Envoy's outbound span."""
    (to_page,) = expected(PLAIN, own_spans=True).below
    (inbound,) = to_page.below
    (page,) = inbound.below
    (details,) = page.below[0].below
    kinds = [(hop.made_by, hop.kind) for hop in (inbound, page, page.below[0], details)]
    assert [
        ("envoy", "SERVER"),
        ("application", "SERVER"),
        ("application", "CLIENT"),
        ("envoy", "CLIENT"),
    ] == kinds


def test_the_whole_trace_of_a_page_nests_as_called() -> None:
    """Each call hangs from its caller's inbound span, each callee from the call."""
    ratings = Hop("reviews-v3", "CLIENT", (Hop("ratings", "SERVER"),))
    reviews = Hop("productpage", "CLIENT", (Hop("reviews-v3", "SERVER", (ratings,)),))
    details = Hop("productpage", "CLIENT", (Hop("details", "SERVER"),))
    page = Hop("productpage", "SERVER", (details, reviews))
    assert Hop("gateway", "SERVER", (Hop("gateway", "CLIENT", (page,)),)) == expected(GUEST)
    (trace,) = traces(_spans(GUEST))
    assert [expected(GUEST)] == actual(trace)


def _split(spans: list[Span]) -> list[Span]:
    page = [dataclasses.replace(span, parent_id=None) for span in spans[3:4]]
    return [
        *spans[:3],
        *(dataclasses.replace(span, trace_id="u", tags={}) for span in [*page, *spans[4:]]),
    ]


def _orphaned(spans: list[Span]) -> list[Span]:
    return [*spans[:-1], dataclasses.replace(spans[-1], parent_id="nobody")]


def _flat(spans: list[Span]) -> list[Span]:
    return [spans[0], *(dataclasses.replace(span, parent_id="0") for span in spans[1:])]


def _other_request_id(spans: list[Span]) -> list[Span]:
    return [*spans[:-1], dataclasses.replace(spans[-1], tags={"guid:x-request-id": "other"})]


@pytest.mark.parametrize(
    ("breaking", "said"),
    [
        pytest.param(lambda _spans: [], ["0 traces", "0 spans instead of 9"], id="nothing came"),
        pytest.param(lambda spans: spans[:-2], ["7 spans instead of 9"], id="the end is missing"),
        pytest.param(lambda spans: [*spans, spans[-1]], ["10 spans instead of 9"], id="too many"),
        pytest.param(_orphaned, ["1 orphans"], id="an orphan"),
        pytest.param(_flat, ["not nested as called"], id="a flat tree"),
        pytest.param(_other_request_id, ["2 x-request-ids"], id="two x-request-ids"),
    ],
)
def test_what_is_not_whole_is_told(
    breaking: Callable[[list[Span]], list[Span]], said: list[str]
) -> None:
    """Each way to break a trace is told in its own words."""
    assert said == _said(GUEST, breaking(_spans(GUEST)))


def test_two_traces_are_not_one() -> None:
    """All the spans are there, in two traces."""
    assert "2 traces" in _said(GUEST, _split(_spans(GUEST)))


def test_a_failed_request_is_told() -> None:
    """A whole trace does not make up for an error."""
    failed = dataclasses.replace(GUEST, status=500)
    assert ["status 500"] == _said(failed, _spans(failed))


def test_jason_has_to_reach_reviews_v2_and_the_delay() -> None:
    """If `end-user` was lost on the way, jason was treated like a guest, and that is told."""
    lost = dataclasses.replace(JASON, reviews="reviews-v3")
    said = ["reviews-v3 instead of reviews-v2", "ratings not late for jason"]
    assert said == _said(lost, _spans(lost))
    assert ["ratings not late for jason"] == _said(JASON, _spans(JASON))


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        pytest.param(100, ["0 traces"], id="at 100 percent it is missing"),
        pytest.param(20, [], id="below, it is not sampled"),
    ],
)
def test_no_trace_at_all(sampling: float, said: list[str]) -> None:
    """A request without a span is fine only where requests are sampled."""
    assert said == _said(GUEST, [], sampling)[:1]


def test_a_part_of_a_trace_is_never_fine() -> None:
    """Sampled or not at all: there is no in-between."""
    assert ["7 spans instead of 9"] == _said(GUEST, _spans(GUEST)[:-2], sampling=20)


def test_a_span_of_no_request_spoils_the_verdict() -> None:
    """Spans from before the first request or after the last belong to something unexplained."""
    stray = dataclasses.replace(_spans(GUEST)[0], start=5000)
    verdict = judge([GUEST], [*_spans(GUEST), stray], sampling=100)
    assert [stray] == verdict.strays
    assert not verdict.good


def test_each_visit_gets_its_own_spans() -> None:
    """Visits follow one another, and a span belongs to the one during which it began."""
    second = dataclasses.replace(GUEST, sent=2000, answered=3000)
    spans = [*_spans(GUEST), *_spans(second, trace_id="u")]
    verdict = judge([GUEST, second], spans, sampling=100)
    assert verdict.good
    assert ["t", "u"] == [finding.traces[0].trace_id for finding in verdict.findings]


def test_the_page_says_who_wrote_its_reviews() -> None:
    """That is how the visitor knows the route; an error page says nothing."""
    assert "reviews-v2" == served_by('by <code id="reviews-served-by">reviews-v2</code>')
    assert served_by("Sorry") is None


@pytest.mark.parametrize(
    ("visits", "spans", "says"),
    [
        pytest.param(
            [GUEST],
            _spans(GUEST),
            "✓ 1 requests, 1 traces, 9 spans, 0 orphans: every request is one whole trace.",
            id="all well",
        ),
        pytest.param(
            [GUEST],
            _orphaned(_spans(GUEST)),
            "✗ 1 requests, 1 traces, 9 spans, 1 orphans: "
            "1 of 1 requests did not give one whole trace.",
            id="an orphan",
        ),
    ],
)
def test_the_verdict_in_one_sentence(visits: list[Visit], spans: list[Span], says: str) -> None:
    """So many requests, traces, spans and orphans, and what that means."""
    assert says == str(summary(judge(visits, spans, sampling=100)))

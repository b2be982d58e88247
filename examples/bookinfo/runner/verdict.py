"""Did every request give one whole trace? What whole means follows from the route it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from examples.bookinfo.runner.spans import APPLICATION, ENVOY, Span, Trace, traces
from examples.bookinfo.runner.visitor import Visit

ASK_RATINGS = {"reviews-v2", "reviews-v3"}
DELAYED_USER = "jason"
EVERYTHING = 100.0


@dataclass(frozen=True, order=True)
class Hop:
    """One span as it should be: where, as server or client, what hangs below it, who makes it."""

    workload: str
    kind: str
    below: tuple[Hop, ...] = ()
    made_by: str = ENVOY

    @property
    def spans(self) -> int:
        """How many spans that makes."""
        return 1 + sum(hop.spans for hop in self.below)


def expected(visit: Visit, *, own_spans: bool = False) -> Hop:
    """
    Return the trace that *visit* should have made: a span a listener, two at the gateway.

    With *own_spans* each service has two kinds more, between those of its two listeners: one for
    the request, and one for each call.
    """
    served = _served_with_spans if own_spans else _served
    calls = [_call("productpage", served("details"))] if visit.reviews else []
    if visit.reviews:
        asks = [_call(visit.reviews, served("ratings"))] * (visit.reviews in ASK_RATINGS)
        calls.append(_call("productpage", served(visit.reviews, *asks)))
    return Hop("gateway", "SERVER", (_call("gateway", served("productpage", *calls)),))


def _call(workload: str, callee: Hop) -> Hop:
    return Hop(workload, "CLIENT", (callee,))


def _served(workload: str, *calls: Hop) -> Hop:
    return Hop(workload, "SERVER", tuple(sorted(calls)))


def _served_with_spans(workload: str, *calls: Hop) -> Hop:
    own = (Hop(workload, "CLIENT", (call,), APPLICATION) for call in calls)
    return _served(workload, Hop(workload, "SERVER", tuple(sorted(own)), APPLICATION))


def actual(trace: Trace) -> list[Hop]:
    """Return the trees that *trace* is made of; a whole one is a single tree."""

    def hop(span: Span) -> Hop:
        below = sorted(hop(child) for child in trace.children(span))
        return Hop(span.workload, span.kind, tuple(below), span.made_by)

    return [hop(top) for top in trace.tops]


@dataclass(frozen=True)
class Finding:
    """What one visit left behind."""

    visit: Visit
    whole: Hop
    traces: Sequence[Trace]
    problems: Sequence[str]

    @property
    def spans(self) -> int:
        """How many spans it left, in all its traces."""
        return sum(len(trace.spans) for trace in self.traces)


@dataclass(frozen=True)
class Verdict:
    """What all visits left behind, and what nobody can explain."""

    findings: Sequence[Finding]
    strays: Sequence[Span]

    @property
    def good(self) -> bool:
        """Whether every visit gave one whole trace."""
        return not self.strays and not any(finding.problems for finding in self.findings)


def judge(
    visits: Sequence[Visit], spans: Sequence[Span], *, sampling: float, own_spans: bool = False
) -> Verdict:
    """Hold the spans that arrived against what the visits should have made."""
    findings = []
    for visit in visits:
        whole = expected(visit, own_spans=own_spans)
        found = traces(span for span in spans if visit.saw(span))
        wrong = problems(visit, whole, found, sampling=sampling)
        findings.append(Finding(visit, whole, found, wrong))
    strays = [span for span in spans if not any(visit.saw(span) for visit in visits)]
    return Verdict(findings, strays)


def problems(visit: Visit, whole: Hop, found: Sequence[Trace], *, sampling: float) -> list[str]:
    """Say in words what is wrong with the traces that *visit* left; nothing if all is well."""
    if sampling < EVERYTHING and not found:
        return _wrong_answers(visit)
    return [*_wrong_answers(visit), *_wrong_traces(visit, whole, found)]


def _wrong_answers(visit: Visit) -> list[str]:
    wrong = []
    if visit.status >= HTTPStatus.BAD_REQUEST:
        wrong.append(f"status {visit.status}")
    if visit.user == DELAYED_USER and visit.reviews != "reviews-v2":
        wrong.append(f"{visit.reviews} instead of reviews-v2")
    return wrong


def _wrong_traces(visit: Visit, whole: Hop, found: Sequence[Trace]) -> list[str]:
    wrong = []
    spans = [span for trace in found for span in trace.spans]
    if len(found) != 1:
        wrong.append(f"{len(found)} traces")
    if len(spans) != whole.spans:
        wrong.append(f"{len(spans)} spans instead of {whole.spans}")
    if orphans := sum(len(trace.orphans) for trace in found):
        wrong.append(f"{orphans} orphans")
    if not wrong and actual(found[0]) != [whole]:
        wrong.append("not nested as called")
    if len(request_ids(spans)) > 1:
        wrong.append(f"{len(request_ids(spans))} x-request-ids")
    if visit.user == DELAYED_USER and not any(span.delayed for span in spans):
        wrong.append(f"ratings not late for {DELAYED_USER}")
    return wrong


def request_ids(spans: Sequence[Span]) -> set[str]:
    """Return every x-request-id that *spans* name."""
    return {span.request_id for span in spans if span.request_id}

"""Did every request give one whole trace? What whole means follows from the route it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from examples.bookinfo.runner.spans import Span, Trace, traces
from examples.bookinfo.runner.visitor import Visit

ASK_RATINGS = {"reviews-v2", "reviews-v3"}
DELAYED_USER = "jason"
EVERYTHING = 100.0


@dataclass(frozen=True, order=True)
class Hop:
    """One span as it should be: who makes it, as server or client, and what hangs below it."""

    workload: str
    kind: str
    below: tuple[Hop, ...] = ()

    @property
    def spans(self) -> int:
        """How many spans that makes."""
        return 1 + sum(hop.spans for hop in self.below)


def expected(visit: Visit) -> Hop:
    """Return the trace that *visit* should have made: a span a listener, two at the gateway."""
    calls = [_call("productpage", Hop("details", "SERVER"))] if visit.reviews else []
    if visit.reviews:
        asks = [_call(visit.reviews, Hop("ratings", "SERVER"))] * (visit.reviews in ASK_RATINGS)
        calls.append(_call("productpage", Hop(visit.reviews, "SERVER", tuple(asks))))
    page = Hop("productpage", "SERVER", tuple(sorted(calls)))
    return Hop("gateway", "SERVER", (_call("gateway", page),))


def _call(workload: str, callee: Hop) -> Hop:
    return Hop(workload, "CLIENT", (callee,))


def actual(trace: Trace) -> list[Hop]:
    """Return the trees that *trace* is made of; a whole one is a single tree."""

    def hop(span: Span) -> Hop:
        below = sorted(hop(child) for child in trace.children(span))
        return Hop(span.workload, span.kind, tuple(below))

    return [hop(top) for top in trace.tops]


@dataclass(frozen=True)
class Finding:
    """What one visit left behind."""

    visit: Visit
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


def judge(visits: Sequence[Visit], spans: Sequence[Span], *, sampling: float) -> Verdict:
    """Hold the spans that arrived against what the visits should have made."""
    findings = []
    for visit in visits:
        found = traces(span for span in spans if visit.saw(span))
        findings.append(Finding(visit, found, problems(visit, found, sampling=sampling)))
    strays = [span for span in spans if not any(visit.saw(span) for visit in visits)]
    return Verdict(findings, strays)


def problems(visit: Visit, found: Sequence[Trace], *, sampling: float) -> list[str]:
    """Say in words what is wrong with the traces that *visit* left; nothing if all is well."""
    if sampling < EVERYTHING and not found:
        return _wrong_answers(visit)
    return [*_wrong_answers(visit), *_wrong_traces(visit, found)]


def _wrong_answers(visit: Visit) -> list[str]:
    wrong = []
    if visit.status >= HTTPStatus.BAD_REQUEST:
        wrong.append(f"status {visit.status}")
    if visit.user == DELAYED_USER and visit.reviews != "reviews-v2":
        wrong.append(f"{visit.reviews} instead of reviews-v2")
    return wrong


def _wrong_traces(visit: Visit, found: Sequence[Trace]) -> list[str]:
    wrong = []
    whole = expected(visit)
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

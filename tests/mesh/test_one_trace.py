"""The bookshop as the demo visits it: one whole trace a request, whichever tracer is set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.bookinfo.runner import demo
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.sidecars import TRACERS
from examples.bookinfo.runner.verdict import Verdict
from examples.bookinfo.runner.visitor import Visitor

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with meshtrace, under each tracer."""
    with Mesh(tracer=request.param) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh_without(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with meshtrace switched off, under each tracer."""
    with Mesh(tracer=request.param, without=True) as mesh:
        yield mesh


def _visited(mesh: Mesh) -> Verdict:
    mesh.collector.clear()
    return demo.judge(mesh, demo.visit_all(mesh.address))


def _problems(verdict: Verdict) -> list[str]:
    return [problem for finding in verdict.findings for problem in finding.problems]


def test_every_request_is_one_whole_trace(mesh: Mesh) -> None:
    """Guests and jason leave one trace a request: every span there, none an orphan, all nested."""
    verdict = _visited(mesh)
    assert [] == _problems(verdict)
    assert verdict.good


def test_without_meshtrace_the_same_check_fails(mesh_without: Mesh) -> None:
    """With meshtrace off the spans are all there, and no page is one trace of them."""
    verdict = _visited(mesh_without)
    pages = [finding for finding in verdict.findings if finding.visit.reviews]
    assert not verdict.good
    assert [] == [finding for finding in pages if not finding.problems]
    assert {3, 4} >= {len(finding.traces) for finding in pages}


def test_jason_reaches_reviews_v2_and_the_late_ratings(mesh: Mesh) -> None:
    """The user's name reaches the second hop: version 2, and Envoy's delay before ratings."""
    mesh.collector.clear()
    with Visitor(mesh.address) as jason:
        visits = [jason.sign_in("jason"), *(jason.look() for _ in range(3))]
    verdict = demo.judge(mesh, visits)
    assert [None, *["reviews-v2"] * 3] == [visit.reviews for visit in visits]
    late = [
        [span.workload for trace in finding.traces for span in trace.spans if span.delayed]
        for finding in verdict.findings
    ]
    assert [[], *[["reviews-v2"]] * 3] == late


def test_a_guest_is_never_late(mesh: Mesh) -> None:
    """Nobody's name comes with a guest, so no fault strikes, also right after jason's requests."""
    mesh.collector.clear()
    with Visitor(mesh.address) as jason, Visitor(mesh.address) as guest:
        jason.sign_in("jason")
        visits = [visitor.look() for _ in range(3) for visitor in (jason, guest)]
    verdict = demo.judge(mesh, visits)
    delayed = [
        any(span.delayed for trace in finding.traces for span in trace.spans)
        for finding in verdict.findings
    ]
    assert [True, False] * 3 == delayed


def test_the_services_log_the_ids_of_the_trace(mesh: Mesh) -> None:
    """Every service on the way logs the trace id and the x-request-id that the spans have."""
    mesh.collector.clear()
    with Visitor(mesh.address) as jason:
        jason.sign_in("jason")
        verdict = demo.judge(mesh, [jason.look()])
    (trace,) = verdict.findings[-1].traces
    (request_id,) = {span.request_id for span in trace.spans} - {None}
    ids = f"trace_id={trace.trace_id} request_id={request_id}"
    logged = [
        service.workload
        for service in mesh.services
        if any(line.endswith(ids) for line in mesh.log_lines(service.workload))
    ]
    assert ["productpage", "details", "reviews-v2", "ratings"] == logged

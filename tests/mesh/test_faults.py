"""What Envoy does to a request, retries and aborts, stays in its trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.sidecars import DIRECTORY, TRACERS
from examples.bookinfo.runner.spans import Span
from examples.bookinfo.runner.verdict import Hop
from tests.mesh.lab import instead_of, look, session_cookie

pytestmark = pytest.mark.envoy

ATTEMPTS = 3


@pytest.fixture(scope="module", params=sorted(TRACERS))
def retrying(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with a ratings that refuses every call twice."""
    services = instead_of("ratings", "tests.mesh.flaky")
    with Mesh(tracer=request.param, services=services) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=sorted(TRACERS))
def aborting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mesh]:
    """Give the bookshop with an Envoy that refuses jason's calls of ratings by itself."""
    routes = tmp_path_factory.mktemp("routes") / "routes.yaml"
    _with_abort(routes)
    with Mesh(tracer=request.param, files={"routes.yaml": routes}) as mesh:
        yield mesh


def _with_abort(routes: Path) -> None:
    hosts = yaml.safe_load((DIRECTORY / "routes.yaml").read_text())
    (ratings,) = (host for host in hosts if host["name"] == "ratings:9080")
    fault = ratings["routes"][0]["typed_per_filter_config"]["envoy.filters.http.fault"]
    fault["abort"] = {"http_status": 500, "percentage": fault.pop("delay")["percentage"]}
    routes.write_text(yaml.safe_dump(hosts))


def _of(spans: list[Span], workload: str, kind: str) -> list[Span]:
    return [span for span in spans if (span.workload, span.kind) == (workload, kind)]


def test_retries_stay_joined(retrying: Mesh) -> None:
    """All attempts of a retried call hang from the call's one span, under one x-request-id."""
    seen = look(retrying, [session_cookie(retrying, "jason")], spans=11)
    retried = Hop("reviews-v2", "CLIENT", (Hop("ratings", "SERVER"),) * ATTEMPTS)
    (trace,) = seen.traces
    (call,) = _of(seen.spans, "reviews-v2", "CLIENT")
    attempts = sorted(_of(seen.spans, "ratings", "SERVER"), key=lambda span: span.start)
    assert retried in _hops(seen.shapes)
    assert [] == trace.orphans
    assert [call.span_id] * ATTEMPTS == [attempt.parent_id for attempt in attempts]
    assert [call.request_id] * ATTEMPTS == [attempt.request_id for attempt in attempts]
    assert [["status 503"], ["status 503"], []] == [attempt.notes for attempt in attempts]


def test_an_aborted_call_stays_joined(aborting: Mesh) -> None:
    """A call that Envoy refuses is a span without anything below it, and the rest is whole."""
    seen = look(aborting, [session_cookie(aborting, "jason")], spans=8)
    (trace,) = seen.traces
    (call,) = _of(seen.spans, "reviews-v2", "CLIENT")
    assert 200 == seen.status
    assert 8 == len(trace.spans)
    assert [] == trace.orphans
    assert 1 == len(trace.tops)
    assert ["fault: aborted", "status 500"] == call.notes


def _hops(shapes: list[Hop]) -> list[Hop]:
    return [hop for shape in shapes for hop in (shape, *_hops(list(shape.below)))]

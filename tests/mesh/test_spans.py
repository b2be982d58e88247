"""The services' own spans between those of their Envoys, parent to child."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.bookinfo.runner import demo
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.options import VARIABLES
from examples.bookinfo.runner.sidecars import TRACERS
from examples.bookinfo.runner.spans import APPLICATION, ENVOY, Span
from examples.bookinfo.runner.verdict import Hop
from tests.mesh.lab import instead_of, look

pytestmark = pytest.mark.envoy

PROJECT = Path(__file__).parents[2]

JOIN = {"MESHTRACE_SPANS": "0", "MESHTRACE_OWN_SPANS": "join"}


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with spans of its own, under each tracer."""
    with Mesh(tracer=request.param, spans=True) as mesh:
        yield mesh


def test_every_request_is_one_whole_trace(mesh: Mesh) -> None:
    """Guests and jason leave one trace a request, with the spans of every service nested in it."""
    mesh.collector.clear()
    verdict = demo.judge(mesh, demo.visit_all(mesh.address))
    assert [] == [problem for finding in verdict.findings for problem in finding.problems]
    assert verdict.good


def test_from_one_sidecar_to_the_next(mesh: Mesh) -> None:
    """A call's way up: its Envoy's span, the client's, the server's, that of the Envoy before."""
    spans = look(mesh).spans
    by_id = {span.span_id: span for span in spans}

    def way_up(span: Span) -> list[tuple[str, str, str]]:
        ways = []
        for _ in range(4):
            ways.append((span.workload, span.made_by, span.kind))
            span = by_id[span.parent_id or ""]
        return ways

    calls = [
        span
        for span in spans
        if (span.made_by, span.kind) == (ENVOY, "CLIENT") and span.workload != "gateway"
    ]
    makers = [
        (ENVOY, "CLIENT"),
        (APPLICATION, "CLIENT"),
        (APPLICATION, "SERVER"),
        (ENVOY, "SERVER"),
    ]
    assert len(calls) >= 2
    assert [[(call.workload, *maker) for maker in makers] for call in calls] == [
        way_up(call) for call in calls
    ]


@pytest.mark.parametrize("tracer", sorted(TRACERS))
def test_a_span_made_by_hand_is_the_parent_of_its_call(tracer: str) -> None:
    """With own_spans="join" alone it hangs from Envoy's span; who makes none relays."""
    services = [
        dataclasses.replace(service, environment={**service.environment, **JOIN})
        for service in instead_of("productpage", "tests.mesh.manual")
    ]
    with Mesh(tracer=tracer, services=services, spans=True) as mesh:
        seen = look(mesh, spans=9)
    plain = dataclasses.replace(seen, own_spans=False).whole
    (to_page,) = plain.below
    (page,) = to_page.below
    asked = tuple(Hop("productpage", "INTERNAL", (call,), APPLICATION) for call in page.below)
    page = dataclasses.replace(page, below=asked)
    to_page = dataclasses.replace(to_page, below=(page,))
    assert [dataclasses.replace(plain, below=(to_page,))] == seen.shapes


def test_the_demo_shows_them() -> None:
    """SPANS=1 ONCE=1 ends with status 0, its tree tells the services' spans from Envoy's."""
    ours = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    ended = subprocess.run(
        [sys.executable, "-m", "examples.bookinfo"],
        env={**ours, "COLUMNS": "150", "SPANS": "1", "ONCE": "1"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "productpage                      app in  GET /productpage" in ended.stdout

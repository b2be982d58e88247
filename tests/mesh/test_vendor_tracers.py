"""Datadog, SkyWalking and X-Ray: the ids in the headers are the same at every hop."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from examples.bookinfo.runner.mesh import Mesh
from tests.mesh.lab import RECORDED, SKYWALKING_TRACING, TRACERS, Seen, look, session_cookie

pytestmark = pytest.mark.envoy

# For each tracer the headers that carry the trace id, and how to find it there.
IDS = {
    "datadog": {
        "x-datadog-trace-id": r"(\d+)",
        "traceparent": r"00-([0-9a-f]{32})-",
        "x-request-id": r"(.+)",
    },
    "skywalking": {"sw8": r"1-([^-]+)-", "x-request-id": r"(.+)"},
    "xray": {"x-amzn-trace-id": r"Root=([^;]+)", "x-request-id": r"(.+)"},
}
HOPS = ["productpage", "details", "reviews-v2", "ratings"]


@pytest.fixture(scope="module", params=sorted(IDS))
def seen(request: pytest.FixtureRequest) -> Iterator[tuple[str, Seen]]:
    """Give what jason's visit led to, under each tracer: he comes by every service."""
    with _mesh(request.param) as mesh:
        yield request.param, _jasons_visit(mesh)


@pytest.fixture(scope="module", params=sorted(IDS))
def seen_without(request: pytest.FixtureRequest) -> Iterator[tuple[str, Seen]]:
    """Give what a visit led to with meshtrace off."""
    with _mesh(request.param, without=True) as mesh:
        yield request.param, _jasons_visit(mesh)


def _mesh(tracer: str, *, without: bool = False) -> Mesh:
    # Istio gives SkyWalking, and no other, a span of its own for each call at the sidecars too.
    files = {"tracing.yaml": SKYWALKING_TRACING} if tracer == "skywalking" else {}
    return Mesh(tracer=TRACERS[tracer], services=RECORDED, without=without, files=files)


def _jasons_visit(mesh: Mesh) -> Seen:
    return look(mesh, [session_cookie(mesh, "jason", spans=0)], spans=0)


def _ids(tracer: str, seen: Seen) -> dict[str, dict[str, str]]:
    """Return the ids by header and workload."""
    return {
        header: {
            workload: found[1]
            for workload, lines in seen.values(header).items()
            for line in lines
            if (found := re.match(pattern, line))
        }
        for header, pattern in IDS[tracer].items()
    }


def test_every_hop_sees_the_same_ids(seen: tuple[str, Seen]) -> None:
    """Each header that carries a trace id arrives at all four services, with one and the same."""
    tracer, visit = seen
    ids = _ids(tracer, visit)
    assert dict.fromkeys(IDS[tracer], sorted(HOPS)) == {
        header: sorted(by_workload) for header, by_workload in ids.items()
    }
    assert dict.fromkeys(IDS[tracer], 1) == {
        header: len(set(by_workload.values())) for header, by_workload in ids.items()
    }


def test_the_span_is_the_nearest_sidecars(seen: tuple[str, Seen]) -> None:
    """No two services see the same headers: each sidecar puts its own span there."""
    tracer, visit = seen
    header = {"datadog": "traceparent", "skywalking": "sw8", "xray": "x-amzn-trace-id"}[tracer]
    lines = [line for values in visit.values(header).values() for line in values]
    assert len(HOPS) == len(lines) == len(set(lines))


def test_without_meshtrace_the_same_check_fails(seen_without: tuple[str, Seen]) -> None:
    """With meshtrace off every call starts over, with ids of its own."""
    tracer, visit = seen_without
    ids = _ids(tracer, visit)
    assert [] == [header for header in ids if len(set(ids[header].values())) == 1]

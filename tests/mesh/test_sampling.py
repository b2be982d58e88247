"""At twenty percent, a trace is there from end to end, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.sidecars import TRACERS
from examples.bookinfo.runner.spans import Trace
from examples.bookinfo.runner.verdict import actual
from tests.mesh.lab import fetch, whole_page

pytestmark = pytest.mark.envoy

REQUESTS = 150
AT_A_TIME = 8
WHOLE = [[whole_page(f"reviews-{version}")] for version in ("v1", "v2", "v3")]


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with meshtrace, one request in five sampled."""
    with Mesh(tracer=request.param, sampling=20) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh_without(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with meshtrace switched off, one request in five sampled."""
    with Mesh(tracer=request.param, sampling=20, without=True) as mesh:
        yield mesh


def _traces(mesh: Mesh) -> Sequence[Trace]:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(lambda _: fetch(mesh.address), range(REQUESTS)))
    mesh.collector.wait_until_quiet(1)
    return mesh.collector.traces()


def _parts(traces: Sequence[Trace]) -> list[Trace]:
    return [trace for trace in traces if actual(trace) not in WHOLE]


def test_every_trace_is_whole_or_absent(mesh: Mesh) -> None:
    """Some requests are sampled and most are not; of none is there a part."""
    traces = _traces(mesh)
    assert [] == _parts(traces)
    assert 0 < len(traces) < REQUESTS / 2


def test_without_meshtrace_the_same_check_fails(mesh_without: Mesh) -> None:
    """With meshtrace off every Envoy decides for itself, and parts are all there is."""
    traces = _traces(mesh_without)
    assert len(traces) > 0
    assert traces == _parts(traces)

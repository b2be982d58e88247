"""The bookshop behind real Envoys, with another tracer in each of its services."""

import dataclasses
from collections.abc import Iterator

import pytest

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.services import BOOKINFO
from examples.bookinfo.runner.sidecars import TRACERS
from tests.coexistence.test_coexistence import QUIET
from tests.mesh.lab import Seen, look

pytestmark = [pytest.mark.envoy, pytest.mark.servers]

LOOKS = 60
"""In so many requests, each of the reviews' three versions is reached: there are mostly a few."""

REVIEWS = {"reviews-v1", "reviews-v2", "reviews-v3"}

OTHERS = {
    "productpage": "opentelemetry",
    "details": "ddtrace",
    "reviews-v1": "sentry",
    "reviews-v2": "ddtrace",
    "reviews-v3": "opentelemetry",
    "ratings": "sentry",
}
"""The tracer in each service; all of them report to elsewhere."""


def _mesh(tracer: str, settings: dict[str, str]) -> Mesh:
    services = [
        dataclasses.replace(
            service,
            module="tests.coexistence.traced",
            environment={
                **service.environment,
                **QUIET,
                **settings,
                "OTHER_TRACER": OTHERS[service.workload],
                "MODULE": service.module,
            },
        )
        for service in BOOKINFO
    ]
    return Mesh(tracer=tracer, services=services)


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with the other tracers, under each tracer of Envoy's."""
    with _mesh(request.param, {}) as mesh:
        yield mesh


def test_every_request_is_one_whole_trace(mesh: Mesh) -> None:
    """The mesh's trace is one, and whole: no span is missing, none hangs from a tracer's own."""
    seen: list[Seen] = []
    while len(seen) < LOOKS and REVIEWS != {one.reviews for one in seen}:
        seen.append(look(mesh))
    assert [[one.whole] for one in seen] == [one.shapes for one in seen]
    assert REVIEWS == {one.reviews for one in seen}


def test_without_meshtrace() -> None:
    """The same bookshop without meshtrace has many traces, or spans whose parent nobody knows."""
    with _mesh("opentelemetry", {"MESHTRACE_DISABLED": "1"}) as mesh:
        seen = look(mesh, spans=1)
    assert [seen.whole] != seen.shapes

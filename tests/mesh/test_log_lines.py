"""A service's log line and its sidecar's access log line carry the same ids."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from examples.bookinfo.runner.mesh import SIDECAR, Mesh
from examples.bookinfo.runner.sidecars import TRACERS
from examples.bookinfo.runner.visitor import Visitor

pytestmark = pytest.mark.envoy

VISITS = 6
SECONDS = 10
LINE = re.compile(r"(\S+) +GET (\S+) (?:user=\S+ )?(?:\d+ )?trace_id=(\S+) request_id=(\S+)")


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop, under each tracer."""
    with Mesh(tracer=request.param) as mesh:
        yield mesh


def _logged(mesh: Mesh) -> dict[str, list[tuple[str, ...]]]:
    """Give path, trace id and request id of each line, by who logged it, in order."""
    logged: dict[str, list[tuple[str, ...]]] = {}
    for line in mesh.all_log_lines():
        if found := LINE.match(line):
            logged.setdefault(found[1], []).append(found.groups()[1:])
    return {name: sorted(lines) for name, lines in logged.items()}


def _both_have(least: int, name: str, logged: dict[str, list[tuple[str, ...]]]) -> bool:
    by_service, by_sidecar = logged.get(name, []), logged.get(name + SIDECAR, [])
    return least <= len(by_service) == len(by_sidecar)


def test_the_same_ids(mesh: Mesh) -> None:
    """For each request to each service there are two lines, the service's and its sidecar's."""
    with Visitor(mesh.address) as jason:
        jason.sign_in("jason")
        for _ in range(VISITS):
            jason.look()
    services = ["details", "productpage", "ratings", "reviews-v2"]
    deadline = time.monotonic() + SECONDS
    logged = _logged(mesh)
    # A sidecar writes its line when the request has ended, and not at once.
    while not all(_both_have(VISITS, name, logged) for name in services):
        assert time.monotonic() < deadline, logged
        time.sleep(0.05)
        logged = _logged(mesh)
    assert sorted([*services, *(name + SIDECAR for name in services)]) == sorted(logged)
    for name in services:
        assert logged[name] == logged[name + SIDECAR]
        assert VISITS == len({trace_id for _, trace_id, _ in logged[name]})
        assert all(re.fullmatch("[0-9a-f]{32}", trace_id) for _, trace_id, _ in logged[name])
        assert all(re.fullmatch("[0-9a-f-]{36}", request_id) for *_, request_id in logged[name])

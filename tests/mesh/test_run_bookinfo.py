"""The bookshop under `meshtrace run`, with every line of meshtrace taken out of its services."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.services import BOOKINFO, CARRIES_THE_USER
from examples.bookinfo.runner.sidecars import TRACERS
from tests.mesh.lab import look
from tests.mesh.without_a_line import copy_without_a_line

pytestmark = pytest.mark.envoy

LOOKS = 6


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of the services without a line of meshtrace."""
    directory = tmp_path_factory.mktemp("without")
    copy_without_a_line(directory)
    return directory


@pytest.fixture(scope="module", params=sorted(TRACERS))
def mesh(request: pytest.FixtureRequest, services: Path) -> Iterator[Mesh]:
    """Give the bookshop of these services, under each tracer."""
    run = [
        dataclasses.replace(
            service,
            module="tests.mesh.without_a_line",
            environment={
                **service.environment,
                **CARRIES_THE_USER,
                "WITHOUT_A_LINE": str(services),
                "MODULE": service.module,
            },
        )
        for service in BOOKINFO
    ]
    with Mesh(tracer=request.param, services=run) as mesh:
        yield mesh


def test_there_is_no_line_left(services: Path) -> None:
    """No file of the copy names meshtrace."""
    # Beside them lies what Python has compiled, where a service has run before.
    files = [file for file in services.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert 4 < len(files)
    assert [] == [file for file in files if "meshtrace" in file.read_text().lower()]


def test_every_request_is_one_whole_trace(mesh: Mesh) -> None:
    """A guest's request is one whole trace, whichever reviews answer it."""
    seen = [look(mesh) for _ in range(LOOKS)]
    assert [[one.whole] for one in seen] == [one.shapes for one in seen]
    assert [200] * LOOKS == [one.status for one in seen]


def test_user_data_goes_all_the_way(mesh: Mesh) -> None:
    """With `MESHTRACE_FORWARD=end-user`, jason gets his reviews, and his delay two hops further."""
    seen = look(mesh, [("end-user", "jason")])
    assert "reviews-v2" == seen.reviews
    assert [seen.whole] == seen.shapes
    assert ["reviews-v2"] == [span.workload for span in seen.spans if span.delayed]

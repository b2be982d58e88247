"""The comparison of two meshes, where one of them is not to be had; tests/mesh has both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from examples.bookinfo.runner.comparison import Comparison
from examples.bookinfo.runner.errors import DemoError
from examples.bookinfo.runner.mesh import Mesh


def _state_after(comparison: Comparison) -> dict[str, object]:
    deadline = time.monotonic() + 5
    while comparison.state()["state"] == "busy" and time.monotonic() < deadline:
        time.sleep(0.01)
    return dict(comparison.state())


@pytest.fixture
def let_go() -> threading.Event:
    """Give what the start of the twin waits for."""
    return threading.Event()


@pytest.fixture
def comparison(let_go: threading.Event) -> Iterator[Comparison]:
    """Give a comparison whose twin does not start."""

    def twin(up: Callable[[str], None]) -> Mesh:
        let_go.wait(5)
        up("details")
        raise DemoError("no ports left")

    with Comparison(Mesh(), twin) as comparison:
        yield comparison


def test_a_twin_that_does_not_start_is_told(
    comparison: Comparison, let_go: threading.Event
) -> None:
    """The page says why, and may ask again."""
    let_go.set()
    for user in ("jason", None):
        comparison.start(user)
        told = {"state": "failed", "user": user, "why": "no ports left"}
        assert told == _state_after(comparison)


def test_one_comparison_at_a_time(comparison: Comparison, let_go: threading.Event) -> None:
    """A second click while one is going on changes nothing."""
    comparison.start("jason")
    comparison.start(None)
    assert ("busy", "jason") == (comparison.state()["state"], comparison.state()["user"])
    let_go.set()
    assert "jason" == _state_after(comparison)["user"]


def test_a_start_that_is_going_on_ends_with_the_demo(
    comparison: Comparison, let_go: threading.Event
) -> None:
    """Who leaves does not wait until the twin is up."""
    comparison.start(None)
    threading.Timer(0.05, let_go.set).start()
    comparison.__exit__()
    assert "the demo ends" == comparison.state()["why"]
    comparison.start("jason")
    assert "failed" == comparison.state()["state"]

"""Where the context is, in what a framework runs for a request: docs/concurrency.md."""

from __future__ import annotations

import pytest

from tests.concurrency.page import check
from tests.concurrency.served import SERVED, Served
from tests.concurrency.ways import CAME, seen

PLACES = [pytest.param(served, id=served.place) for served in SERVED]
WRITTEN = [pytest.param(served, id=served.place) for served in SERVED if served.serve_written]


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


@pytest.mark.usefixtures("errors_logged")
@pytest.mark.parametrize("served", PLACES)
def test_by_itself(served: Served) -> None:
    """The context is there, unless the table says what to write."""
    served.serve()
    assert [{} if served.write else CAME] == seen


@pytest.mark.usefixtures("errors_logged")
@pytest.mark.parametrize("served", WRITTEN)
def test_written(served: Served) -> None:
    """Written as the table says, it is there."""
    assert served.serve_written is not None
    served.serve_written()
    assert [CAME] == seen


def test_page() -> None:
    """The page has the table that is run here; ``WRITE_DOCS=1`` writes it."""
    rows = [(served.place, "no" if served.write else "yes", served.write) for served in SERVED]
    check("frameworks", ["where the work is done", "follows", "else write"], rows)

"""What the tests of the trace page share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.recorded_runs import Recorded, recorded


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Recorded]:
    """Give a page that is served, about two runs that have no spans yet."""
    with recorded(tmp_path) as runs:
        yield runs

"""The Envoys that the mesh tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.bookinfo.runner import envoy
from examples.bookinfo.runner.errors import DemoError

# The last one that hands a client's `b3` on as it came; from 1.40 on Envoy refreshes it.
OLDER = "1.36.4"


@pytest.fixture(scope="session")
def older_envoy() -> Path:
    """Give Envoy 1.36.4, installed beside the project's own."""
    try:
        return envoy.find(version=OLDER)
    except DemoError as error:
        pytest.skip(str(error))

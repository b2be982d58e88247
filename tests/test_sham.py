"""The suite is no sham: with meshtrace switched off, its core fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

DRIVEN = "test_what_came_by"
"""The tests in tests/test_captures.py that go through a middleware and a session."""


@pytest.mark.parametrize(
    ("disabled", "outcome"),
    [
        pytest.param("0", (0, "1940 passed"), id="switched on, every capture is relayed"),
        pytest.param("1", (1, "1940 failed"), id="switched off, not one capture is relayed"),
    ],
)
def test_the_captures_need_meshtrace(disabled: str, outcome: tuple[int, str]) -> None:
    """The captures, through ASGI and through WSGI, are relayed by meshtrace and nothing else."""
    # What it covers is covered elsewhere, and measuring it would take long.
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("COVERAGE_")}
    # Without conftest.py, which takes the variable away from every test.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "tests/test_captures.py", "-k", DRIVEN),
            *("--noconftest", "--quiet", "--tb=no", "--assert=plain", "-rN", "--color=no"),
            *("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"),
        ],
        cwd=ROOT,
        env={**inherited, "MESHTRACE_DISABLED": disabled},
        capture_output=True,
        text=True,
        check=False,
    )
    (counts,) = re.findall(r"^(\d.*), \d+ deselected in ", done.stdout, re.MULTILINE)
    assert outcome == (done.returncode, counts)

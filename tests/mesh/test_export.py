"""``make demo EXPORT=...`` to a collector that is not there; tests/mesh/test_page.py has one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.bookinfo.runner.ports import listen

pytestmark = pytest.mark.envoy

PROJECT = Path(__file__).parents[2]


def test_a_collector_that_is_not_there_does_not_stop_the_demo() -> None:
    """It is said once, the last line counts what was dropped, and the verdict is as ever."""
    with listen() as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1/traces"
    ended = subprocess.run(
        [sys.executable, "-m", "examples.bookinfo", "--once", f"--export={url}"],
        env=dict(os.environ),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (0, "") == (ended.returncode, ended.stderr)
    assert 1 == ended.stdout.count(f"export: no spans to {url}: nobody answers there;")
    assert ended.stdout.splitlines()[-1].startswith(f"export: 0 batches of spans sent to {url}, ")
    assert "every request is one whole trace" in ended.stdout

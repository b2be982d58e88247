"""What ``meshtrace run`` adds to the start of a service, in wall-clock time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from time import perf_counter

from tests.benchmarks.surroundings import ROOT, environment

BUDGET = 50.0
"""The milliseconds that a start may take longer."""


@dataclass(frozen=True)
class Start:
    """A program to start, alone and under ``meshtrace run``."""

    title: str
    program: str


STARTS = {
    "flask": Start("import flask, requests", "import flask, requests"),
    "starlette": Start(
        "import starlette.applications, uvicorn, requests",
        "import starlette.applications, uvicorn, requests",
    ),
    "nothing": Start("pass: nothing that meshtrace would share", "pass"),
}


def milliseconds(name: str, *, run: bool) -> float:
    """Time one of `STARTS` from its beginning to its end."""
    command = [sys.executable, "-c", STARTS[name].program]
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "meshtrace", "run", *command] if run else command,
        cwd=ROOT,
        env=environment(),
        check=True,
    )
    return (perf_counter() - start) * 1e3

"""What importing costs, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from tests.benchmarks.surroundings import ROOT, environment


@dataclass(frozen=True)
class Import:
    """A statement to time, and what is loaded before it outside the timed part."""

    title: str
    statement: str
    before: str = ""


FRONT_DOOR = "import meshtrace; meshtrace.MeshTrace; meshtrace.MeshTraceWSGI"

IMPORTS = {
    "opentelemetry": Import("import opentelemetry.trace", "import opentelemetry.trace"),
    "meshtrace": Import("meshtrace: both middlewares", FRONT_DOOR),
    "requests": Import("import requests", "import requests"),
    "meshtrace-requests": Import(
        "the same and Session, requests being loaded",
        f"{FRONT_DOOR}; meshtrace.Session",
        before="import requests",
    ),
}


def milliseconds(name: str) -> float:
    """Time one of `IMPORTS` in a fresh interpreter, whose own start does not count."""
    timed = IMPORTS[name]
    program = f"""
{timed.before}
from time import process_time
start = process_time()
{timed.statement}
print((process_time() - start) * 1e3)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(finished.stdout)

"""Runs ``meshtrace check`` as its users do, and gives what it says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meshtrace.checker.isolation import namespace

SERVICES = Path(__file__).parent / "services"
ROOT = SERVICES.parents[2]

needs_namespace = pytest.mark.skipif(
    namespace.why_not() != "", reason=f"no network namespace here: {namespace.why_not()}"
)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js here")
on_one_python = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="what is seen from outside is the same on every Python"
)


class Said(NamedTuple):
    """
    What a check has said.

    Attributes:
        status: The exit status.
        text: What it wrote.
        error: What it wrote to stderr.
    """

    status: int
    text: str
    error: str

    @property
    def report(self) -> dict[str, Any]:
        """The report, where it was asked for as JSON."""
        report: dict[str, Any] = json.loads(self.text)
        return report

    @property
    def faults(self) -> set[tuple[str, str]]:
        """The call and the diagnosis of each finding."""
        return {(finding["call"], finding["diagnosis"]) for finding in self.report["findings"]}


def check(*arguments: str, env: dict[str, str] | None = None) -> Said:
    """Run a check."""
    done = subprocess.run(
        [sys.executable, "-m", "meshtrace", "check", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def command(service: str, variant: str) -> tuple[str, ...]:
    """Give what follows the options: a service of `SERVICES`, in one of its variants."""
    program = "node" if service.endswith(".js") else sys.executable
    return ("--", program, str(SERVICES / service), "{port}", variant)

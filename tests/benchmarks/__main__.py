"""
What carrying the headers costs, beside writing it by hand and beside OpenTelemetry.

``python -m tests.benchmarks``: each run of each variant is a process of its own, and the variants
take turns, so that a busy minute of the machine falls on all of them. The figures are information:
nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console
from rich.progress import Progress

from tests.benchmarks.imports import IMPORTS, milliseconds
from tests.benchmarks.report import (
    SCENARIOS,
    VARIANTS,
    Samples,
    import_table,
    scenario_table,
    spans_table,
    start_table,
)
from tests.benchmarks.starts import STARTS
from tests.benchmarks.starts import milliseconds as start_milliseconds
from tests.benchmarks.surroundings import ROOT, describe, environment

if TYPE_CHECKING:
    from tests.benchmarks.worker import Figures

EXPLANATION = """\
Sixteen headers, six of them for tracing, other ids in every request. "added": what a variant
costs more than bare. "ratio": that beside hand-written code; the budget is judged on the least
of the runs. "relayed": how many of the six fields were sent on as they came. OpenTelemetry is
its instrumentations of ASGI, WSGI and each client, reading and writing W3C and B3. Where httpx,
aiohttp or urllib3 sends, the request is written as HTTP/1.1, too."""


def main() -> None:
    """Measure, and print."""
    arguments = _arguments()
    samples: Samples = {scenario: {variant: [] for variant in VARIANTS} for scenario in SCENARIOS}
    verbatim: dict[str, dict[str, list[str]]] = {scenario: {} for scenario in SCENARIOS}
    imports: dict[str, list[float]] = {name: [] for name in IMPORTS}
    starts: dict[str, dict[str, list[float]]] = {name: {"alone": [], "run": []} for name in STARTS}

    progress = Progress(console=Console(stderr=True), transient=True)
    steps = arguments.runs * (len(VARIANTS) + len(IMPORTS) + len(STARTS))
    with progress:
        task = progress.add_task("measuring", total=steps)
        for _ in range(arguments.runs):
            for variant in VARIANTS:
                figures = measure(variant, arguments.seconds_per_run)
                for scenario in SCENARIOS:
                    samples[scenario][variant].append(figures["microseconds"][scenario])
                    verbatim[scenario][variant] = figures["verbatim"].get(scenario, [])
                progress.advance(task)
            for name in IMPORTS:
                imports[name].append(milliseconds(name))
                progress.advance(task)
            for name, start in starts.items():
                start["alone"].append(start_milliseconds(name, run=False))
                start["run"].append(start_milliseconds(name, run=True))
                progress.advance(task)

    surroundings = describe()
    console = Console(highlight=False)
    console.print("; ".join(f"{what} {which}" for what, which in surroundings.items()))
    console.print(" ".join(EXPLANATION.split()), end="\n\n")
    for scenario in SCENARIOS:
        console.print(scenario_table(scenario, samples[scenario], verbatim[scenario]), "")
    console.print(spans_table(samples), "")
    console.print(import_table(imports), "")
    console.print(start_table(starts))
    if arguments.json:
        arguments.json.write_text(
            json.dumps(
                {
                    "surroundings": surroundings,
                    "microseconds": samples,
                    "verbatim": verbatim,
                    "import_milliseconds": imports,
                    "start_milliseconds": starts,
                },
                indent=1,
            )
        )


def measure(variant: str, seconds: float) -> Figures:
    """Run one variant once, in a fresh process."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.worker", variant, "--seconds", str(seconds)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return cast("Figures", json.loads(finished.stdout))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=(__doc__ or "").split("\n\n")[0].strip()
    )
    parser.add_argument("--runs", type=int, default=11, help="runs of each variant (%(default)s)")
    parser.add_argument(
        "--seconds-per-run",
        type=float,
        default=0.1,
        metavar="SECONDS",
        help="for each of the scenarios of a run (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""
One variant in a process of its own: time the scenarios and print the figures as JSON.

``python -m tests.benchmarks.worker handwritten --seconds 0.05``
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from importlib import import_module
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, TypedDict, cast

from tests.benchmarks.scenarios import scenarios
from tests.benchmarks.traffic import OURS

if TYPE_CHECKING:
    from tests.benchmarks.scenarios import Scenario, Variant

BATCH = 32
"""Few enough that what was just made is still in the processor's cache, as it is in a server."""


class Figures(TypedDict):
    """What one run of one variant found out."""

    microseconds: dict[str, float]
    """For each scenario, the time for one request: the median of the batches of this run."""

    verbatim: dict[str, list[str]]
    """For each scenario that sends, the fields of ours that went on as they came in."""


def run(name: str, seconds: float) -> Figures:
    """Set the variant *name* up and time it, about *seconds* for each scenario."""
    variant = cast("Variant", import_module(f"tests.benchmarks.variants.{name}"))
    variant.install()
    figures: Figures = {"microseconds": {}, "verbatim": {}}
    for scenario_name, scenario in scenarios(variant).items():
        if scenario.outbound:
            figures["verbatim"][scenario_name] = verbatim(scenario)
        scenario.serve(scenario.prepare(BATCH))  # the first requests pay for what is made once
        figures["microseconds"][scenario_name] = time(scenario, seconds)
        if scenario.outbound:
            scenario.outbound.close()
    return figures


def verbatim(scenario: Scenario) -> list[str]:
    """Serve one request and list the fields of ours that left as they came."""
    assert scenario.outbound is not None
    (arrival,) = scenario.prepare(1)
    came = scenario.head(arrival)
    scenario.serve([arrival])
    went = scenario.outbound.sent()
    return [field for field in OURS if went.get(field) == came[field]]


def time(scenario: Scenario, seconds: float) -> float:
    """
    Serve batches for about *seconds*, at least one; return the microseconds of one request.

    The processor's time is taken, not the wall's: what else runs on the machine is not measured.
    """
    batches = []
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        deadline = perf_counter() + seconds
        while True:
            arrivals = scenario.prepare(BATCH)
            start = process_time()
            scenario.serve(arrivals)
            batches.append(process_time() - start)
            if perf_counter() >= deadline:
                break
    finally:
        gc.enable()
        gc.unfreeze()
    return median(batches) / BATCH * 1e6


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.worker")
    parser.add_argument("variant")
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    json.dump(run(arguments.variant, arguments.seconds), sys.stdout)


if __name__ == "__main__":
    main()

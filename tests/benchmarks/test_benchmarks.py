"""The benchmark compares what it says it compares. How fast anything is, no test asks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import __main__ as benchmark
from tests.benchmarks.imports import IMPORTS
from tests.benchmarks.report import SCENARIOS, VARIANTS, WITH_SPANS
from tests.benchmarks.starts import STARTS
from tests.benchmarks.traffic import OURS, Traffic

if TYPE_CHECKING:
    from pathlib import Path


TABLES = ("Own spans on", "Importing", "Starting under meshtrace run")

VERBATIM = {
    "bare": [],
    "handwritten": [*OURS],
    # Without an SDK, OpenTelemetry sends the remote parent on.
    "opentelemetry_api": ["traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"],
    # With it, spans of its own in the same trace, as meshtrace does with spans on.
    "opentelemetry_sdk": ["x-b3-traceid", "x-b3-sampled"],
    "meshtrace_patch": [*OURS],
    "meshtrace_wrap": [*OURS],
    "meshtrace_spans": ["x-request-id", "x-b3-traceid", "x-b3-sampled"],
}
"""What of the six fields each variant sends on as it came."""


def test_traffic_is_never_the_same_twice() -> None:
    """No two requests share an id, so no cache keyed by a value can win."""
    traffic = Traffic()
    heads = [traffic.head() for _ in range(300)]
    assert [16] * 300 == [len(head) for head in heads]
    identifying = [field for field in OURS if field != "x-b3-sampled"]
    values = {head[field] for head in heads for field in identifying}
    assert 300 * len(identifying) == len(values)


def test_the_whole_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One tiny run prints all tables and writes all figures; each variant does what it claims."""
    file = tmp_path / "figures.json"
    # A little more room than a terminal has: the figures of one short run may be long ones.
    monkeypatch.setenv("COLUMNS", "92")
    arguments = ["benchmarks", "--runs", "1", "--seconds-per-run", "0", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    benchmark.main()
    figures = json.loads(file.read_text())
    assert dict.fromkeys(SCENARIOS, dict.fromkeys(VARIANTS, 1)) == {
        scenario: {variant: len(runs) for variant, runs in samples.items()}
        for scenario, samples in figures["microseconds"].items()
    }
    assert dict.fromkeys(IMPORTS, 1) == {
        name: len(runs) for name, runs in figures["import_milliseconds"].items()
    }
    assert {name: {"alone": 1, "run": 1} for name in STARTS} == {
        name: {how: len(runs) for how, runs in samples.items()}
        for name, samples in figures["start_milliseconds"].items()
    }
    sending = [scenario for scenario in SCENARIOS if not scenario.endswith("-inbound")]
    assert dict.fromkeys(sending, VERBATIM) == {
        scenario: figures["verbatim"][scenario] for scenario in sending
    }
    printed = capsys.readouterr().out
    titles = [*(title for title, _ in SCENARIOS.values()), *WITH_SPANS.values(), *TABLES]
    assert [] == [title for title in titles if title not in printed]
    # Nothing had to be cut off for want of room.
    assert "…" not in printed

"""The benchmark compares what it says it compares. How fast anything is, no test asks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import __main__ as benchmark
from tests.benchmarks.imports import IMPORTS
from tests.benchmarks.report import SCENARIOS, VARIANTS
from tests.benchmarks.starts import STARTS
from tests.benchmarks.traffic import OURS, Traffic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        pytest.param("bare", [], id="bare sends nothing on"),
        pytest.param("handwritten", list(OURS), id="hand-written code sends all six on"),
        pytest.param(
            "opentelemetry_api",
            ["traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"],
            id="without an SDK OpenTelemetry sends the remote parent on",
        ),
        pytest.param(
            "opentelemetry_sdk",
            ["x-b3-traceid", "x-b3-sampled"],
            id="with its SDK OpenTelemetry sends spans of its own in the same trace",
        ),
        pytest.param("meshtrace_patch", list(OURS), id="meshtrace.patch sends all six on"),
        pytest.param("meshtrace_wrap", list(OURS), id="meshtrace.wrap sends all six on"),
        pytest.param(
            "meshtrace_spans",
            ["x-request-id", "x-b3-traceid", "x-b3-sampled"],
            id="with spans on meshtrace sends spans of its own in the same trace",
        ),
    ],
)
def test_verbatim(variant: str, expected: list[str]) -> None:
    """Each variant forwards what it claims to forward, on ASGI and on WSGI, by every client."""
    figures = benchmark.measure(variant, seconds=0)
    sending = [scenario for scenario in SCENARIOS if not scenario.endswith("-inbound")]
    assert dict.fromkeys(sending, expected) == figures["verbatim"]


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
    """One tiny run prints a table for each scenario, and writes a figure for each variant."""
    file = tmp_path / "figures.json"
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
    printed = capsys.readouterr().out
    assert [True] * len(SCENARIOS) == [title in printed for title, _ in SCENARIOS.values()]

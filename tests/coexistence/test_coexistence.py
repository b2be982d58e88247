"""
meshtrace beside every other tracer: the mesh's trace stays whole, and theirs what it was.

Each row is a process of its own, with every framework and every client in it. Its calls are judged
by what a real Envoy makes of such headers.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.coexistence.captures import CONTEXTS
from tests.coexistence.judged import breaks, faults, in_mesh
from tests.coexistence.rows import ALONE, ROWS, TITLES, Row

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coexistence.md"
SECONDS = 120
BEGIN, END = "<!-- {}: written by the tests -->\n", "<!-- {}: until here -->"

SERVERS = ("asgi", "starlette", "fastapi", "wsgi", "flask", "django")
CLIENTS = 12
CAME: dict[str, dict[str, str]] = {**CONTEXTS, "none": {}}
QUIET = {
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    # Nobody is there; the spans are looked at in the process.
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    # Else `ddtrace-run` has two of some of asyncio's classes, and anyio's scopes fail.
    "DD_UNLOAD_MODULES_FROM_SITECUSTOMIZE": "0",
}


def _run(row: Row, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.coexistence.process"]
    if row.command is not None:
        command.insert(0, str(Path(sys.executable).with_name(row.command)))
    arguments = [row.tracer, row.first, str(int(row.reported))]
    # What it covers is covered elsewhere, and measuring it would take long.
    left_out = ("MESHTRACE_", "COVERAGE_")
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith(left_out)}
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env={**inherited, **QUIET, **row.environment, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _faults(row: Row, seen: dict[str, Any]) -> dict[str, set[str]]:
    """Give what is wrong with the calls, by Envoy's tracer."""
    found: dict[str, set[str]] = {mesh: set() for mesh in CONTEXTS}
    for one in seen["seen"]:
        spans = [*one["own"], *(one["spans"] if row.joins else ())]
        for client, lines in one["calls"]:
            wrong = faults(one["mesh"], CAME[one["mesh"]], map(tuple, lines), spans)
            where = f" ({client} under {one['server']})" if row in ROWS else ""
            found.setdefault(one["mesh"], set()).update(f"{fault}{where}" for fault in wrong)
    return {mesh: wrong for mesh, wrong in found.items() if wrong}


def _spans(seen: dict[str, Any]) -> dict[str, set[tuple[int, int]]]:
    """Give how many SERVER and CLIENT spans there are for a request, by framework."""
    found: dict[str, set[tuple[int, int]]] = {}
    for one in seen["seen"]:
        kinds = Counter(span["kind"] for span in one["spans"])
        found.setdefault(one["server"], set()).add((kinds["SERVER"], kinds["CLIENT"]))
    return found


def _expected_spans(row: Row) -> dict[str, set[tuple[int, int]]]:
    reported = (row.servers, row.clients) if row.reported else (0, 0)
    twice = {server: {(reported[0] + 1, reported[1])} for server in row.twice}
    return {**{server: {reported} for server in SERVERS}, **twice}


def _faults_of_own(row: Row, seen: dict[str, Any]) -> list[str]:
    """Give what is wrong with the spans in the mesh's trace: one of a request, one of a call."""
    found = []
    for one in seen["seen"] if row.has_own else ():
        came = CAME[one["mesh"]]
        own = in_mesh(came, one["spans" if row.shares else "own"])
        kinds = Counter(span["kind"] for span in own)
        counts = (kinds["SERVER"], kinds["CLIENT"])
        calls = [map(tuple, lines) for _, lines in one["calls"]]
        if one["mesh"] in row.unread:
            wrong = ["a span of another trace than its own"] * len(own)
        else:
            wrong = [] if counts == (1, CLIENTS) else [f"SERVER and CLIENT spans: {counts}"]
            wrong += breaks(came, calls, own)
        found += [f"{fault} ({one['server']}, {one['mesh']})" for fault in wrong]
    return found


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_beside_another_tracer(row: Row) -> None:
    """Every call keeps the mesh's trace whole, one line a field; the tracer's spans stay its."""
    seen = _run(row)
    assert {200} == {one["status"] for one in seen["seen"]}
    assert {CLIENTS} == {len(one["calls"]) for one in seen["seen"]}
    assert len(SERVERS) * len(CAME) == len(seen["seen"])
    assert {} == _faults(row, seen)
    assert _expected_spans(row) == _spans(seen)
    assert [] == _faults_of_own(row, seen)
    warned = [text for level, text in seen["said"] if level != "INFO"]
    assert len(row.warns) == len(warned), warned
    assert all(part in text for part, text in zip(row.warns, warned, strict=True))


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.first == "theirs" and row.reported and not row.environment],
    ids=str,
)
def test_the_other_tracer_alone(row: Row) -> None:
    """Without meshtrace, the tracer does to the mesh's trace what the page says."""
    seen = _run(row, MESHTRACE_DISABLED="1")
    wanted = {mesh: set(wrong) for mesh, wrong in ALONE[row.tracer].items()}
    found = {
        mesh: {fault.partition(" (")[0] for fault in wrong}
        for mesh, wrong in _faults(row, seen).items()
    }
    assert wanted == found
    assert _expected_spans(row) == _spans(seen)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _beside() -> str:
    calls = f"{len(SERVERS) * CLIENTS} of {len(SERVERS) * CLIENTS}"
    rows = [[row.title, row.order, row.remark, *[calls] * len(CONTEXTS)] for row in ROWS]
    return _table(["tracer", "installed", "settings", *CONTEXTS], rows)


def _alone() -> str:
    rows = [
        [TITLES[tracer][0], *("; ".join(by_mesh[mesh]) for mesh in CONTEXTS)]
        for tracer, by_mesh in ALONE.items()
    ]
    return _table(["tracer", *CONTEXTS], rows)


@pytest.mark.parametrize(
    ("name", "table"), [("beside", _beside), ("alone", _alone)], ids=["beside", "alone"]
)
def test_the_page_says_what_was_run(name: str, table: Any) -> None:  # noqa: ANN401 - gives text
    """The page has exactly what is run here, with the versions; ``WRITE_DOCS=1`` writes it."""
    begin, end = BEGIN.format(name), END.format(name)
    before, rest = PAGE.read_text().split(begin)
    found, after = rest.split(end)
    if os.environ.get("WRITE_DOCS"):
        found = f"\n{table()}\n\n"
        PAGE.write_text(before + begin + found + end + after)
    assert table() == found.strip()

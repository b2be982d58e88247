"""Traces as the user sees them."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console, RenderableType

from examples.bookinfo.runner.report import log_lines, trace_tree
from examples.bookinfo.runner.spans import Span, Trace


def _span(span_id: str, parent_id: str | None, workload: str, kind: str, flags: str = "-") -> Span:
    tags = {"response_flags": flags, "guid:x-request-id": "4711"}
    return Span("7ace", span_id, parent_id, workload, "ratings:9080/*", kind, 0, 1500, tags)


CALL = _span("ca11", None, "reviews-v2", "CLIENT")
TAKEN = _span("7a4e", "ca11", "ratings", "SERVER")


def _printed(*shown: RenderableType) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=120).print(*shown)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_a_trace_is_a_tree_with_ids_and_durations() -> None:
    """Ids above; then who, which way, what, how long, and the span's id, indented by depth."""
    assert [
        "trace 7ace  x-request-id 4711",
        "reviews-v2  out ratings:9080/*  1.5 ms  ca11",
        "└─ ratings  in  ratings:9080/*  1.5 ms  7a4e",
    ] == _printed(trace_tree(Trace("7ace", (CALL, TAKEN))))


def test_a_fault_is_marked() -> None:
    """What Envoy did to a call stands at the end of its line."""
    late = dataclasses.replace(CALL, tags={"response_flags": "DI"})
    assert _printed(trace_tree(Trace("7ace", (late,))))[1].endswith("ca11  fault: delayed")


def test_retries_are_marked() -> None:
    """A call that was taken more than once says how often."""
    again = dataclasses.replace(TAKEN, span_id="a9a1")
    lines = _printed(trace_tree(Trace("7ace", (CALL, TAKEN, again))))
    assert lines[1].endswith("ca11  2 attempts")
    assert [line[:2] for line in lines[2:]] == ["├─", "└─"]


def test_an_orphan_is_marked() -> None:
    """A span whose parent nobody reported is shown at the top, with the id of the lost one."""
    orphan = dataclasses.replace(TAKEN, parent_id="90e5")
    lines = _printed(trace_tree(Trace("7ace", (CALL, orphan))))
    assert lines[2].startswith("ratings ")
    assert lines[2].endswith("orphan: nobody reported 90e5")


def test_only_the_lines_of_the_trace_are_shown() -> None:
    """Of all that the services and their sidecars logged, the lines with its id, side by side."""
    lines = [
        "details         GET trace_id=7ace",
        "details         GET trace_id=0dd",
        "details-sidecar GET trace_id=7ace",
    ]
    assert [lines[0], lines[2]] == _printed(log_lines(lines, ["7ace"]))


@pytest.mark.parametrize("sidecars", [[], ["details-sidecar GET trace_id=7ace"]])
def test_no_line_of_a_service_is_told(sidecars: list[str]) -> None:
    """Without meshtrace no line of a service has a trace id; that is said under its sidecar's."""
    *shown, told = _printed(log_lines(["details GET trace_id=-", *sidecars], ["7ace"]))
    assert sidecars == shown
    assert told.endswith("no line of theirs has a trace id")

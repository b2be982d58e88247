"""Traces as the trace page wants them: plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from examples.bookinfo.runner import headers, wholeness
from examples.bookinfo.runner.headers import Passage
from examples.bookinfo.runner.spans import ENVOY, Span, Trace

NOTHING = Passage({}, {})


class Collects(Protocol):
    """Where the spans of a run are."""

    def traces(self) -> list[Trace]:
        """Return all traces so far."""


@dataclass(frozen=True)
class Run:
    """
    One mesh, as far as the page needs it.

    Args:
        without: Whether meshtrace is off in it.
        collector: Has its spans.
        directory: Where its Envoys note the headers that they see.
        log_lines: What its services and sidecars have logged so far.
    """

    without: bool
    collector: Collects
    directory: Path
    log_lines: Callable[[], Sequence[str]]


def summary(run: Run, trace: Trace) -> dict[str, Any]:
    """Return what the list shows of *trace*; times in microseconds."""
    wrong = wholeness.problems(trace)
    start = trace.spans[0].start
    return {
        "id": trace.trace_id,
        "without": run.without,
        "state": "whole" if not wrong else "broken" if wholeness.is_over(trace) else "arriving",
        "problems": wrong,
        "request": _request(trace.spans[0]),
        "start": start,
        "duration": max(span.start + span.duration for span in trace.spans) - start,
        "spans": len(trace.spans),
        "services": list(dict.fromkeys(span.workload for span in trace.spans)),
        "notes": _counted(trace),
    }


def detail(run: Run, trace: Trace) -> dict[str, Any]:
    """Return all there is to *trace*: its spans in the order of the tree, and its log lines."""
    seen = headers.passages(run.directory)
    start = trace.spans[0].start
    return {
        **summary(run, trace),
        "tree": [
            {
                "id": span.span_id,
                "parent": span.parent_id,
                "depth": depth,
                "workload": span.workload,
                "operation": span.label,
                "kind": span.kind,
                "by": span.made_by,
                "start": span.start - start,
                "duration": span.duration,
                "notes": [*_attempt(trace, span), *trace.notes(span)],
                "orphan": span in trace.orphans,
                "requestId": span.request_id,
                "tags": dict(sorted(span.tags.items())),
                **_headers(seen.get(span.span_id, NOTHING)),
            }
            for depth, span in trace.walk()
        ],
        "log": [line for line in run.log_lines() if trace.trace_id in line],
    }


def _headers(passage: Passage) -> dict[str, Mapping[str, str]]:
    return {"came": passage.came, "went": passage.went}


def _request(span: Span) -> str:
    path = wholeness.path(span)
    return f"{span.tags.get('http.method', '')} {path}".strip() if path else span.label


def _counted(trace: Trace) -> list[str]:
    notes = [note for span in trace.spans for note in span.notes]
    notes += ["retried" for span in trace.spans if _attempt(trace, span)[:1] == ["attempt 2"]]
    return list(dict.fromkeys(notes))


def _attempt(trace: Trace, span: Span) -> list[str]:
    """Tell which attempt *span* is, if the call that it belongs to was made more than once."""
    if span.made_by != ENVOY or span.kind != "SERVER":
        return []
    tried = [other for other in trace.spans if other.parent_id == span.parent_id]
    if not span.parent_id or len(tried) < 2:  # noqa: PLR2004 - two is more than once
        return []
    return [f"attempt {tried.index(span) + 1}"]

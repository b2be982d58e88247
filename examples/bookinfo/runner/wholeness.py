"""Is a trace whole? Told from its spans alone, where nobody knows which visit made it."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from examples.bookinfo.runner.spans import ENVOY, Span, Trace

# The root ends last, and an application may hand over its spans later than an Envoy.
LATE = 3.0

# Whom a service calls to answer for a path, by the first segment of it.
CALLS = {
    ("productpage", "productpage"): ("details", "reviews"),
    ("reviews-v2", "reviews"): ("ratings",),
    ("reviews-v3", "reviews"): ("ratings",),
}


def problems(trace: Trace) -> list[str]:
    """Say in words what is wrong with *trace*; nothing if it is whole."""
    wrong = []
    if orphans := len(trace.orphans):
        wrong.append(f"{orphans} {'orphan' if orphans == 1 else 'orphans'}")
    roots = len(trace.tops) - orphans
    if roots > 1:
        wrong.append(f"{roots} roots")
    first = trace.spans[0]
    if first.workload != "gateway":
        wrong.append(f"begins at {first.workload}, not at the gateway")
    return wrong + [
        f"{span.workload}'s call of {' and '.join(missing)} is missing"
        for span in trace.spans
        if (missing := _missing(trace, span))
    ]


def is_over(trace: Trace, now: float | None = None) -> bool:
    """Tell whether *trace* is whole, or so old that nothing more of it will come."""
    ended = max(span.start + span.duration for span in trace.spans) / 1_000_000
    return not problems(trace) or (time.time() if now is None else now) - ended > LATE


def path(span: Span) -> str:
    """Return the path that *span* was asked for, or nothing if it does not tell."""
    return urlsplit(span.tags.get("http.url", "")).path


def _missing(trace: Trace, span: Span) -> list[str]:
    answered = span.made_by == ENVOY and span.tags.get("http.status_code") == "200"
    if span.kind != "SERVER" or not answered:
        return []
    wanted = CALLS.get((span.workload, path(span).strip("/").partition("/")[0]), ())
    called = {
        other.operation.partition(":")[0]
        for other in trace.spans
        if other.workload == span.workload and other.kind == "CLIENT"
    }
    return [name for name in wanted if name not in called]

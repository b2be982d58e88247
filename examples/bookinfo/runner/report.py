"""What the user sees: traces as trees, the verdict, the log lines that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.bookinfo.runner.spans import APPLICATION, Span, Trace
from examples.bookinfo.runner.verdict import Finding, Verdict, request_ids

COLOURS = {
    "gateway": "bright_black",
    "productpage": "cyan",
    "details": "green",
    "reviews": "magenta",
    "ratings": "yellow",
}


def trace_tree(trace: Trace) -> RenderableType:
    """Show *trace* as a tree: who, what, how long, the span's id, and anything unusual."""
    ids = ", ".join(sorted(request_ids(trace.spans))) or "-"
    heading = Text.assemble("trace ", (trace.trace_id, "bold"), "  x-request-id ", (ids, "bold"))
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="bright_black")
    table.add_column(style="bold red")
    for branch, span in _branches(trace):
        table.add_row(
            Text.assemble((branch, "bright_black"), (span.workload, _colour(span))),
            Text.assemble((_way(span), "bright_black"), span.label),
            f"{span.duration / 1000:.1f} ms",
            span.span_id,
            ", ".join(trace.notes(span)),
        )
    return Group(heading, table)


_DIRECTION = {"SERVER": "in  ", "CLIENT": "out "}


def _way(span: Span) -> str:
    app = "app " if span.made_by == APPLICATION else ""
    return app + _DIRECTION.get(span.kind, "")


def _colour(span: Span) -> str:
    return COLOURS.get(span.workload.partition("-")[0], "white")


def _branches(trace: Trace) -> Iterable[tuple[str, Span]]:
    def below(span: Span, indent: str) -> Iterable[tuple[str, Span]]:
        children = trace.children(span)
        for child in children:
            last = child is children[-1]
            yield indent + ("└─ " if last else "├─ "), child
            yield from below(child, indent + ("   " if last else "│  "))

    for top in trace.tops:
        yield "", top
        yield from below(top, "")


def every_request(verdict: Verdict) -> RenderableType:
    """Show one line a request: what it should have left behind, and what it did."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bright_black")
    for name in ("request", "user", "reviews by"):
        table.add_column(name)
    for name in ("spans", "expected", "traces"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for finding in verdict.findings:
        table.add_row(
            finding.visit.request,
            finding.visit.user or "-",
            finding.visit.reviews or "-",
            str(finding.spans),
            str(finding.whole.spans),
            str(len(finding.traces)),
            _in_short(finding),
        )
    return table


def _in_short(finding: Finding) -> Text:
    if finding.problems:
        return Text("✗ " + ", ".join(finding.problems), style="red")
    if not finding.traces:
        return Text("✓ not sampled, no span at all", style="green")
    return Text("✓ one whole trace", style="green")


def summary(verdict: Verdict) -> RenderableType:
    """Say it in one sentence."""
    found = [trace for finding in verdict.findings for trace in finding.traces]
    spans = sum(len(trace.spans) for trace in found) + len(verdict.strays)
    orphans = sum(len(trace.orphans) for trace in found)
    counts = (
        f"{len(verdict.findings)} requests, {len(found)} traces, {spans} spans, {orphans} orphans"
    )
    if verdict.good:
        sampled = all(finding.traces for finding in verdict.findings)
        says = "every request is one whole trace" if sampled else "every trace is whole or absent"
        return Text.assemble((f"✓ {counts}: {says}.", "bold green"))
    broken = sum(bool(finding.problems) for finding in verdict.findings)
    strays = f", {len(verdict.strays)} spans of no request" * bool(verdict.strays)
    says = f"{broken} of {len(verdict.findings)} requests did not give one whole trace{strays}"
    return Text.assemble((f"✗ {counts}: {says}.", "bold red"))


def log_lines(lines: Sequence[str], trace_ids: Iterable[str]) -> RenderableType:
    """
    Show those of *lines* that belong to one of the traces, their trace id set off.

    Sidecars always know the trace; that no service does is said.
    """
    wanted = list(trace_ids)
    shown = [line for line in lines if any(trace_id in line for trace_id in wanted)]
    text = Text("\n").join(map(Text, shown))
    for trace_id in wanted:
        text.highlight_words([trace_id], style="bold")
    if all(line.split()[0].endswith("-sidecar") for line in shown):
        told = "nothing of the services could be told apart: no line of theirs has a trace id"
        return Group(*[text] * bool(shown), Text(told, style="red"))
    return text


def console(*, terminal: bool) -> Console:
    """Return where to print; a file or a pipe has no edge to wrap lines at."""
    return Console(highlight=False) if terminal else Console(highlight=False, width=120)

"""The story that the demo tells: start, visit as a guest and as jason, judge, keep serving."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule

from examples.bookinfo.runner import envoy, report, verdict, wholeness
from examples.bookinfo.runner.comparison import Comparison
from examples.bookinfo.runner.errors import DemoError
from examples.bookinfo.runner.export import Export
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.options import Options
from examples.bookinfo.runner.page import Page
from examples.bookinfo.runner.services import BOOKINFO
from examples.bookinfo.runner.verdict import EVERYTHING, Finding, Verdict
from examples.bookinfo.runner.visitor import Visit, Visitor

GUEST_VISITS = 6
JASON_VISITS = 2
# So that some are traced and some are not, also at a few percent.
GUEST_VISITS_WHEN_SAMPLING = 36


def run(options: Options, console: Console, *, keep_serving: bool) -> bool:
    """Play the demo and return whether every request gave one whole trace."""
    with console.status("looking for Envoy, or fetching it"):
        binary = envoy.find(options.envoy, options.envoy_version)
    version = envoy.version_of(binary)
    console.print(
        f"[bold]bookinfo[/]: Envoy {version}, tracer {options.tracer}, "
        f"sampling {options.sampling:g} %, meshtrace {'[red]off[/]' if options.without else 'on'}"
        f"{', spans of the services' if options.spans else ''}"
    )
    export = Export(options.export, console.out) if options.export else None
    with contextlib.ExitStack() as stack:
        if export:
            stack.enter_context(export)
        progress = stack.enter_context(_progress(console))
        mesh = _mesh(options, binary, export=export, on_progress=_bar(progress))
        stack.enter_context(mesh)
        progress.stop()
        if keep_serving:
            facts = {"envoy": version, "tracer": options.tracer, "sampling": options.sampling}
            stack.enter_context(_page(mesh, _twin(options, binary, export), facts))
        outcome = judge(mesh, _visits(mesh))
        show(mesh, outcome, console)
        if keep_serving:
            serve(mesh, console)
    if export:
        console.print(f"[bright_black]{escape(export.summary)}[/]", soft_wrap=True)
    return outcome.good


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("starting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[up]}"),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _bar(progress: Progress) -> Callable[[str], None]:
    parts = 2 * len(BOOKINFO) + 1
    started = progress.add_task("", total=parts, up="")
    return lambda name: progress.update(started, advance=1, up=f"{name} is up")


def _mesh(options: Options, binary: Path, **more: Any) -> Mesh:  # noqa: ANN401 - as Mesh has them
    wanted = {"without": options.without, "spans": options.spans, "port": options.port, **more}
    return Mesh(tracer=options.tracer, sampling=options.sampling, binary=binary, **wanted)


def _twin(
    options: Options, binary: Path, export: Export | None
) -> Callable[[Callable[[str], None]], Mesh]:
    other = {"without": not options.without, "port": 0, "export": export}
    return lambda up: _mesh(options, binary, on_progress=up, **other)


def _page(
    mesh: Mesh, twin: Callable[[Callable[[str], None]], Mesh], facts: Mapping[str, object]
) -> Comparison:
    comparison = Comparison(mesh, twin)
    everything = {**facts, "without": mesh.without, "shop": f"{mesh.address}/productpage"}
    mesh.collector.page = Page(everything, comparison)
    return comparison


def _visits(mesh: Mesh) -> list[Visit]:
    try:
        return visit_all(mesh.address, mesh.sampling)
    except requests.RequestException as error:
        mesh.check()  # a part that died explains it better
        raise DemoError(f"the gateway does not answer: {error}") from error


def visit_all(address: str, sampling: float = EVERYTHING) -> list[Visit]:
    """Look at the page as a guest, then sign in as jason and look again."""
    guest_visits = GUEST_VISITS if sampling == EVERYTHING else GUEST_VISITS_WHEN_SAMPLING
    with Visitor(address) as guest, Visitor(address) as jason:
        return [
            *(guest.look() for _ in range(guest_visits)),
            jason.sign_in("jason"),
            *(jason.look() for _ in range(JASON_VISITS)),
        ]


def judge(mesh: Mesh, visits: Sequence[Visit]) -> Verdict:
    """Wait for the spans of *visits*, and hold them against what should have come."""
    if mesh.sampling == EVERYTHING:
        whole = sum(verdict.expected(visit, own_spans=mesh.spans).spans for visit in visits)
        mesh.collector.wait_for(lambda spans: len(spans) >= whole)
    spans = mesh.collector.wait_until_quiet()
    mesh.check()
    return verdict.judge(visits, spans, sampling=mesh.sampling, own_spans=mesh.spans)


def show(mesh: Mesh, outcome: Verdict, console: Console) -> None:
    """Print a guest's and jason's request at length, then all of them in short."""
    lines = mesh.all_log_lines()
    for title, finding in _to_show(outcome.findings):
        console.print()
        console.print(Rule(f"{title}: {finding.visit.request}", align="left", style="bright_black"))
        for trace in finding.traces:
            console.print(report.trace_tree(trace), soft_wrap=True)
        console.print(
            "\n[bright_black]what the services, and the sidecars beside them, logged for it[/]"
        )
        ids = [trace.trace_id for trace in finding.traces]
        console.print(report.log_lines(lines, ids), soft_wrap=True)
    console.print()
    console.print(Rule("every request", align="left", style="bright_black"))
    console.print(report.every_request(outcome))
    console.print()
    console.print(report.summary(outcome), soft_wrap=True)


def _to_show(findings: Sequence[Finding]) -> list[tuple[str, Finding]]:
    """Choose the longest guest's and the longest of jason's."""
    chosen = []
    for title, user in (("a guest", None), ("jason", "jason")):
        theirs = [finding for finding in findings if finding.visit.user == user and finding.traces]
        if theirs:
            chosen.append((title, max(theirs, key=lambda finding: finding.spans)))
    return chosen


def serve(mesh: Mesh, console: Console) -> None:
    """Go on until Ctrl-C, and show the trace of every visit."""
    page = mesh.collector.page_address
    console.print(f"product page: [bold]{mesh.address}/productpage[/]", soft_wrap=True)
    console.print(f"all traces:   [bold]{page}[/]", soft_wrap=True)
    console.print(f"with, without: [bold]{page}#compare[/]", soft_wrap=True)
    shown = {trace.trace_id for trace in mesh.collector.traces()}
    console.print("[bright_black]sign in there as jason; Ctrl-C ends[/]")
    # Ctrl-C is how this is meant to end: what counts afterwards is the verdict.
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            mesh.collector.wait_until_quiet(seconds=2)
            mesh.check()
            for trace in mesh.collector.traces():
                if trace.trace_id not in shown and wholeness.is_over(trace):
                    console.print()
                    console.print(report.trace_tree(trace), soft_wrap=True)
                    console.print(f"{page}#trace={trace.trace_id}", style="bright_black")
                    shown.add(trace.trace_id)

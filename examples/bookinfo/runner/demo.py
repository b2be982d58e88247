"""The story that the demo tells: start, visit as a guest and as jason, judge, keep serving."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule

from examples.bookinfo.runner import envoy, report, verdict
from examples.bookinfo.runner.errors import DemoError
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.options import Options
from examples.bookinfo.runner.spans import Trace
from examples.bookinfo.runner.verdict import EVERYTHING, Finding, Verdict
from examples.bookinfo.runner.visitor import Visit, Visitor

LATE = 3.0
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
    )
    with _progress(console) as progress:
        mesh = _mesh(options, binary, progress)
        with mesh:
            progress.stop()
            outcome = judge(mesh, _visits(mesh))
            show(mesh, outcome, console)
            if keep_serving:
                serve(mesh, console)
    return outcome.good


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("starting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[up]}"),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _mesh(options: Options, binary: Path, progress: Progress) -> Mesh:
    started = progress.add_task("", total=None, up="")
    mesh = Mesh(
        tracer=options.tracer,
        sampling=options.sampling,
        without=options.without,
        binary=binary,
        port=options.port,
        on_progress=lambda name: progress.update(started, advance=1, up=f"{name} is up"),
    )
    progress.update(started, total=len(mesh.parts))
    return mesh


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
        whole = sum(verdict.expected(visit).spans for visit in visits)
        mesh.collector.wait_for(lambda spans: len(spans) >= whole)
    spans = mesh.collector.wait_until_quiet()
    mesh.check()
    return verdict.judge(visits, spans, sampling=mesh.sampling)


def show(mesh: Mesh, outcome: Verdict, console: Console) -> None:
    """Print a guest's and jason's request at length, then all of them in short."""
    lines = [line for service in mesh.services for line in mesh.log_lines(service.workload)]
    for title, finding in _to_show(outcome.findings):
        console.print()
        console.print(Rule(f"{title}: {finding.visit.request}", align="left", style="bright_black"))
        for trace in finding.traces:
            console.print(report.trace_tree(trace), soft_wrap=True)
        console.print("\n[bright_black]what the services logged for it[/]")
        ids = [trace.trace_id for trace in finding.traces]
        console.print(report.log_lines(lines, ids), soft_wrap=True)
    console.print()
    console.print(Rule("every request", align="left", style="bright_black"))
    console.print(report.every_request(outcome))
    console.print()
    console.print(report.summary(outcome), soft_wrap=True)
    console.print(f"product page: [bold]{mesh.address}/productpage[/]", soft_wrap=True)


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
    console.print("[bright_black]sign in there as jason; Ctrl-C ends[/]")
    shown = {trace.trace_id for trace in mesh.collector.traces()}
    # Ctrl-C is how this is meant to end: what counts afterwards is the verdict.
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            mesh.collector.wait_until_quiet(seconds=2)
            mesh.check()
            for trace in mesh.collector.traces():
                if trace.trace_id not in shown and _is_over(trace):
                    console.print()
                    console.print(report.trace_tree(trace), soft_wrap=True)
                    shown.add(trace.trace_id)


def _is_over(trace: Trace) -> bool:
    # The root ends last. A trace without one hangs from the client's own span, or has lost it.
    ended = max(span.start + span.duration for span in trace.spans) / 1_000_000
    return not trace.orphans or time.time() - ended > LATE

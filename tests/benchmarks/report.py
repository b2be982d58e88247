"""From figures to tables: added cost, and how it stands beside hand-written code and the budget."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tests.benchmarks.imports import IMPORTS
from tests.benchmarks.starts import BUDGET, STARTS
from tests.benchmarks.traffic import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIANTS = {
    "bare": "bare",
    "handwritten": "hand-written",
    "opentelemetry_api": "OpenTelemetry API",
    "opentelemetry_sdk": "OpenTelemetry SDK",
    "meshtrace_patch": "meshtrace patch()",
    "meshtrace_wrap": "meshtrace wrap()",
    "meshtrace_spans": "meshtrace, spans on",
}

SPANS_BUDGET = 0.5
"""How much of what OpenTelemetry's instrumentations cost spans of meshtrace's own may cost."""

SCENARIOS = {
    "asgi-inbound": ("ASGI, inbound only", 1.2),
    "asgi-sent": ("ASGI, inbound and one request sent by requests", 1.5),
    "asgi-written": ("ASGI, the same, and the request written as HTTP/1.1", 1.5),
    "asgi-httpx": ("ASGI, inbound and one request sent by httpx", 1.5),
    "asgi-aiohttp": ("ASGI, inbound and one request sent by aiohttp", 1.5),
    "wsgi-inbound": ("WSGI, inbound only", 1.5),
    "wsgi-sent": ("WSGI, inbound and one request sent by requests", 1.5),
    "wsgi-written": ("WSGI, the same, and the request written as HTTP/1.1", 1.5),
    "wsgi-urllib3": ("WSGI, inbound and one request sent by urllib3", 1.5),
}
"""The title of each, and how many times the cost of hand-written code meshtrace may cost."""

WITH_SPANS = {
    "asgi-inbound": "ASGI in",
    "asgi-sent": "ASGI in + requests out",
    "asgi-httpx": "ASGI in + httpx out",
    "asgi-aiohttp": "ASGI in + aiohttp out",
    "wsgi-inbound": "WSGI in",
    "wsgi-sent": "WSGI in + requests out",
    "wsgi-urllib3": "WSGI in + urllib3 out",
}
"""What of it is beside OpenTelemetry's instrumentations."""

Samples = dict[str, dict[str, list[float]]]
"""For each scenario and variant, the microseconds of one request in each run."""


def scenario_table(
    name: str, samples: Mapping[str, Sequence[float]], verbatim: Mapping[str, Sequence[str]]
) -> Table:
    """Lay out one scenario: a row for each variant, the least of its runs and their median."""
    title, budget = SCENARIOS[name]
    sending = any(verbatim.values())
    headings = ["least", "added", "ratio", "median", "added", "ratio", f"<= {budget}"]
    if sending:
        headings.append("relayed")
    table = _table(f"{title} (microseconds a request)", headings)
    for variant, runs in samples.items():
        least = _compared(min(runs), min(samples["bare"]), min(samples["handwritten"]))
        middle = _compared(median(runs), median(samples["bare"]), median(samples["handwritten"]))
        cells = [VARIANTS[variant], *least.cells(variant), *middle.cells(variant)]
        met = least.ratio <= budget
        judged = variant in ("meshtrace_patch", "meshtrace_wrap")
        cells.append(_verdict(met=met) if judged else "")
        if sending:
            cells.append(f"{len(verbatim[variant])}/{len(OURS)}")
        table.add_row(*cells)
    return table


def spans_table(samples: Samples) -> Table:
    """Lay out what own spans cost, in and out, beside OpenTelemetry's instrumentations."""
    headings = ("OpenTelemetry SDK", "meshtrace", "ratio", f"<= {SPANS_BUDGET}")
    table = _table("Own spans on (microseconds added for one request, least)", headings)
    for name, title in WITH_SPANS.items():
        bare, theirs, ours = (
            min(samples[name][variant])
            for variant in ("bare", "opentelemetry_sdk", "meshtrace_spans")
        )
        ratio = (ours - bare) / (theirs - bare)
        figures = map(_figure, (theirs - bare, ours - bare, ratio))
        # The budget is that of ASGI and requests.
        verdict = _verdict(met=ratio <= SPANS_BUDGET) if name == "asgi-sent" else ""
        table.add_row(title, *figures, verdict)
    return table


def import_table(samples: Mapping[str, Sequence[float]]) -> Table:
    """Lay out what importing costs."""
    table = _table("Importing (milliseconds)", ("least", "ratio", "median", "< 1"))
    beside = min(samples["opentelemetry"])
    for name, runs in samples.items():
        ratio = min(runs) / beside
        table.add_row(
            IMPORTS[name].title,
            _figure(min(runs)),
            _figure(ratio),
            _figure(median(runs)),
            _verdict(met=ratio < 1) if name == "meshtrace" else "",
        )
    return table


def start_table(samples: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    """Lay out what ``meshtrace run`` adds to a start."""
    headings = ("alone", "run", "added", f"<= {BUDGET:.0f}")
    table = _table("Starting under meshtrace run (milliseconds, least)", headings)
    for name, start in samples.items():
        alone, run = min(start["alone"]), min(start["run"])
        met = _verdict(met=run - alone <= BUDGET)
        figures = map(_figure, (alone, run, run - alone))
        table.add_row(STARTS[name].title, *figures, "" if name == "nothing" else met)
    return table


class _Compared(NamedTuple):
    cost: float
    added: float
    ratio: float

    def cells(self, variant: str) -> tuple[str, str, str]:
        if variant == "bare":
            return _figure(self.cost), "", ""
        return _figure(self.cost), _figure(self.added), _figure(self.ratio)


def _figure(value: float) -> str:
    """Write three digits; more would be noise."""
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 1))))}f}"


def _compared(cost: float, bare: float, handwritten: float) -> _Compared:
    added = cost - bare
    beside = handwritten - bare
    return _Compared(cost, added, added / beside if beside else math.inf)


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _verdict(*, met: bool) -> str:
    return "[green]met[/]" if met else "[yellow]not met[/]"

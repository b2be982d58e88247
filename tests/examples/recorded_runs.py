"""What a real demo left behind for jason's look at the page, with meshtrace and without."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.page import Page
from examples.bookinfo.runner.spans import from_zipkin
from examples.bookinfo.runner.views import Run

RECORDED = Path(__file__).parent / "recorded"
FACTS = {
    "envoy": "1.40.0",
    "tracer": "zipkin",
    "sampling": 100,
    "without": False,
    "shop": "http://127.0.0.1:9/productpage",
}


@dataclass
class Recorded:
    """Two runs that hold what was recorded, once it is asked for."""

    collector: Collector
    other: Collector
    directories: tuple[Path, Path]
    asked: list[str | None] = field(default_factory=list)

    def runs(self) -> Sequence[Run]:
        """Return both meshes."""
        return [
            Run(without, collector, directory, partial(log, name))
            for without, collector, directory, name in (
                (False, self.collector, self.directories[0], "with"),
                (True, self.other, self.directories[1], "without"),
            )
        ]

    def state(self) -> Mapping[str, object]:
        """Return what came of it."""
        if not self.asked:
            return {"state": "none"}
        sides = [
            {
                "without": run.without,
                "request": "GET /productpage",
                "status": 200,
                "reviews": "reviews-v2",
                "took": 553_000,
                "traces": [trace.trace_id for trace in run.collector.traces()],
            }
            for run in self.runs()
        ]
        return {"state": "done", "user": self.asked[-1], "sides": sides}

    def start(self, user: str | None) -> None:
        """Have it all there."""
        self.asked.append(user)
        feed(self.other, "without")

    @property
    def address(self) -> str:
        """Where the page is."""
        return str(self.collector.page_address)


def spans(name: str) -> list[dict[str, Any]]:
    """Return what was recorded as Zipkin has it."""
    recorded: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text())
    return recorded


def log(name: str) -> list[str]:
    """Return the log lines of it."""
    return (RECORDED / f"{name}.log").read_text().splitlines()


def feed(collector: Collector, name: str) -> None:
    """Give *collector* what was recorded."""
    collector.add(from_zipkin(json.dumps(spans(name)).encode()))


@contextmanager
def recorded(directory: Path) -> Iterator[Recorded]:
    """Serve a page about runs that have nothing yet."""
    directories = directory / "with", directory / "without"
    for one in directories:
        one.mkdir()
        (one / "mesh.headers").write_bytes((RECORDED / f"{one.name}.headers").read_bytes())
    with Collector() as collector, Collector() as other:
        comparison = Recorded(collector, other, directories)
        collector.page = Page(FACTS, comparison)
        yield comparison

"""The instruments: send exactly these header lines, and see what spans and headers came of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.services import BOOKINFO, Service
from examples.bookinfo.runner.spans import Span, Trace, traces
from examples.bookinfo.runner.verdict import Hop, actual, expected
from examples.bookinfo.runner.visitor import Visit, served_by

FILES = Path(__file__).parent / "sidecars"
TRACERS = {file.stem: file for file in (FILES / "tracers").glob("*.yaml")}
SKYWALKING_TRACING = FILES / "skywalking-tracing.yaml"

RECORDED = tuple(
    dataclasses.replace(
        service,
        module="tests.mesh.recorded",
        environment={
            **service.environment,
            "SERVICE": service.name,
            "WORKLOAD": service.workload,
            "RECORDS": "${directory}/headers.jsonl",
        },
    )
    for service in BOOKINFO
)

LOGIN = expected(Visit("POST /login", None, 302, None, 0, 0))

Lines = Sequence[tuple[str, str]]


def instead_of(name: str, module: str) -> tuple[Service, ...]:
    """Return the services of the bookshop, one of them running another *module*."""
    return tuple(
        dataclasses.replace(service, module=module) if service.name == name else service
        for service in BOOKINFO
    )


@dataclass(frozen=True)
class Seen:
    """What one request to the product page led to."""

    status: int
    reviews: str | None
    spans: list[Span]
    headers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    own_spans: bool = False

    @property
    def traces(self) -> list[Trace]:
        """The traces that its spans make, the earliest first."""
        return traces(self.spans)

    @property
    def shapes(self) -> list[Hop]:
        """Its spans as trees, in no particular order."""
        return sorted(tree for trace in self.traces for tree in actual(trace))

    @property
    def whole(self) -> Hop:
        """The one tree that they should be."""
        return whole_page(self.reviews, own_spans=self.own_spans)

    def values(self, name: str) -> dict[str, list[str]]:
        """Return every workload's lines of one header."""
        return {
            workload: [value for line, value in lines if line == name]
            for workload, lines in self.headers.items()
        }


def whole_page(reviews: str | None, *, own_spans: bool = False) -> Hop:
    """Return the trace of a product page whose reviews *reviews* wrote."""
    visit = Visit("GET /productpage", None, 200, reviews, 0, 0)
    return expected(visit, own_spans=own_spans)


def look(mesh: Mesh, lines: Lines = (), *, spans: int | None = None) -> Seen:
    """
    Ask for the product page with exactly these header *lines*, and wait for what comes of it.

    Args:
        mesh: Where to ask.
        lines: The header lines, in order, repeated names too.
        spans: How many spans to wait for, if not those of one whole trace.
    """
    mesh.collector.clear()
    records = mesh.directory / "headers.jsonl"
    known = len(records.read_bytes()) if records.exists() else 0
    status, page = fetch(mesh.address, lines)
    reviews = served_by(page)
    wanted = whole_page(reviews, own_spans=mesh.spans).spans if spans is None else spans
    mesh.collector.wait_for(lambda arrived: len(arrived) >= wanted)
    arrived = mesh.collector.wait_until_quiet(0.4)
    new = records.read_bytes()[known:].decode().splitlines() if records.exists() else []
    headers = {
        record["workload"]: [tuple(line) for line in record["headers"]]
        for record in map(json.loads, new)
    }
    return Seen(status, reviews, arrived, headers, mesh.spans)


def fetch(address: str, lines: Lines = ()) -> tuple[int, str]:
    """Get the product page with exactly these header *lines*; return its status and text."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.putrequest("GET", "/productpage", skip_accept_encoding=True)
        for name, value in lines:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def session_cookie(mesh: Mesh, user: str, *, spans: int = LOGIN.spans) -> tuple[str, str]:
    """Sign *user* in, forget the *spans* of it, and return the line that says so from now on."""
    mesh.collector.clear()
    connection = HTTPConnection(urlsplit(mesh.address).netloc, timeout=30)
    try:
        form = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", f"username={user}", form)
        cookie = connection.getresponse().headers["set-cookie"]
    finally:
        connection.close()
    mesh.collector.wait_for(lambda arrived: len(arrived) >= spans)
    mesh.collector.clear()
    return "cookie", cookie.partition(";")[0]

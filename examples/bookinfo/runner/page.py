"""The trace page: its files, and what they ask for as JSON. Only this machine's browser gets it."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from examples.bookinfo.runner import views
from examples.bookinfo.runner.views import Run

FILES = Path(__file__).parents[1] / "page"
NEWEST = 200
OURS = {"127.0.0.1", "localhost"}

# Nothing from outside, no inline script or style, and nobody may put the page in a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Compares(Protocol):
    """Makes one request in two meshes, one with meshtrace and one without."""

    def runs(self) -> Sequence[Run]:
        """Return the meshes that are there."""

    def state(self) -> Mapping[str, object]:
        """Return how far it is, and what came of it."""

    def start(self, user: str | None) -> None:
        """Begin, unless it is at it already."""


class Page:
    """
    What the collector answers to a browser.

    Args:
        facts: What to say about this run of the demo.
        comparison: Knows the runs, and makes comparisons.
    """

    def __init__(self, facts: Mapping[str, object], comparison: Compares) -> None:
        self._facts = facts
        self._comparison = comparison

    def get(self, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Answer a GET, or return None if there is nothing at *target*."""
        url = urlsplit(target)
        if not _is_ours(headers):
            return Answer(HTTPStatus.FORBIDDEN)
        if url.path == "/api/traces":
            return self._traces(parse_qs(url.query).get("seen", [""])[0])
        if url.path == "/api/compare":
            return _json(self._comparison.state())
        if url.path.startswith("/api/trace/"):
            return self._trace(url.path.removeprefix("/api/trace/"))
        return _file(url.path)

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """Answer a POST, or return None if there is nothing at *target*."""
        if target != "/api/compare":
            return None
        # A form on another site can post to us, but not JSON.
        if not _is_ours(headers) or headers.get("content-type") != "application/json":
            return Answer(HTTPStatus.FORBIDDEN)
        try:
            user = json.loads(body)["user"]
        except (ValueError, LookupError, TypeError):
            return Answer(HTTPStatus.BAD_REQUEST)
        self._comparison.start("jason" if user == "jason" else None)
        return _json(self._comparison.state(), HTTPStatus.ACCEPTED)

    def _traces(self, seen: str) -> Answer:
        found = [
            views.summary(run, trace)
            for run in self._comparison.runs()
            for trace in run.collector.traces()
        ]
        found.sort(key=lambda summary: -summary["start"])
        pending = sum(summary["state"] == "arriving" for summary in found)
        version = f"{sum(summary['spans'] for summary in found)}-{len(found)}-{pending}"
        if version == seen:
            return Answer(HTTPStatus.NO_CONTENT)
        answer = {"facts": self._facts, "version": version, "count": len(found)}
        return _json({**answer, "traces": found[:NEWEST]})

    def _trace(self, trace_id: str) -> Answer | None:
        for run in self._comparison.runs():
            for trace in run.collector.traces():
                if trace.trace_id == trace_id:
                    return _json(views.detail(run, trace))
        return _json({"error": "no such trace"})


def _is_ours(headers: Mapping[str, str]) -> bool:
    # A name that somebody let point at 127.0.0.1 is not ours, and neither is another page's call.
    host = headers.get("host", "")
    origin = headers.get("origin", f"http://{host}")
    return host.partition(":")[0] in OURS and origin == f"http://{host}"


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Answer(status, json.dumps(value).encode(), {**headers, **_SAFE})


def _file(path: str) -> Answer | None:
    file = FILES / (path.strip("/") or "index.html")
    if file not in set(FILES.iterdir()):
        return None
    kind = mimetypes.guess_type(file.name)[0] or "text/plain"
    headers = {"content-type": f"{kind}; charset=utf-8", "cache-control": "no-store", **_SAFE}
    return Answer(HTTPStatus.OK, file.read_bytes(), headers)


_SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

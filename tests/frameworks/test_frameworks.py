"""
Every framework under every server: the headers that leave are the headers that came.

Each application is a process of its own, called over a socket, and calls a recorder from every
place in which its framework runs code.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.frameworks.rows import PLACES, ROWS, Row
from tests.frameworks.servers import serving

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "frameworks.md"
SECONDS = 30
FIRST, SECOND = (
    "<!-- What stands from here is written by the tests. -->\n",
    "<!-- Until here. -->\n",
)


def _captured(tracer: str) -> dict[str, str]:
    captures = json.loads((ROOT / "tests" / "data" / "envoy-1.40.0.json").read_text())
    capture = next(
        one for one in captures if one["tracer"] == tracer and one["case"] == "no-headers"
    )
    return {
        name: value
        for name, value in capture["inbound"]
        if not name.startswith(("host", "x-forwarded-", "x-envoy-"))
    }


CONTEXTS = [_captured(tracer) for tracer in ("zipkin", "otel-http", "datadog")]
FIELDS = {name for context in CONTEXTS for name in context}


class _Recorder(ThreadingHTTPServer):
    """Keeps the trace fields of each call, by the path that was called."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: dict[str, list[dict[str, str]]] = {}
        self.changed = threading.Condition()

    def wait_for(self, path: str) -> list[dict[str, str]]:
        """Give the calls of one path, once there is one."""
        with self.changed:
            assert self.changed.wait_for(lambda: path in self.calls, SECONDS), path
            return self.calls[path]


class _Handler(BaseHTTPRequestHandler):
    server: _Recorder

    def do_GET(self) -> None:
        fields = [(name.lower(), value) for name, value in self.headers.items()]
        relayed = [(name, value) for name, value in fields if name in FIELDS]
        with self.server.changed:
            calls = self.server.calls.setdefault(self.path.lstrip("/"), [])
            calls.append(dict(relayed) if len(relayed) == len(dict(relayed)) else {"twice": "yes"})
            self.server.changed.notify_all()
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _recording() -> Iterator[_Recorder]:
    with _Recorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()


def _get(port: int, requests: list[tuple[str, dict[str, str]]], *, keep: bool) -> list[int]:
    """Make requests one after the other, on one connection if *keep*, and give the statuses."""
    statuses = []
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    for path, headers in requests:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
        if not keep:
            connection.close()
    connection.close()
    return statuses


@pytest.mark.servers
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_came_leaves(row: Row, tmp_path: Path) -> None:
    """From every place in an application go its request's headers; none where none came."""
    expected: dict[str, list[dict[str, str]]] = {}
    plan: list[list[tuple[str, dict[str, str]]]] = []
    for name in row.calls:
        requests = []
        for number, context in enumerate((*CONTEXTS, {})):
            mark = f"{name.replace('/', '-')}-{number}"
            requests.append((f"/{name}?id={mark}", context))
            # An empty tracestate, which Envoy's OpenTelemetry tracer sends, is not passed on.
            expected[mark] = [{field: value for field, value in context.items() if value}]
        plan.append(requests)
    with (
        (tmp_path / "log").open("w+b") as log,
        _recording() as recorder,
        serving(
            row.server,
            row.app,
            row.options,
            f"http://127.0.0.1:{recorder.server_address[1]}",
            log,
        ) as port,
    ):
        statuses = {
            name: set(_get(port, requests, keep=name != "crash" and row.server != "pyuwsgi"))
            for name, requests in zip(row.calls, plan, strict=True)
        }
        seen = {mark: recorder.wait_for(mark) for mark in expected}
    assert {name: {{"wrong": 400, "crash": 500}.get(name, 200)} for name in row.calls} == statuses
    assert expected == seen


def _table(rows: Iterable[Row]) -> str:
    lines = ["| framework | server | places that relay |", "|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row.cells) + " |" for row in rows)])


def _places() -> str:
    by_framework: dict[str, dict[str, str]] = {}
    for row in ROWS:
        by_framework.setdefault(row.framework, {}).update(
            {call: PLACES[call] for call in row.calls}
        )
    lines = [f"* {name}: {'; '.join(places.values())}" for name, places in by_framework.items()]
    return "\n".join(lines)


def _written() -> str:
    first = _table(row for row in ROWS if row.first_tier)
    second = _table(row for row in ROWS if not row.first_tier)
    return f"""
{first}

These are run, too, and listed as they are:

{second}

The places:

{_places()}

"""


@pytest.mark.servers
def test_the_page_says_what_was_run() -> None:
    """The page has exactly what is run here, with the versions; ``WRITE_DOCS=1`` writes it."""
    text = PAGE.read_text()
    before, _, rest = text.partition(FIRST)
    _, _, after = rest.partition(SECOND)
    wanted = before + FIRST + _written() + SECOND + after
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(wanted)
    assert wanted == PAGE.read_text()

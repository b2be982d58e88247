"""
Whose child is a call's span under Envoy's Datadog tracer, by what the application writes.

That tracer has three places for the parent: ``traceparent``, ``x-datadog-parent-id``, and the
``dd`` member of ``tracestate``. A span of the application's own can be written into the first two.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types
import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags

import meshtrace
from examples.bookinfo.runner import envoy, ports, sidecars
from examples.bookinfo.runner.processes import ProcessGroup
from tests.mesh.lab import FILES, TRACERS
from tests.otel.test_join import reported

pytestmark = pytest.mark.envoy

FILE = FILES / "one-listener.yaml"

TRACE = "6b03607300000000e6a1b0c5dd3f5d97"
ENVOYS, OWN = "34b7063e298f4f73", "00f067aa0ba902b7"
CAME = {
    "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
    "traceparent": f"00-{TRACE}-{ENVOYS}-01",
    "tracestate": f"dd=s:1;p:{ENVOYS};t.dm:-0",
    "x-datadog-trace-id": str(int(TRACE[16:], 16)),
    "x-datadog-parent-id": str(int(ENVOYS, 16)),
    "x-datadog-sampling-priority": "1",
    "x-datadog-tags": f"_dd.p.tid={TRACE[:16]},_dd.p.dm=-0",
}
"""What Envoy's Datadog tracer gives an application."""

MESH, OUTSIDE = "http://reviews:9080/", "https://api.example.com/"
ONLY_W3C = {"traceparent": f"00-{TRACE}-{OWN}-01"}
WITHOUT_TAGS = {
    name: value for name, value in CAME.items() if name not in ("tracestate", "x-datadog-tags")
}
"""What of it a host outside the mesh gets."""


class _Sidecar:
    """An Envoy on its own, what is behind it, and who collects its spans."""

    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self.outbound = 0

    def collect(self, traces: list[list[dict[str, Any]]]) -> None:
        """Keep spans, and wake who waits for them."""
        with self._arrived:
            self._spans += [span for trace in traces for span in trace]
            self._arrived.notify_all()

    def parent(self, headers: dict[str, str]) -> tuple[str, str]:
        """Send a call as an application does; return the trace and the parent of its span."""
        with self._arrived:
            self._spans.clear()
        connection = HTTPConnection(ports.LOOPBACK, self.outbound, timeout=10)
        try:
            connection.request("GET", "/", headers={"host": "reviews:9080", **headers})
            assert HTTPStatus.OK == connection.getresponse().status
        finally:
            connection.close()
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._spans, 15)
            (span,) = self._spans
        return f"{span['trace_id']:016x}", f"{span['parent_id']:016x}"


def _handler_for(sidecar: _Sidecar) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            body = b"".join(self._chunks())
            if self.path.endswith("/traces"):
                sidecar.collect(msgpack.unpackb(body))
            self._answer(b"{}")

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, body: bytes) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def _serving(sidecar: _Sidecar) -> Iterator[int]:
    server = ThreadingHTTPServer((ports.LOOPBACK, 0), _handler_for(sidecar))
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def sidecar() -> Iterator[_Sidecar]:
    """Give the sidecar of one service, with the Datadog tracer."""
    sidecar = _Sidecar()
    with ExitStack() as stack:
        port = stack.enter_context(_serving(sidecar))
        outbound = ports.Reservation()
        stack.callback(outbound.close)
        group = stack.enter_context(ProcessGroup())
        values = {
            "workload": "productpage",
            "outbound_port": outbound.port,
            "port": port,
            "tracer": TRACERS["datadog"],
        }
        configuration = group.directory / "sidecar.yaml"
        configuration.write_text(sidecars.render(FILE.name, values, {FILE.name: FILE}))
        outbound.hand_over()
        group.start(
            "sidecar",
            envoy.command(envoy.find(), configuration),
            environment={},
            working_directory=group.directory,
        )
        sidecar.outbound = outbound.port
        _wait_until_up(outbound.port, group)
        yield sidecar


def _wait_until_up(port: int, group: ProcessGroup) -> None:
    deadline = time.monotonic() + 30
    while True:
        group.check()
        try:
            socket.create_connection((ports.LOOPBACK, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _sent(url: str, came: dict[str, str]) -> dict[str, str]:
    """Give what meshtrace sends for a span of the application's own."""
    meshtrace.configure(own_spans="join")
    own = SpanContext(
        int(TRACE, 16), int(OWN, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    with meshtrace.use(came), trace.use_span(reported(own)):
        return meshtrace.headers(url)


@pytest.mark.parametrize("url", [MESH, OUTSIDE], ids=["of the mesh", "outside"])
def test_a_span_of_the_applications_own_is_the_parent(sidecar: _Sidecar, url: str) -> None:
    """What meshtrace sends nests the call in the application's span, to whichever host it goes."""
    assert (TRACE[16:], OWN) == sidecar.parent(_sent(url, CAME))


@pytest.mark.parametrize(
    ("headers", "parent"),
    [
        pytest.param(CAME, ENVOYS, id="as it came"),
        pytest.param({**CAME, **ONLY_W3C}, OWN, id="in traceparent alone"),
        pytest.param(
            {**WITHOUT_TAGS, **ONLY_W3C},
            ENVOYS,
            id="in traceparent alone, without x-datadog-tags: it is passed over",
        ),
        pytest.param(
            {**CAME, **ONLY_W3C, "x-datadog-parent-id": str(int(OWN, 16))},
            OWN,
            id="in both, beside the tracestate that came",
        ),
        pytest.param(
            {**WITHOUT_TAGS, **ONLY_W3C, "x-datadog-parent-id": str(int(OWN, 16))},
            OWN,
            id="in both, without x-datadog-tags",
        ),
    ],
)
def test_where_envoy_looks(sidecar: _Sidecar, headers: dict[str, str], parent: str) -> None:
    """Written to both places, the span is the parent whatever else is there."""
    assert (TRACE[16:], parent) == sidecar.parent(headers)

"""A small collector: takes spans, lets others wait for them, and serves the page about them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from google.protobuf.message import DecodeError

from examples.bookinfo.runner import ports
from examples.bookinfo.runner.page import Answer, Page
from examples.bookinfo.runner.spans import Span, Trace, from_otlp, from_zipkin, traces

# How to read what arrives there, and what its senders take for a yes.
ENDPOINTS = {
    "/api/v2/spans": (from_zipkin, HTTPStatus.ACCEPTED),
    "/v1/traces": (from_otlp, HTTPStatus.OK),
}


class Collector:
    """
    Zipkin v2 JSON at ``/api/v2/spans`` and OTLP at ``/v1/traces``, on a free port.

    Args:
        export: Given all that arrives and can be read: the path that it came to, and the body.
    """

    def __init__(self, export: Callable[[str, bytes], None] | None = None) -> None:
        self.page: Page | None = None
        self._export = export or (lambda _path, _body: None)
        self._spans: list[Span] = []
        self._arrived = threading.Condition()
        self._last = time.monotonic()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def page_address(self) -> str | None:
        """Where the trace page is, if there is one."""
        return f"http://{ports.LOOPBACK}:{self.port}/" if self.page else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, body: bytes) -> HTTPStatus:
        """Keep the spans of a *body* that was sent to *path*, and return what to answer."""
        if path not in ENDPOINTS:
            return HTTPStatus.NOT_FOUND
        read, accepted = ENDPOINTS[path]
        try:
            self.add(read(body))
        except (ValueError, LookupError, TypeError, AttributeError, DecodeError):
            return HTTPStatus.BAD_REQUEST
        self._export(path, body)
        return accepted

    def add(self, spans: Sequence[Span]) -> None:
        """Keep *spans*, and wake who waits for them."""
        with self._arrived:
            self._spans.extend(spans)
            self._last = time.monotonic()
            self._arrived.notify_all()

    def clear(self) -> None:
        """Forget every span."""
        with self._arrived:
            self._spans.clear()

    def spans(self) -> list[Span]:
        """Return all spans that arrived so far."""
        with self._arrived:
            return list(self._spans)

    def traces(self) -> list[Trace]:
        """Return all traces so far, whole or not."""
        return traces(self.spans())

    def wait_for(self, enough: Callable[[list[Span]], bool], seconds: float = 10) -> list[Span]:
        """Wait until the spans are *enough*, or *seconds* have passed, and return them."""
        with self._arrived:
            self._arrived.wait_for(lambda: enough(self._spans), seconds)
            return list(self._spans)

    def wait_until_quiet(self, quiet: float = 0.5, seconds: float = 10) -> list[Span]:
        """Wait until nothing has arrived for *quiet* seconds, and return all that did."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            self._last = time.monotonic()
            while (now := time.monotonic()) < min(deadline, self._last + quiet):
                self._arrived.wait(min(deadline, self._last + quiet) - now)
            return list(self._spans)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Its threads serve connections that the Envoys keep open: there is nothing to wait for.
    block_on_close = False
    request_queue_size = 64

    def __init__(self, collector: Collector) -> None:
        super().__init__((ports.LOOPBACK, 0), _Handler)
        self.collector = collector

    def handle_error(self, *about: Any) -> None:  # noqa: ANN401 - as the base class has them
        """Say nothing of a sender or a browser that went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*about)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        page = self.server.collector.page
        self._answer(page.get(self.path, self._headers()) if page else None)

    def do_POST(self) -> None:
        body, collector = self._body(), self.server.collector
        if self.path in ENDPOINTS or not collector.page:
            return self._answer(Answer(collector.take(self.path, body)))
        return self._answer(collector.page.post(self.path, self._headers(), body))

    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, answer: Answer | None) -> None:
        answer = answer or Answer(HTTPStatus.NOT_FOUND)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the spans are what counts."""

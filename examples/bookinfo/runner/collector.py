"""A small collector: takes what the Envoys export, and lets others wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from google.protobuf.message import DecodeError

from examples.bookinfo.runner import ports
from examples.bookinfo.runner.spans import Span, Trace, from_otlp, from_zipkin, traces

# How to read what arrives there, and what its senders take for a yes.
ENDPOINTS = {
    "/api/v2/spans": (from_zipkin, HTTPStatus.ACCEPTED),
    "/v1/traces": (from_otlp, HTTPStatus.OK),
}


class Collector:
    """Zipkin v2 JSON at ``/api/v2/spans`` and OTLP at ``/v1/traces``, on a free port."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._arrived = threading.Condition()
        self._last = time.monotonic()
        self._server = _Server((ports.LOOPBACK, 0), _handler_for(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

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


def _handler_for(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            if self.path not in ENDPOINTS:
                return self._answer(HTTPStatus.NOT_FOUND)
            read, accepted = ENDPOINTS[self.path]
            try:
                collector.add(read(body))
            except (ValueError, LookupError, TypeError, AttributeError, DecodeError):
                return self._answer(HTTPStatus.BAD_REQUEST)
            return self._answer(accepted)

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") == "chunked":
                return b"".join(self._chunks())
            return self.rfile.read(int(self.headers.get("content-length", 0)))

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: the spans are what counts."""

    return Handler

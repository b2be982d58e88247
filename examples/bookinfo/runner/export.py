"""Sending the spans on, to a Zipkin or an OTLP collector of the user's own, as ``EXPORT`` says."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from examples.bookinfo.runner.spans import OTLP_KINDS, Span, from_otlp, from_zipkin

ZIPKIN = "/api/v2/spans"
OTLP = "/v1/traces"
CONTENT_TYPES = {ZIPKIN: "application/json", OTLP: "application/x-protobuf"}
KINDS = {name: kind for kind, name in OTLP_KINDS.items()}

WAITING = 500
ANSWER_SECONDS = 5.0
LAST_SECONDS = 3.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def checked(url: str) -> str:
    """
    Return *url* if it says where to send spans, and in which of the two ways.

    Raises:
        ValueError: It does not.
    """
    if not _is_complete(url):
        raise ValueError(f"{url} is not like http://localhost:9411{ZIPKIN} or http://...{OTLP}")
    return url


class Export:
    """
    Takes what arrives at the demo's collector, and sends it on from a thread of its own.

    What cannot be sent is dropped, and said once; the demo goes on. A body goes on as it came, or
    is converted if it came the other way: then ids, names, times and tags are kept.

    Args:
        url: Where to; see `checked`.
        say: Given one line when the first fault shows.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        self.sent = 0
        self.dropped = 0
        self._url = url
        self._say = say
        self._said = False
        self._closing = threading.Event()
        self._bodies: queue.Queue[tuple[str, bytes]] = queue.Queue(WAITING)
        self._session = requests.Session()
        # A proxy of the user's may lead to a collector outside, and to none on this machine.
        self._session.trust_env = urlsplit(url).hostname not in LOOPBACK
        self._thread = threading.Thread(target=self._work, daemon=True)

    @property
    def summary(self) -> str:
        """What became of it, in one line."""
        dropped = f", {self.dropped} dropped" * bool(self.dropped)
        return f"export: {self.sent} batches of spans sent to {self._url}{dropped}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        # What is waiting gets a last chance, but not for long.
        deadline = time.monotonic() + LAST_SECONDS
        self._closing.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._session.close()

    def __call__(self, path: str, body: bytes) -> None:
        """Send on *body*, which came to *path*; at once for the caller, later in fact."""
        try:
            self._bodies.put_nowait((path, body))
        except queue.Full:
            self._drop("it is too slow")

    def _work(self) -> None:
        while True:
            try:
                path, body = self._bodies.get(timeout=0.1)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            self._send(path, body)

    def _send(self, path: str, body: bytes) -> None:
        way = _way(self._url)
        try:
            answer = self._session.post(
                self._url,
                body if path == way else converted(path, body),
                headers={"content-type": CONTENT_TYPES[way]},
                timeout=ANSWER_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return self._drop(_in_short(error))
        if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - HTTP's way to say yes
            return self._drop(f"it answers {answer.status_code}")
        self.sent += 1
        return None

    def _drop(self, why: str) -> None:
        self.dropped += 1
        if not self._said:
            self._said = True
            self._say(
                f"export: no spans to {self._url}: {why}; what cannot be sent is dropped, "
                f"and this is said only once"
            )


def converted(path: str, body: bytes) -> bytes:
    """Return the spans of a *body* that came to *path* in the other of the two ways."""
    if path == ZIPKIN:
        return to_otlp(from_zipkin(body))
    return to_zipkin(from_otlp(body))


def to_zipkin(spans: Iterable[Span]) -> bytes:
    """Write *spans* as a Zipkin v2 JSON list."""
    return json.dumps([_zipkin(span) for span in spans]).encode()


def _zipkin(span: Span) -> dict[str, Any]:
    written: dict[str, Any] = {
        "traceId": span.trace_id,
        "id": span.span_id,
        "name": span.operation,
        "timestamp": span.start,
        "duration": max(1, span.duration),
        "localEndpoint": {"serviceName": span.workload},
        "tags": dict(span.tags),
    }
    if span.parent_id:
        written["parentId"] = span.parent_id
    if span.kind in {"SERVER", "CLIENT"}:  # Zipkin has no word for the others that we know
        written["kind"] = span.kind
    return written


def to_otlp(spans: Iterable[Span]) -> bytes:
    """Write *spans* as an OTLP request in protobuf."""
    request = ExportTraceServiceRequest()
    for span in spans:
        of_service = request.resource_spans.add()
        of_service.resource.attributes.add(key="service.name").value.string_value = span.workload
        written = of_service.scope_spans.add().spans.add(
            trace_id=bytes.fromhex(span.trace_id.zfill(32)),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_id or ""),
            name=span.operation,
            kind=KINDS.get(span.kind, OtlpSpan.SPAN_KIND_UNSPECIFIED),
            start_time_unix_nano=span.start * 1000,
            end_time_unix_nano=(span.start + span.duration) * 1000,
        )
        for name, value in span.tags.items():
            written.attributes.add(key=name).value.string_value = value
    return request.SerializeToString()


def _is_complete(url: str) -> bool:
    parts = urlsplit(url)
    try:
        _port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname and _way(url))


def _way(url: str) -> str:
    path = urlsplit(url).path
    return next((way for way in (ZIPKIN, OTLP) if path.endswith(way)), "")


def _in_short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it does not answer"
    if isinstance(error, requests.ConnectionError):
        return "nobody answers there"
    return str(error)

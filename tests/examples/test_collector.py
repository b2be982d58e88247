"""The collector: takes spans as Envoy sends them, and lets others wait."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.ports import LOOPBACK

ZIPKIN = json.dumps([{"traceId": "t", "id": "s"}]).encode()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Give a collector that listens."""
    with Collector() as collector:
        yield collector


def _post(collector: Collector, path: str, body: bytes | Iterator[bytes]) -> int:
    connection = HTTPConnection(LOOPBACK, collector.port, timeout=5)
    try:
        chunked = not isinstance(body, bytes)
        connection.request("POST", path, body, encode_chunked=chunked)
        return connection.getresponse().status
    finally:
        connection.close()


def test_zipkin_spans_are_kept(collector: Collector) -> None:
    """A POST at Zipkin's path is accepted, and its spans are there."""
    assert HTTPStatus.ACCEPTED == _post(collector, "/api/v2/spans", ZIPKIN)
    assert ["s"] == [span.span_id for span in collector.spans()]


def test_a_chunked_body_is_read(collector: Collector) -> None:
    """Envoy sends its spans in chunks, without a length."""
    chunks = iter([ZIPKIN[:5], ZIPKIN[5:]])
    assert HTTPStatus.ACCEPTED == _post(collector, "/api/v2/spans", chunks)
    assert ["t"] == [trace.trace_id for trace in collector.traces()]


def test_otlp_is_answered_as_envoy_wants_it(collector: Collector) -> None:
    """Envoy's exporter takes nothing but 200 for a yes."""
    assert HTTPStatus.OK == _post(collector, "/v1/traces", b"")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/api/v2/spans", b"hello", id="no JSON"),
        pytest.param("/api/v2/spans", b'["hello"]', id="JSON, but no span"),
        pytest.param("/api/v2/spans", b"[{}]", id="a span without ids"),
        pytest.param("/v1/traces", b"hello", id="no protobuf"),
    ],
)
def test_what_is_no_span_is_refused(collector: Collector, path: str, body: bytes) -> None:
    """A bad body is a bad request, and the collector goes on."""
    assert HTTPStatus.BAD_REQUEST == _post(collector, path, body)
    assert [] == collector.spans()
    assert HTTPStatus.ACCEPTED == _post(collector, "/api/v2/spans", ZIPKIN)


def test_another_path_is_not_found(collector: Collector) -> None:
    """Nothing is collected anywhere else."""
    assert HTTPStatus.NOT_FOUND == _post(collector, "/api/v1/spans", ZIPKIN)


def test_waiting_ends_with_the_last_span_that_is_wanted(collector: Collector) -> None:
    """Who waits for two spans goes on when the second arrives, long before time is up."""
    sender = threading.Timer(0.05, _post, (collector, "/api/v2/spans", ZIPKIN))
    _post(collector, "/api/v2/spans", ZIPKIN)
    sender.start()
    started = time.monotonic()
    spans = collector.wait_for(lambda arrived: len(arrived) >= 2, seconds=30)
    sender.join()
    assert 2 == len(spans)
    assert time.monotonic() - started < 10


def test_waiting_ends_when_time_is_up(collector: Collector) -> None:
    """Who waits for what never comes gets what there is."""
    assert [] == collector.wait_for(lambda arrived: len(arrived) >= 1, seconds=0.05)


def test_quiet_is_a_while_after_the_last_span(collector: Collector) -> None:
    """A span that arrives while we wait for quiet makes us wait on, and is among the result."""
    sender = threading.Timer(0.1, _post, (collector, "/api/v2/spans", ZIPKIN))
    sender.start()
    spans = collector.wait_until_quiet(quiet=1.0, seconds=30)
    sender.join()
    assert ["s"] == [span.span_id for span in spans]


def test_a_browser_that_goes_away_is_no_news(
    collector: Collector, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is printed into the demo's output."""
    before = threading.active_count()
    with socket.create_connection((LOOPBACK, collector.port)) as browser:
        browser.sendall(b"GET / HT")
        # Closing now resets the connection.
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        deadline = time.monotonic() + 5
        while threading.active_count() == before and time.monotonic() < deadline:
            time.sleep(0.01)
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ("", "") == capfd.readouterr()


def test_cleared_spans_are_forgotten(collector: Collector) -> None:
    """After clearing, the collector starts over."""
    _post(collector, "/api/v2/spans", ZIPKIN)
    collector.clear()
    assert [] == collector.spans()

"""Sending spans on to a collector of the user's own: either way, and whatever becomes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.export import OTLP, ZIPKIN, Export, checked, to_otlp, to_zipkin
from examples.bookinfo.runner.ports import listen
from examples.bookinfo.runner.spans import Span, from_otlp, from_zipkin
from tests.examples.recorded_runs import spans

RECORDED = json.dumps(spans("with")).encode()


class Theirs(ThreadingHTTPServer):
    """A collector of the user's own, which keeps what it is sent."""

    daemon_threads = True

    def __init__(self, answer: HTTPStatus = HTTPStatus.ACCEPTED) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.got: list[tuple[str, str | None, bytes]] = []

    def url(self, path: str) -> str:
        """Return where it takes spans."""
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Theirs

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers["content-type"], body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    """Give a collector of the user's own."""
    with Theirs() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def said() -> list[str]:
    """Give what the user is told."""
    return []


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        pytest.param(ZIPKIN, "application/json", RECORDED, id="Zipkin JSON"),
        pytest.param(
            OTLP, "application/x-protobuf", to_otlp(from_zipkin(RECORDED)), id="OTLP protobuf"
        ),
    ],
)
def test_what_comes_the_same_way_goes_on_as_it_is(
    theirs: Theirs, said: list[str], path: str, kind: str, body: bytes
) -> None:
    """Not a byte is changed, so nothing that we do not know gets lost."""
    with Export(theirs.url(path), said.append) as export:
        export(path, body)
    assert [(path, kind, body)] == theirs.got
    assert f"export: 1 batches of spans sent to {theirs.url(path)}" == export.summary
    assert [] == said


def test_zipkin_spans_go_on_by_otlp(theirs: Theirs, said: list[str]) -> None:
    """With a URL that ends as OTLP's do, behind whatever prefix."""
    with Export(theirs.url("/tempo" + OTLP), said.append) as export:
        export(ZIPKIN, RECORDED)
    ((path, kind, body),) = theirs.got
    assert ("/tempo" + OTLP, "application/x-protobuf") == (path, kind)
    assert _all(from_zipkin(RECORDED)) == _all(from_otlp(body))


def test_otlp_spans_go_on_as_zipkins(theirs: Theirs, said: list[str]) -> None:
    """With a URL that ends as Zipkin's do."""
    with Export(theirs.url(ZIPKIN), said.append) as export:
        export(OTLP, to_otlp(from_zipkin(RECORDED)))
    ((_path, kind, body),) = theirs.got
    assert "application/json" == kind
    assert _all(from_zipkin(RECORDED)) == _all(from_zipkin(body))


def _all(read: list[Span]) -> list[tuple[Span, object]]:
    return [(span, span.tags) for span in read]


def test_a_span_within_an_application_has_no_kind_in_zipkin() -> None:
    """Zipkin knows no such kind, and 64-bit ids are filled up for OTLP."""
    span = Span("a" * 16, "b" * 16, None, "w", "o", "INTERNAL", 1, 0)
    (written,) = json.loads(to_zipkin([span]))
    assert {"kind", "parentId"}.isdisjoint(written)
    (read,) = from_otlp(to_otlp([span]))
    assert ("0" * 16 + "a" * 16, "INTERNAL") == (read.trace_id, read.kind)


def test_the_collector_hands_on_what_it_can_read() -> None:
    """What is no span goes nowhere."""
    handed: list[tuple[str, bytes]] = []
    with Collector(lambda path, body: handed.append((path, body))) as collector:
        assert HTTPStatus.ACCEPTED == collector.take(ZIPKIN, RECORDED)
        assert HTTPStatus.BAD_REQUEST == collector.take(ZIPKIN, b"hello")
    assert [(ZIPKIN, RECORDED)] == handed


def test_nobody_there_is_said_once(said: list[str]) -> None:
    """Every batch is dropped, one line tells, and nothing is raised."""
    with listen() as bound:
        port = bound.getsockname()[1]
    url = f"http://127.0.0.1:{port}{ZIPKIN}"
    with Export(url, said.append) as export:
        export(ZIPKIN, RECORDED)
        export(ZIPKIN, RECORDED)
    (line,) = said
    assert line.startswith(f"export: no spans to {url}: nobody answers there; ")
    assert f"export: 0 batches of spans sent to {url}, 2 dropped" == export.summary


def test_a_refusal_is_said_once(theirs: Theirs, said: list[str]) -> None:
    """Status and all, also a redirect, which is not followed."""
    theirs.answer = HTTPStatus.TEMPORARY_REDIRECT
    with Export(theirs.url(ZIPKIN), said.append) as export:
        export(ZIPKIN, RECORDED)
        export(ZIPKIN, RECORDED)
    (line,) = said
    assert "it answers 307" in line
    assert 2 == len(theirs.got) == export.dropped


def test_a_slow_collector_does_not_hold_the_demo_up(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded, what is too much is dropped, and the end waits for a moment only."""
    monkeypatch.setattr("examples.bookinfo.runner.export.WAITING", 3)
    monkeypatch.setattr("examples.bookinfo.runner.export.LAST_SECONDS", 0.1)
    monkeypatch.setattr("examples.bookinfo.runner.export.ANSWER_SECONDS", 0.5)
    with listen() as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}{ZIPKIN}"
        with Export(url, said.append) as export:
            for _ in range(10):
                export(ZIPKIN, RECORDED)
        assert export.dropped >= 6
        assert "it is too slow" in said[0]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("localhost:9411/api/v2/spans", id="no scheme"),
        pytest.param("http://localhost:9411", id="no path"),
        pytest.param("http://localhost:9411/api/v1/spans", id="a path that we do not know"),
        pytest.param("http:///v1/traces", id="no host"),
        pytest.param("http://localhost:port/v1/traces", id="no port"),
    ],
)
def test_a_url_that_does_not_say_how_is_refused(url: str) -> None:
    """The path tells Zipkin from OTLP, so it has to be there."""
    with pytest.raises(ValueError, match="is not like http://localhost:9411/api/v2/spans"):
        checked(url)


@pytest.mark.parametrize(
    "url", ["https://zipkin.example/api/v2/spans", "http://[::1]:4318/v1/traces"]
)
def test_a_url_that_says_how_is_taken(url: str) -> None:
    """As it is written."""
    assert url == checked(url)

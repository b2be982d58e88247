"""The SERVER span of each request, in each framework."""

import logging
import time
from collections.abc import Iterator

import pytest
import requests
from opentelemetry.trace import StatusCode

import meshtrace
from tests.formats.strategies import SPAN, TRACE
from tests.otel.spans.conftest import Spans
from tests.otel.spans.shops import SHOPS, Get, GoneError, Steps
from tests.outbound.recording import Recorder

ROUTES = {
    "Starlette": "/items/{item}",
    "FastAPI": "/items/{item}",
    "Flask": "/items/<item>",
    "Django": "/items/<str:item>",
    "aiohttp.web": "/items/{item}",
}


@pytest.fixture(params=[*SHOPS])
def name(request: pytest.FixtureRequest) -> str:
    """Give the name of each framework."""
    name: str = request.param
    return name


@pytest.fixture
def get(name: str, spans: Spans, caplog: pytest.LogCaptureFixture) -> Iterator[Get]:
    """Give an application of each framework, which logs what it raises."""
    caplog.set_level(logging.CRITICAL)
    for logger in ("django.request", "aiohttp.server"):
        caplog.set_level(logging.CRITICAL, logger)
    assert [] == spans.all
    with SHOPS[name]() as get:
        yield get


def _ended(spans: Spans) -> Spans:
    """Wait for the span of a request that is answered."""
    deadline = time.monotonic() + 5
    while not spans.all and time.monotonic() < deadline:
        time.sleep(0.001)
    return spans


def test_a_request_has_a_span(name: str, get: Get, spans: Spans) -> None:
    """It is a child of Envoy's span, named after its route, and tells what the request is."""
    assert 200 == get("/items/a%20book?page=2&sig=c2VjcmV0")
    span = _ended(spans).server
    told = dict(span.attributes or {})
    route = ROUTES[name.partition(",")[0]]
    assert f"GET {route}" == span.name
    version = told.pop("network.protocol.version")
    assert version in ("1.0", "1.1")
    assert {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": route,
        "url.scheme": "http",
        "url.path": "/items/a%20book",
        "url.query": "page=2&sig=REDACTED",
        "server.address": "shop",
        "server.port": 9080,
        "client.address": "203.0.113.9",
        "user_agent.original": "a browser",
    } == told
    assert span.parent is not None
    assert (int(TRACE, 16), int(SPAN, 16), True) == (
        span.parent.trace_id,
        span.parent.span_id,
        span.parent.is_remote,
    )
    assert StatusCode.UNSET is span.status.status_code


def test_what_is_not_found_is_no_error(get: Get, spans: Spans) -> None:
    """A 404 is who asked's, and has no route."""
    assert 404 == get("/nowhere")
    span = _ended(spans).server
    attributes = span.attributes or {}
    assert "GET" == span.name
    assert 404 == attributes["http.response.status_code"]
    assert "error.type" not in attributes
    assert StatusCode.UNSET is span.status.status_code


def test_a_status_from_500_up_is_an_error(get: Get, spans: Spans) -> None:
    """Its number is the kind of error."""
    assert 503 == get("/unwell")
    span = _ended(spans).server
    attributes = span.attributes or {}
    assert (503, "503") == (attributes["http.response.status_code"], attributes["error.type"])
    assert StatusCode.ERROR is span.status.status_code


def test_what_is_raised_is_recorded_once(get: Get, spans: Spans) -> None:
    """An exception that nobody handles stands in the span, as one event."""
    assert 500 == get("/failing")
    span = _ended(spans).server
    (event,) = span.events
    kind = f"{GoneError.__module__}.GoneError"
    assert ("exception", kind) == (event.name, (event.attributes or {})["exception.type"])
    assert kind == (span.attributes or {})["error.type"]
    assert StatusCode.ERROR is span.status.status_code


def test_a_span_ends_with_its_body(
    get: Get, spans: Spans, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a body is streamed the span is open, and the calls made for it are its children."""
    meshtrace.patch("requests")
    servers: list[int] = []

    def step() -> None:
        servers.append(len(spans.all) - len(spans.clients))
        requests.get("http://reviews:9080/", timeout=5)

    monkeypatch.setattr(Steps, "step", staticmethod(step))
    assert 200 == get("/stream")
    deadline = time.monotonic() + 5
    while len(spans.all) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert [0, 0] == servers
    assert [spans.server.context] * 2 == [span.parent for span in spans.clients]
    ids = [f"{span.context.span_id:016x}" for span in spans.clients]
    assert ids == [sent["x-b3-spanid"] for sent in recorder.relayed]

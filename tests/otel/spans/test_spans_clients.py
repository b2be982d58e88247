"""The CLIENT span of each attempt of each client library."""

import asyncio
import contextlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3
from opentelemetry.trace import StatusCode

import meshtrace
from tests.formats.strategies import TRACE
from tests.otel.spans.conftest import Spans
from tests.otel.spans.serving import CAME, Call, serve
from tests.outbound.recording import Answer, Recorder, redirect

URL = "http://jason:secret@reviews:9080/reviews/0?sig=1&page=2"
TOLD = {
    "http.request.method": "GET",
    "server.address": "reviews",
    "server.port": 9080,
}


def _requests(url: str) -> int:
    return requests.get(url, timeout=5).status_code


def _requests_wrapped(url: str) -> int:
    meshtrace.unpatch()
    with meshtrace.wrap(requests.Session()) as session:
        return session.get(url, timeout=5).status_code


def _httpx(url: str) -> int:
    return httpx.get(url, follow_redirects=True, trust_env=False).status_code


def _httpx_wrapped(url: str) -> int:
    meshtrace.unpatch()
    with meshtrace.wrap(httpx.Client(follow_redirects=True, trust_env=False)) as client:
        return client.get(url).status_code


async def _httpx2_call(url: str) -> int:
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as client:
        return int((await client.get(url)).status_code)


def _httpx2(url: str) -> int:
    return asyncio.run(_httpx2_call(url))


async def _aiohttp_call(url: str) -> int:
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
        return response.status


def _aiohttp(url: str) -> int:
    return asyncio.run(_aiohttp_call(url))


def _urllib3(url: str) -> int:
    with urllib3.PoolManager(retries=urllib3.Retry(2, connect=0, read=0)) as manager:
        return int(manager.request("GET", url).status)


def _urllib(url: str) -> int:
    # Which takes credentials for a part of the host.
    url = url.replace("jason:secret@", "")
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - http
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _by_connection(connection: http.client.HTTPConnection, url: str) -> int:
    parts = urlsplit(url)
    connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
    with contextlib.closing(connection), connection.getresponse() as response:
        return response.status


def _http_client(url: str) -> int:
    parts = urlsplit(url)
    return _by_connection(http.client.HTTPConnection(parts.hostname or "", parts.port), url)


def _http_client_wrapped(url: str) -> int:
    meshtrace.unpatch()
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    return _by_connection(meshtrace.wrap(connection), url)


LIBRARIES = [
    pytest.param(_requests, id="requests"),
    pytest.param(_requests_wrapped, id="a wrapped session of requests"),
    pytest.param(_httpx, id="httpx"),
    pytest.param(_httpx_wrapped, id="a wrapped client of httpx"),
    pytest.param(_httpx2, id="an asynchronous client of httpx2"),
    pytest.param(_aiohttp, id="aiohttp"),
    pytest.param(_urllib3, id="urllib3"),
    pytest.param(_urllib, id="urllib.request"),
]


LOWEST = [
    pytest.param(_http_client, id="http.client"),
    pytest.param(_http_client_wrapped, id="a wrapped connection of http.client"),
]
"""Which follow no redirects."""


@pytest.fixture(params=LIBRARIES)
def following(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Call]:
    """Give a client of each library that follows redirects."""
    assert [] == recorder.received
    meshtrace.patch()
    chosen: Call = request.param
    yield chosen
    meshtrace.unpatch()


@pytest.fixture(params=[*LIBRARIES, *LOWEST])
def call(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Call]:
    """Give a client of each library."""
    assert [] == recorder.received
    meshtrace.patch()
    chosen: Call = request.param
    yield chosen
    meshtrace.unpatch()


def _on_the_wire(recorder: Recorder) -> list[str]:
    ids = [sent["x-b3-spanid"] for sent in recorder.relayed]
    expected = [f"00-{TRACE}-{span}-01" for span in ids]
    assert expected == [sent["traceparent"] for sent in recorder.relayed]
    return ids


def _id(span: object) -> str:
    return f"{span.get_span_context().span_id:016x}"  # type: ignore[attr-defined]  # any span


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_attempt_has_a_span(call: Call, recorder: Recorder, spans: Spans, status: int) -> None:
    """A call is a CLIENT span under the request's, with its answer told, and its ids go out."""
    recorder.answers["/reviews/0?sig=1&page=2"] = [Answer(status)]
    serve(lambda: call(URL))
    (span,) = spans.clients
    told = dict(span.attributes or {})
    full = str(told.pop("url.full"))
    assert "jason" not in full
    assert full.endswith("reviews:9080/reviews/0?sig=REDACTED&page=2")
    error = {} if status < 400 else {"error.type": str(status)}
    assert {
        **TOLD,
        **error,
        "http.response.status_code": status,
        "network.protocol.version": "1.1",
    } == told
    assert [_id(span)] == _on_the_wire(recorder)
    assert span.parent is not None
    assert spans.server.context is not None
    assert spans.server.context.span_id == span.parent.span_id
    assert "GET" == span.name
    expected = StatusCode.ERROR if error else StatusCode.UNSET
    assert expected is span.status.status_code


def test_each_hop_of_a_redirect_has_a_span(
    following: Call, recorder: Recorder, spans: Spans
) -> None:
    """Hops stand beside one another, are counted, and each has its own ids on the wire."""
    recorder.answers["/a"] = [redirect("http://reviews:9080/b")]
    serve(lambda: following("http://productpage:9080/a"))
    first, second = spans.clients
    ids = [_id(span) for span in (first, second)]
    assert ids == _on_the_wire(recorder)
    assert first.parent == second.parent == spans.server.context
    codes = [(span.attributes or {})["http.response.status_code"] for span in (first, second)]
    assert [302, 200] == codes
    counts = [(span.attributes or {}).get("http.request.resend_count") for span in (first, second)]
    assert [None, 1] == counts


def test_a_failed_attempt_tells_why(call: Call, recorder: Recorder, spans: Spans) -> None:
    """What was raised stands in the span, as one event and as the kind of error."""
    recorder.unreachable = 10
    with contextlib.suppress(Exception):
        serve(lambda: call("http://reviews:9080/"))
    (span,) = spans.clients
    (event,) = span.events
    assert "exception" == event.name
    attributes = span.attributes or {}
    assert (event.attributes or {})["exception.type"] == attributes["error.type"]
    assert "http.response.status_code" not in attributes
    assert StatusCode.ERROR is span.status.status_code
    # It is the same exception.
    assert () == spans.server.events
    assert attributes["error.type"] == (spans.server.attributes or {})["error.type"]


@pytest.mark.parametrize(
    "came",
    [
        pytest.param({**CAME, "traceparent": f"{CAME['traceparent'][:-1]}0", "x-b3-sampled": "0"}),
        pytest.param({"b3": "0"}, id="without ids"),
    ],
)
def test_a_decision_against_the_trace_is_relayed(
    call: Call, recorder: Recorder, spans: Spans, came: dict[str, str]
) -> None:
    """Nothing is recorded, and what came goes out as it came."""
    serve(lambda: call("http://reviews:9080/"), came)
    assert [] == spans.all
    assert [came] == recorder.relayed


def test_without_a_trace_one_begins_here(call: Call, recorder: Recorder, spans: Spans) -> None:
    """Where nothing came, the request's span is a root, and the call's goes out in two formats."""
    serve(lambda: call("http://reviews:9080/"), {})
    assert spans.server.parent is None
    (span,) = spans.clients
    trace_id, span_id = f"{span.context.trace_id:032x}", _id(span)
    assert [
        {
            "traceparent": f"00-{trace_id}-{span_id}-03",
            "x-b3-traceid": trace_id,
            "x-b3-spanid": span_id,
            "x-b3-sampled": "1",
        }
    ] == recorder.relayed


def test_a_call_outside_any_request_is_a_root(call: Call, recorder: Recorder, spans: Spans) -> None:
    """A call that no request makes begins a trace."""
    assert 200 == call("http://reviews:9080/")
    (span,) = spans.all
    assert span.parent is None
    assert _id(span) == recorder.relayed[0]["x-b3-spanid"]


def test_disabled_beats_spans(
    call: Call, recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``MESHTRACE_DISABLED`` beats code."""
    meshtrace.unpatch()
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    meshtrace.patch()
    call("http://reviews:9080/")
    assert [] == spans.all
    assert [{}] == recorder.relayed

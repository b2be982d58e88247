"""Where a span is not made, not ended at once, or made in a process that is not as it should be."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests
import urllib3
from fastapi import FastAPI
from opentelemetry import context, trace
from opentelemetry.instrumentation.utils import (
    suppress_http_instrumentation,
    suppress_instrumentation,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

import meshtrace
from meshtrace import MeshTrace, MeshTraceWSGI
from meshtrace.otel.spans import client as client_spans
from meshtrace.otel.spans import protocols
from meshtrace.otel.spans.client import ClientSpan
from meshtrace.otel.spans.tracer import failed
from meshtrace.outbound.requests import attempts
from tests.formats.strategies import SPAN, TRACE
from tests.otel.spans.conftest import SetProvider, Spans
from tests.otel.spans.serving import CAME, environ, serve
from tests.outbound.recording import Answer, Recorder, redirect

URL = "http://reviews:9080/"


def _get() -> None:
    requests.get(URL, timeout=5)


@pytest.fixture(autouse=True)
def _patched() -> None:
    meshtrace.patch()


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "meshtrace"]


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        pytest.param(None, "no tracer provider is set", id="none"),
        pytest.param(
            TracerProvider(shutdown_on_exit=False), "has no span processor", id="no processor"
        ),
    ],
)
def test_without_anybody_to_report_to_all_is_relayed(
    set_provider: SetProvider,
    provider: trace.TracerProvider | None,
    said: str,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No span is made whose parent nobody would report, and that is said once."""
    set_provider(provider)
    serve(_get)
    serve(_get)
    _get()
    assert [CAME, CAME, {}] == recorder.relayed
    assert 1 == sum(said in line for line in _warnings(caplog))


def test_a_provider_that_is_set_later_is_used(
    set_provider: SetProvider, recorder: Recorder
) -> None:
    """The provider is asked for at each request."""
    set_provider(None)
    serve(_get)
    spans = Spans()
    set_provider(spans.provider)
    serve(_get)
    assert [SPAN, f"{spans.clients[0].context.span_id:016x}"] == [
        sent["x-b3-spanid"] for sent in recorder.relayed
    ]


def test_the_api_alone_relays(set_provider: SetProvider, recorder: Recorder) -> None:
    """A provider that makes no spans is as good as none."""
    set_provider(NoOpTracerProvider())
    serve(_get)
    assert [CAME] == recorder.relayed


@pytest.mark.parametrize("suppress", [suppress_instrumentation, suppress_http_instrumentation])
def test_suppressed_calls_still_carry_the_trace(
    suppress: Callable[[], Any], recorder: Recorder, spans: Spans
) -> None:
    """An exporter's call, or one that has its span, makes none; the request's ids go out."""

    def call() -> None:
        with suppress():
            _get()

    serve(call)
    assert [] == spans.clients
    assert [f"{spans.server.context.span_id:016x}"] == [
        sent["x-b3-spanid"] for sent in recorder.relayed
    ]


def test_beneath_a_call_nothing_makes_a_second_span(recorder: Recorder, spans: Spans) -> None:
    """urllib3 and http.client, which requests uses, know that the call has its span."""
    serve(_get)
    assert 1 == len(spans.clients)
    assert 1 == len(recorder.received)


def test_each_retry_of_urllib3_has_a_span(recorder: Recorder, spans: Spans) -> None:
    """Attempts stand beside one another, and each tells how it went."""
    recorder.answers["/"] = [Answer(503), Answer(lost=True), redirect("/b"), Answer(200)]
    retries = urllib3.Retry(5, status_forcelist=[503], allowed_methods=None)
    with urllib3.HTTPConnectionPool("reviews", 9080) as pool:
        serve(lambda: pool.urlopen("GET", "/", retries=retries))
    attributes = [span.attributes or {} for span in spans.clients]
    assert [503, None, 302, 200] == [found.get("http.response.status_code") for found in attributes]
    assert [None, 1, 2, 3] == [found.get("http.request.resend_count") for found in attributes]
    assert ["503", "urllib3.exceptions.ProtocolError", None, None] == [
        found.get("error.type") for found in attributes
    ]
    assert [spans.server.context] * 4 == [span.parent for span in spans.clients]
    ids = [f"{span.context.span_id:016x}" for span in spans.clients]
    assert ids == [sent["x-b3-spanid"] for sent in recorder.relayed]


def test_threads_of_a_pool_find_the_span_of_the_request(recorder: Recorder, spans: Spans) -> None:
    """What a request hands to a pool makes its calls under the request's span."""

    def call() -> None:
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda _: _get(), range(4)):
                pass

    serve(call)
    assert [spans.server.context] * 4 == [span.parent for span in spans.clients]
    assert 4 == len({sent["x-b3-spanid"] for sent in recorder.relayed})


def test_where_nothing_came_and_nothing_is_served_a_call_is_a_root(
    recorder: Recorder, spans: Spans
) -> None:
    """Code that runs for a request of which nobody has made a span begins a trace."""
    with meshtrace.use({"x-request-id": "a"}):
        _get()
    (span,) = spans.all
    assert span.parent is None
    assert f"{span.context.span_id:016x}" == recorder.relayed[0]["x-b3-spanid"]


def test_a_hook_that_was_left_behind_does_nothing(recorder: Recorder, spans: Spans) -> None:
    """A request that is sent by two threads at once may keep ours for a while."""
    hooks: Any = {"response": [attempts._answered]}  # noqa: SLF001 - a hook
    with suppress_http_instrumentation():
        requests.get(URL, timeout=5, hooks=hooks)
    assert [] == spans.all
    assert 1 == len(recorder.received)


def test_the_parent_of_the_mesh_gives_way_to_the_span(recorder: Recorder, spans: Spans) -> None:
    """``x-b3-parentspanid`` is of the span that is replaced, and goes with it."""
    serve(_get, {**CAME, "x-b3-parentspanid": "0020000000000001"})
    (span,) = spans.clients
    ids = {"x-b3-spanid": f"{span.context.span_id:016x}"}
    ids["traceparent"] = f"00-{TRACE}-{ids['x-b3-spanid']}-01"
    assert [{**CAME, **ids}] == recorder.relayed


def test_use_finds_the_span_of_the_request(recorder: Recorder, spans: Spans) -> None:
    """A request that is taken up elsewhere goes on under its span."""
    kept: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        kept.append(environ)
        start_response("200 OK", [])
        return []

    MeshTraceWSGI(app)(environ(CAME), lambda *_: len)

    def later() -> None:
        with meshtrace.use(kept[0]):
            _get()

    contextvars.Context().run(later)
    assert [spans.server.context] == [span.parent for span in spans.clients]
    assert 1 == len(recorder.received)


def test_requests_at_once_do_not_mix(recorder: Recorder, spans: Spans) -> None:
    """Many requests in one event loop keep their spans apart."""

    async def app(_: object, __: object, send: Callable[..., Any]) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await asyncio.gather(*(client.get(URL) for _ in range(3)))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - ASGI's own
        return {}

    async def all_at_once() -> None:
        served = MeshTrace(app)
        traces = [f"{number:032x}" for number in range(1, 9)]
        scopes: list[Any] = [
            {
                "type": "http",
                "method": "GET",
                "path": "/",
                "headers": [(b"traceparent", f"00-{trace_id}-{SPAN}-01".encode())],
            }
            for trace_id in traces
        ]
        await asyncio.gather(*(served(scope, nothing, nothing) for scope in scopes))

    asyncio.run(all_at_once())
    servers = {span.context.span_id: span for span in spans.of(SpanKind.SERVER)}
    assert 8 == len(servers)
    assert 24 == len({sent["traceparent"] for sent in recorder.relayed})
    for span in spans.clients:
        assert span.parent is not None
        assert servers[span.parent.span_id].context.trace_id == span.context.trace_id


def test_a_call_that_is_cancelled_ends_its_span(recorder: Recorder, spans: Spans) -> None:
    """For who has called that is an error; for the request it is none."""

    class _Waiting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    async def call() -> None:
        async with httpx.AsyncClient(transport=_Waiting()) as client:
            async with asyncio.timeout(0.01):
                await client.get(URL)

    async def app(*_: object) -> None:
        await call()

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - ASGI's own
        return {}

    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(TimeoutError):
        asyncio.run(MeshTrace(app)(scope, nothing, nothing))
    (span,) = spans.clients
    assert "asyncio.exceptions.CancelledError" == (span.attributes or {})["error.type"]
    assert "TimeoutError" == (spans.server.attributes or {})["error.type"]
    assert [] == recorder.received


def test_who_has_gone_makes_no_error(spans: Spans) -> None:
    """A request that is cancelled from outside has not failed."""

    async def app(*_: object) -> None:
        raise asyncio.CancelledError

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - ASGI's own
        return {}

    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(MeshTrace(app)(scope, nothing, nothing))
    assert StatusCode.UNSET is spans.server.status.status_code


def test_a_websocket_is_a_span_until_it_closes(spans: Spans) -> None:
    """It begins as a GET, and switches protocols."""

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(str(len(spans.of(SpanKind.SERVER))))
        await socket.close()

    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/talk", talk), WebSocketRoute("/refuse", refuse)])
    app.add_middleware(MeshTrace)
    client = TestClient(app)
    with client.websocket_connect("/talk", headers={**CAME}) as socket:
        assert "0" == socket.receive_text()
    attributes = spans.server.attributes or {}
    assert (101, "ws", "GET") == tuple(
        attributes[name]
        for name in ("http.response.status_code", "url.scheme", "http.request.method")
    )
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/refuse", headers={**CAME}):
        pass
    served = spans.of(SpanKind.SERVER)
    codes = [(span.attributes or {}).get("http.response.status_code") for span in served]
    assert [101, 403] == codes


def test_fastapis_own_span_stays_alone(recorder: Recorder, spans: Spans) -> None:
    """FastAPI makes a span of the mesh's trace by itself: there is no second one."""
    app = FastAPI()
    app.add_middleware(MeshTrace)
    app.get("/")(_get)
    TestClient(app).get("/", headers=CAME)
    server = spans.server
    assert server.instrumentation_scope is not None
    assert "fastapi" == server.instrumentation_scope.name
    called = spans.clients[0].context
    assert (TRACE, f"{called.span_id:016x}") == (
        recorder.relayed[-1]["x-b3-traceid"],
        recorder.relayed[-1]["x-b3-spanid"],
    )


def test_a_span_of_another_trace_does_not_stand_for_the_request(
    recorder: Recorder, spans: Spans
) -> None:
    """What does not understand B3 begins a trace of its own; ours is in the mesh's."""
    app = FastAPI()
    app.add_middleware(MeshTrace)
    app.get("/")(_get)
    b3 = {name: value for name, value in CAME.items() if name != "traceparent"}
    TestClient(app).get("/", headers=b3)
    ours = [
        span
        for span in (*spans.clients, *spans.of(SpanKind.SERVER))
        if f"{span.context.trace_id:032x}" == TRACE
    ]
    assert [SpanKind.CLIENT, SpanKind.SERVER] == [span.kind for span in ours]
    assert f"{ours[0].context.span_id:016x}" == recorder.relayed[-1]["x-b3-spanid"]


def test_an_instrumentation_of_the_server_makes_the_spans(
    recorder: Recorder,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where one is loaded, ours are not made, and that is said."""
    caplog.set_level(logging.INFO)
    name = "opentelemetry.instrumentation.wsgi"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    serve(_get)
    assert [] == spans.of(SpanKind.SERVER)
    assert [SPAN] == [f"{span.parent.span_id:016x}" for span in spans.clients if span.parent]
    assert any(name in line for line in _warnings(caplog))
    assert 1 == len(recorder.received)


def test_relaying_with_spans_keeps_them_off_the_wire(recorder: Recorder, spans: Spans) -> None:
    """``own_spans="relay"`` beside ``spans=True`` makes spans that the mesh does not see."""
    meshtrace.configure(spans=True, own_spans="relay")
    serve(_get)
    assert [CAME] == recorder.relayed
    assert 1 == len(spans.clients)


def test_a_request_that_is_handed_on_has_one_span(recorder: Recorder, spans: Spans) -> None:
    """A second middleware further in, also in another context, makes no second span."""

    def inner(_: object, start_response: Callable[..., object]) -> list[bytes]:
        _get()
        start_response("200 OK", [])
        return []

    further_in = MeshTraceWSGI(inner)

    def outer(environ: Any, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's own
        return contextvars.Context().run(further_in, environ, start_response)

    MeshTraceWSGI(outer)(environ(CAME), lambda *_: len)
    assert spans.server.context == spans.clients[0].parent
    assert 1 == len(recorder.received)


def test_a_process_that_calls_itself_has_all_spans(recorder: Recorder, spans: Spans) -> None:
    """A call to an application in this very process does not keep that one from making spans."""

    def inner(_: object, start_response: Callable[..., object]) -> list[bytes]:
        _get()
        start_response("200 OK", [])
        return [b""]

    transport = httpx.WSGITransport(app=MeshTraceWSGI(inner))
    with httpx.Client(transport=transport) as client:
        client.get("http://shop/")
    kinds = [span.kind for span in spans.all]
    assert [SpanKind.CLIENT, SpanKind.SERVER, SpanKind.CLIENT] == kinds
    assert 1 == len({span.context.trace_id for span in spans.all})
    assert 1 == len(recorder.received)


class _Broken:
    """A span of which nothing works."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever is asked for
        raise LookupError(name)


def test_a_fault_of_ours_does_not_harm_a_call(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its span a call goes on, and so does one whose span cannot be ended."""
    monkeypatch.setattr(client_spans, "client_attributes", _raise)
    serve(_get)
    assert [] == spans.clients
    assert f"{spans.server.context.span_id:016x}" == recorder.relayed[0]["x-b3-spanid"]
    broken = ClientSpan(trace.INVALID_SPAN)
    broken._span = _Broken()  # type: ignore[assignment]  # noqa: SLF001 - broken on purpose
    broken.end()
    assert trace.get_current_span() is trace.INVALID_SPAN


def _raise(*_: object) -> Any:  # noqa: ANN401 - nothing
    raise LookupError("a fault")


def test_a_fault_of_ours_does_not_harm_a_request(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that cannot be read is served, and so is one whose span cannot be ended."""
    broken = protocols.Protocol(protocols.PROTOCOLS["wsgi"].begin, _raise)
    monkeypatch.setitem(protocols.PROTOCOLS, "wsgi", broken)
    serve(_get)
    assert 1 == len(spans.clients)
    monkeypatch.setitem(protocols.PROTOCOLS, "wsgi", protocols.Protocol(_raise, _raise))
    serve(_get)
    assert 2 == len(recorder.received)


def test_strange_hooks_of_requests_stay(recorder: Recorder, spans: Spans) -> None:
    """A hook that is no list is called, and one that cannot be read is requests' own affair."""
    called: list[int] = []

    def hook(response: requests.Response, **_: object) -> None:
        called.append(response.status_code)

    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", URL))
        prepared.hooks = {"response": hook}  # as older code has it
        serve(lambda: session.send(prepared))
        assert {"response": hook} == prepared.hooks
        prepared.hooks = None  # as nobody should
        serve(lambda: session.send(prepared))
        assert prepared.hooks is None
    assert [200] == called
    assert 2 == len(spans.clients) == len(recorder.received)


def test_an_exception_that_takes_no_mark_is_recorded_all_the_same(spans: Spans) -> None:
    """It may stand in two spans then."""

    class _SlottedError(Exception):
        def __setattr__(self, *_: object) -> None:
            raise AttributeError

    told: dict[str, str | int] = {}
    with spans.provider.get_tracer("shop").start_as_current_span("work") as span:
        failed(span, _SlottedError(), told)
    assert ["exception"] == [event.name for event in spans.all[0].events]


def test_nothing_is_left_in_the_context(recorder: Recorder, spans: Spans) -> None:
    """When a request has been served, OpenTelemetry's context is as it was."""
    before = context.get_current()
    serve(_get)
    assert before == context.get_current()
    assert 2 == len(spans.all)
    assert 1 == len(recorder.received)

"""Spans of meshtrace's own beside those of others: none twice, and none of another backend's."""

import asyncio
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import aiohttp
import pytest
import requests
from fastapi import FastAPI
from opentelemetry import context, propagate, trace
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.utils import (
    suppress_http_instrumentation,
    suppress_instrumentation,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from starlette.middleware.cors import CORSMiddleware
from starlette.testclient import TestClient

import meshtrace
from meshtrace import MeshTrace
from tests.formats.strategies import TRACE
from tests.otel.spans.conftest import SetProvider, Spans
from tests.otel.spans.serving import CAME, serve
from tests.outbound.recording import Recorder, redirect

URL = "http://reviews:9080/"
INSTRUMENTATION = "opentelemetry.instrumentation.aiohttp_client"
DENIED = {**CAME, "traceparent": f"{CAME['traceparent'][:-1]}0", "x-b3-sampled": "0"}


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    meshtrace.patch()
    yield
    meshtrace.unpatch()


@pytest.fixture
def theirs(spans: Spans) -> Spans:
    """Give an SDK for another backend, with a provider that is not the one that is set."""
    assert [] == spans.all
    return Spans()


def _get() -> None:
    headers: dict[str, str] = {}
    propagate.inject(headers)
    requests.get(URL, headers=headers, timeout=5)


def _nothing() -> None:
    """Answer."""


def _by_aiohttp(config: aiohttp.TraceConfig) -> None:
    async def call() -> None:
        connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        session = aiohttp.ClientSession(connector=connector, trace_configs=[config])
        async with session, session.get("http://productpage:9080/a"):
            pass

    asyncio.run(call())


def _ids(*spans: ReadableSpan) -> list[tuple[str, str]]:
    return [(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") for span in spans]


def _sent(recorder: Recorder) -> list[tuple[str, str]]:
    ids = [(sent["x-b3-traceid"], sent["x-b3-spanid"]) for sent in recorder.relayed]
    w3c = [f"00-{trace_id}-{span_id}-01" for trace_id, span_id in ids]
    assert w3c == [sent["traceparent"] for sent in recorder.relayed]
    return ids


def test_an_instrumentation_of_aiohttp_makes_the_spans(recorder: Recorder, spans: Spans) -> None:
    """Its span is around the whole call, with all hops, and goes out on each of them."""
    recorder.answers["/a"] = [redirect(URL)]
    serve(lambda: _by_aiohttp(create_trace_config()))
    (span,) = spans.clients
    assert span.instrumentation_scope is not None
    assert INSTRUMENTATION == span.instrumentation_scope.name
    assert spans.server.context == span.parent
    assert _ids(span) * 2 == _sent(recorder)


def test_a_call_of_another_library_within_has_a_span(recorder: Recorder, spans: Spans) -> None:
    """A span of aiohttp's instrumentation does not stand for what else is called meanwhile."""
    tracer = spans.provider.get_tracer(INSTRUMENTATION)

    def call() -> None:
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
            requests.get(URL, timeout=5)

    serve(call)
    inner, outer = spans.clients
    assert outer.context == inner.parent
    assert _ids(inner) == _sent(recorder)


def test_a_span_that_was_left_behind_stands_for_no_call(recorder: Recorder, spans: Spans) -> None:
    """One that has ended is of an earlier call."""
    tracer = spans.provider.get_tracer(INSTRUMENTATION)

    def call() -> None:
        earlier = tracer.start_span("GET", kind=SpanKind.CLIENT)
        earlier.end()
        with trace.use_span(earlier):
            _by_aiohttp(aiohttp.TraceConfig())

    serve(call)
    assert _ids(spans.clients[-1]) == _sent(recorder)
    assert 2 == len(spans.clients)


def test_what_an_instrumentation_writes_for_nobody_gives_way(
    recorder: Recorder, spans: Spans
) -> None:
    """The mesh has decided against the trace: no span is made, and what came goes out."""
    serve(lambda: _by_aiohttp(create_trace_config()), DENIED)
    assert [] == spans.all
    assert [DENIED] == recorder.relayed


def test_a_span_that_nobody_knows_is_around_ours(recorder: Recorder, spans: Spans) -> None:
    """One of an application's own tracing of aiohttp is the parent, and its headers give way."""
    config = aiohttp.TraceConfig()
    tracer = spans.provider.get_tracer("shop")

    async def begin(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        context.attach(trace.set_span_in_context(tracer.start_span("buy")))
        propagate.inject(params.headers)

    async def end(*_: object) -> None:
        trace.get_current_span().end()

    config.on_request_start.append(begin)
    config.on_request_end.append(end)
    serve(lambda: _by_aiohttp(config))
    (span,) = spans.clients
    assert _ids(span) == _sent(recorder)
    assert ["buy"] == [one.name for one in spans.all if one.context == span.parent]


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.INTERNAL])
def test_a_span_of_another_provider_is_not_in_the_meshs_trace(
    kind: SpanKind, recorder: Recorder, spans: Spans, theirs: Spans
) -> None:
    """A vendor's span does not stand for the call, is not the parent, and does not go out."""
    tracer = theirs.provider.get_tracer("opentelemetry.instrumentation.requests")

    def call() -> None:
        with tracer.start_as_current_span("GET", kind=kind):
            if kind is SpanKind.INTERNAL:
                _get()
                return
            with suppress_http_instrumentation():
                _get()

    serve(call)
    (span,) = spans.clients
    assert spans.server.context == span.parent
    assert _ids(span) == _sent(recorder)
    assert [kind] == [span.kind for span in theirs.all]


def test_a_vendors_exporter_is_left_alone(recorder: Recorder, spans: Spans, theirs: Spans) -> None:
    """A call of which nothing is to be seen has no span, and relays what came."""
    tracer = theirs.provider.get_tracer("vendor")

    def call() -> None:
        with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT), suppress_instrumentation():
            _get()

    serve(call)
    assert [] == spans.clients
    assert [CAME] == recorder.relayed


def test_without_a_provider_a_vendors_spans_stay_off_the_wire(
    recorder: Recorder, theirs: Spans, set_provider: SetProvider
) -> None:
    """Where none is set, nobody is known to report a vendor's spans to the mesh's collector."""
    set_provider(None)

    def call() -> None:
        with theirs.provider.get_tracer("vendor").start_as_current_span("GET"):
            _get()

    serve(call)
    assert [CAME] == recorder.relayed


def test_a_request_has_a_span_beside_a_vendors(
    recorder: Recorder, spans: Spans, theirs: Spans
) -> None:
    """A SERVER span of another provider does not stand for the request."""
    telemetry: Any = {"tracer_provider": theirs.provider}
    app = FastAPI(telemetry=telemetry)
    app.add_middleware(MeshTrace)
    app.get("/")(_get)
    TestClient(app).get("/", headers=CAME)
    assert [SpanKind.SERVER] == [span.kind for span in theirs.all if span.kind is SpanKind.SERVER]
    assert spans.server.context == spans.clients[0].parent
    assert (TRACE, f"{spans.clients[0].context.span_id:016x}") == _sent(recorder)[-1]


def _telemetry(**told: object) -> Any:  # noqa: ANN401 - of FastAPI's own type
    return told


B3 = {name: value for name, value in CAME.items() if name != "traceparent"}


@pytest.mark.parametrize(
    ("telemetry", "came", "scopes"),
    [
        pytest.param(None, CAME, ["fastapi"], id="FastAPI makes it"),
        pytest.param(None, {}, ["fastapi"], id="FastAPI makes it where nothing came"),
        pytest.param(_telemetry(tracing=False), CAME, ["meshtrace"], id="FastAPI makes none"),
        pytest.param(None, B3, ["meshtrace", "fastapi"], id="FastAPI's is of another trace"),
        pytest.param(
            _telemetry(tracer_provider=Spans().provider),
            CAME,
            ["meshtrace"],
            id="FastAPI's is of another provider",
        ),
    ],
)
def test_around_fastapi(
    telemetry: Any,  # noqa: ANN401 - as above
    came: dict[str, str],
    scopes: list[str],
    spans: Spans,
) -> None:
    """Where FastAPI will make the span of a request in the mesh's trace, there is no second one."""
    app = FastAPI(telemetry=telemetry)
    app.get("/")(_nothing)
    TestClient(MeshTrace(CORSMiddleware(app))).get("/", headers=came)
    found = [span.instrumentation_scope for span in spans.of(SpanKind.SERVER)]
    assert sorted(scopes) == sorted(scope.name for scope in found if scope)


def test_what_is_written_for_the_request_gives_way(recorder: Recorder, spans: Spans) -> None:
    """Code that injects the current span by hand has the call's own span on the wire instead."""
    serve(_get)
    assert _ids(*spans.clients) == _sent(recorder)


def test_what_came_stays_where_the_caller_has_copied_it(recorder: Recorder, spans: Spans) -> None:
    """Headers that name the remote parent are the caller's own."""
    with meshtrace.use(CAME):
        requests.get(URL, headers={"traceparent": CAME["traceparent"]}, timeout=5)
    (sent,) = recorder.relayed
    (span,) = spans.clients
    assert (CAME["traceparent"], f"{span.context.span_id:016x}") == (
        sent["traceparent"],
        sent["x-b3-spanid"],
    )


def test_an_instrumentation_of_grpcs_clients_is_none_of_a_server(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are one module; what makes spans of requests is a part of it."""
    name = "opentelemetry.instrumentation.grpc"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    serve(_get)
    assert spans.server.context == spans.clients[0].parent
    monkeypatch.setitem(sys.modules, f"{name}._server", ModuleType(name))
    serve(_get)
    assert 1 == len(spans.of(SpanKind.SERVER))
    assert 2 == len(recorder.received)


def test_ddtraces_provider_makes_no_spans_of_ours(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where OpenTelemetry is ddtrace's, it has spans of requests and calls already."""
    monkeypatch.setitem(sys.modules, "ddtrace", ModuleType("ddtrace"))
    monkeypatch.setenv("DD_TRACE_OTEL_ENABLED", "true")
    serve(_get)
    assert [] == spans.all
    assert [CAME] == recorder.relayed

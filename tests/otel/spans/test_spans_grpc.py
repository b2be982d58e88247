"""The spans of calls over gRPC, made and served."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import meshtrace
from meshtrace.outbound.grpc import aio_interceptors
from tests.formats.strategies import SPAN, TRACE
from tests.inbound.grpc_server import AioServing, SyncHandlersOfAio, SyncServing
from tests.otel.spans.conftest import Spans
from tests.otel.spans.serving import CAME, serve
from tests.outbound.grpc_recorder import ANSWERS, KINDS, Recorder, SyncClient, recording

Own = Any
"""What is gRPC's own, of which the stubs know less than gRPC does."""


def _wait(spans: Spans, kind: SpanKind, number: int = 1) -> list[ReadableSpan]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = [span for span in spans.all if span.kind is kind]
        if len(found) >= number:
            return found
        time.sleep(0.001)
    raise AssertionError("no span")


@pytest.fixture
def other_end() -> Iterator[Recorder]:
    """Give a server that keeps what it gets."""
    with recording() as recorder:
        yield recorder


def _sync_call(target: str, kind: str) -> None:
    with grpc.insecure_channel(target) as channel:
        assert ANSWERS[kind] == SyncClient(channel).call(kind, timeout=10)


def _wrapped_call(target: str, kind: str) -> None:
    meshtrace.unpatch()
    with meshtrace.wrap(grpc.insecure_channel(target)) as channel:
        assert ANSWERS[kind] == SyncClient(channel).call(kind, timeout=10)


def _future_call(target: str, kind: str) -> None:
    with grpc.insecure_channel(target) as channel:
        method: Own = getattr(channel, kind)(f"/recorder/{kind}")
        if not hasattr(method, "future"):
            assert ANSWERS[kind] == SyncClient(channel).call(kind, timeout=10)
            return
        request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
        assert ANSWERS[kind] == [method.future(request, timeout=10).result()]


async def _aio(target: str, kind: str, interceptors: list[Own] | None = None) -> None:
    async with grpc.aio.insecure_channel(target, interceptors=interceptors) as channel:
        request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
        call: Own = getattr(channel, kind)(f"/recorder/{kind}")(request, timeout=10)
        if kind.endswith("stream"):
            assert ANSWERS[kind] == [answer async for answer in call]
        else:
            assert ANSWERS[kind] == [await call]


def _aio_call(target: str, kind: str) -> None:
    asyncio.run(_aio(target, kind))


def _intercepted_call(target: str, kind: str) -> None:
    meshtrace.unpatch()
    asyncio.run(_aio(target, kind, aio_interceptors(target)))


CALLS = [
    pytest.param(_sync_call, id="a channel"),
    pytest.param(_wrapped_call, id="a wrapped channel"),
    pytest.param(_future_call, id="futures"),
    pytest.param(_aio_call, id="a channel of grpc.aio"),
    pytest.param(_intercepted_call, id="interceptors of grpc.aio"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_a_span(call: Own, kind: str, other_end: Recorder, spans: Spans) -> None:
    """It is a child of the request's span, tells where it goes, and its ids go out."""
    meshtrace.patch("grpc")
    serve(lambda: call(other_end.target, kind))
    (span,) = _wait(spans, SpanKind.CLIENT)
    assert f"recorder/{kind}" == span.name
    assert {
        "rpc.system": "grpc",
        "rpc.service": "recorder",
        "rpc.method": kind,
        "rpc.grpc.status_code": 0,
        "server.address": "127.0.0.1",
        "server.port": other_end.port,
    } == dict(span.attributes or {})
    assert spans.server.context == span.parent
    (sent,) = other_end.relayed
    assert f"{span.context.span_id:016x}" == sent["x-b3-spanid"]
    assert f"00-{TRACE}-{span.context.span_id:016x}-01" == sent["traceparent"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_tells_its_status(
    call: Own, kind: str, other_end: Recorder, spans: Spans
) -> None:
    """Every status but OK is an error."""
    meshtrace.patch("grpc")
    other_end.failures = [grpc.StatusCode.NOT_FOUND]
    with pytest.raises(grpc.RpcError):
        serve(lambda: call(other_end.target, kind))
    (span,) = _wait(spans, SpanKind.CLIENT)
    attributes = span.attributes or {}
    assert 5 == attributes["rpc.grpc.status_code"]
    assert "error.type" in attributes
    assert StatusCode.ERROR is span.status.status_code


SERVINGS = [
    pytest.param(SyncServing, id="a server of threads"),
    pytest.param(AioServing, id="a server of grpc.aio"),
    pytest.param(SyncHandlersOfAio, id="a server of grpc.aio with methods for threads"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("serving", SERVINGS)
def test_a_call_that_is_served_has_a_span(serving: type[Own], kind: str, spans: Spans) -> None:
    """It is a child of Envoy's span, and what is called while it is served is its child."""
    with serving.serve([serving.interceptor()]) as server:
        server.call(kind, CAME)
        (span,) = _wait(spans, SpanKind.SERVER)
        seen = server.handlers.seen
    told = dict(span.attributes or {})
    assert "grpc" in str(told.pop("user_agent.original"))
    # grpc.aio does not tell methods for threads.
    status = {} if serving is SyncHandlersOfAio else {"rpc.grpc.status_code": 0}
    expected = {"rpc.system": "grpc", "rpc.service": "server", "rpc.method": kind}
    assert expected | status == told
    assert f"server/{kind}" == span.name
    assert span.parent is not None
    assert (int(TRACE, 16), int(SPAN, 16)) == (span.parent.trace_id, span.parent.span_id)
    assert {f"{span.context.span_id:016x}"} == {sent["x-b3-spanid"] for sent in seen}


def _raise(*_: Own) -> Own:
    raise LookupError("no such thing")


async def _raise_aio(*_: Own) -> Own:
    raise LookupError("no such thing")


def _abort(_: Own, context: Own) -> Own:
    context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


async def _abort_aio(_: Own, context: Own) -> Own:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


async def _raise_streaming(*_: Own) -> Own:
    yield b"one"
    raise LookupError("no such thing")


@pytest.mark.usefixtures("errors_logged")
@pytest.mark.parametrize(
    ("serving", "name", "behavior", "code", "kind"),
    [
        (SyncServing, "unary_unary", _raise, 2, "LookupError"),
        (SyncServing, "unary_unary", _abort, 14, "UNAVAILABLE"),
        (SyncServing, "missing", None, 12, "UNIMPLEMENTED"),
        (AioServing, "unary_unary", _raise_aio, 2, "LookupError"),
        (AioServing, "unary_unary", _abort_aio, 14, "UNAVAILABLE"),
        (AioServing, "unary_stream", _raise_streaming, 2, "LookupError"),
        (SyncHandlersOfAio, "unary_unary", _raise, None, "LookupError"),
    ],
)
def test_what_fails_is_told(  # noqa: PLR0913, PLR0917 - a table
    serving: type[Own], name: str, behavior: Own, code: int, kind: str, spans: Spans
) -> None:
    """An exception is recorded once, and a status that is the server's fault is an error."""
    with serving.serve([serving.interceptor()]) as server:
        if behavior is not None:
            server.handlers.own[name] = behavior
        with pytest.raises(grpc.RpcError):
            server.call(name, CAME)
        (span,) = _wait(spans, SpanKind.SERVER)
    attributes = span.attributes or {}
    assert (code, kind) == (attributes.get("rpc.grpc.status_code"), attributes["error.type"])
    assert StatusCode.ERROR is span.status.status_code
    assert ["exception"] * (kind == "LookupError") == [event.name for event in span.events]


def _not_found(_: Own, context: Own) -> bytes:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    return b""


async def _not_found_aio(_: Own, context: Own) -> bytes:
    context.set_code(5)
    return b""


@pytest.mark.parametrize(
    ("serving", "behavior"), [(SyncServing, _not_found), (AioServing, _not_found_aio)]
)
def test_a_status_of_the_callers_is_no_error(
    serving: type[Own], behavior: Own, spans: Spans
) -> None:
    """Who asks for what is not there has made the mistake."""
    with serving.serve([serving.interceptor()]) as own:
        own.handlers.own["unary_unary"] = behavior
        with pytest.raises(grpc.RpcError):
            own.call("unary_unary", CAME)
        (span,) = _wait(spans, SpanKind.SERVER)
    assert 5 == (span.attributes or {})["rpc.grpc.status_code"]
    assert StatusCode.UNSET is span.status.status_code

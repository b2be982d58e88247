"""gRPC beside OpenTelemetry's instrumentation of it, in every order, with calls of every kind."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcInstrumentorClient,
    server_interceptor,
)

import meshtrace
from meshtrace.otel.slot import SERVER_INSTRUMENTATIONS
from tests.otel.spans.conftest import Spans, set_provider, spans
from tests.outbound.grpc_recorder import ANSWERS, KINDS, AioClient, Recorder, SyncClient, recording
from tests.outbound.recording import IDS, W3C

__all__ = ["set_provider", "spans"]

pytestmark = pytest.mark.servers

SEVERAL = {**IDS, **W3C}


@pytest.fixture(scope="module")
def server() -> Iterator[Recorder]:
    """Give the other end of the calls."""
    with recording() as recorder:
        yield recorder


@pytest.fixture
def recorder(server: Recorder) -> Recorder:
    """Give the other end, which has received nothing."""
    server.received.clear()
    return server


@pytest.fixture
def instrument(spans: Spans) -> Iterator[Callable[[], None]]:
    """Give what instruments gRPC; it is as before in the end."""
    kinds: list[Any] = [GrpcInstrumentorClient, GrpcAioInstrumentorClient]
    instrumentors = [kind() for kind in kinds]

    def instrument() -> None:
        for instrumentor in instrumentors:
            instrumentor.instrument(tracer_provider=spans.provider)

    yield instrument
    for instrumentor in reversed(instrumentors):
        instrumentor.uninstrument()


@pytest.fixture(params=["ours", "theirs"])
def _patched(request: pytest.FixtureRequest, instrument: Callable[[], None]) -> Iterator[None]:
    if request.param == "theirs":
        instrument()
    meshtrace.patch("grpc")
    if request.param == "ours":
        instrument()
    yield
    if request.param == "theirs":
        meshtrace.unpatch()


class _Own(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """An interceptor of the application's, that does nothing."""

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401 - gRPC's own
        return await continuation(details, request)


def _insecure(target: str) -> Any:  # noqa: ANN401 - a channel
    return grpc.aio.insecure_channel(target)


def _secure(target: str) -> Any:  # noqa: ANN401 - a channel
    credentials = grpc.local_channel_credentials()
    return grpc.aio.secure_channel(target, credentials=credentials)


def _intercepted(target: str) -> Any:  # noqa: ANN401 - a channel
    interceptors: list[Any] = [_Own()]
    return grpc.aio.insecure_channel(target, interceptors=interceptors)


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("kind", KINDS)
def test_a_channel(kind: str, recorder: Recorder) -> None:
    """Each call carries what came, and not the ids of a span that the mesh does not see."""
    client = SyncClient(grpc.insecure_channel(recorder.target))
    with meshtrace.use(SEVERAL):
        assert ANSWERS[kind] == client.call(kind, timeout=30)
    client.close()
    assert [SEVERAL] == recorder.relayed


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [_insecure, _intercepted])
def test_a_channel_of_aio(make: Callable[[str], Any], kind: str, recorder: Recorder) -> None:
    """So does each call of grpc.aio, whatever interceptors the application has."""
    with asyncio.Runner() as runner:
        client = AioClient(runner, lambda: make(recorder.target))
        with meshtrace.use(SEVERAL):
            assert ANSWERS[kind] == client.call(kind, timeout=30)
        client.close()
    assert [SEVERAL] == recorder.relayed


@pytest.mark.usefixtures("_patched")
@pytest.mark.parametrize("kind", KINDS)
def test_one_span_of_a_call(kind: str, recorder: Recorder, spans: Spans) -> None:
    """Where meshtrace makes spans, too, the instrumentation's stands, and its ids go out."""
    meshtrace.configure(spans=True)
    client = SyncClient(grpc.insecure_channel(recorder.target))
    with meshtrace.use(SEVERAL):
        assert ANSWERS[kind] == client.call(kind, timeout=30)
    client.close()
    with asyncio.Runner() as runner:
        aio_client = AioClient(runner, lambda: _insecure(recorder.target))
        with meshtrace.use(SEVERAL):
            assert ANSWERS[kind] == aio_client.call(kind, timeout=30)
        aio_client.close()
    deadline = time.monotonic() + 5
    while len(spans.all) < len(recorder.received) and time.monotonic() < deadline:
        time.sleep(0.001)
    ids = [f"{span.context.span_id:016x}" for span in spans.all]
    sent = [str(sent["traceparent"])[36:52] for sent in recorder.relayed]
    assert sorted(sent) == sorted(ids)
    assert 2 == len(sent)
    assert {"opentelemetry.instrumentation.grpc"} == {
        span.instrumentation_scope.name for span in spans.all if span.instrumentation_scope
    }


def test_what_instruments_a_server(monkeypatch: pytest.MonkeyPatch, spans: Spans) -> None:
    """It is loaded where a server is instrumented, and not for clients."""
    name = "opentelemetry.instrumentation.grpc._server"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, name)
    instrument: Any = server_interceptor
    instrument(spans.provider)
    assert {name} == sys.modules.keys() & {name} & {*SERVER_INSTRUMENTATIONS}


@pytest.mark.usefixtures("_patched")
def test_a_denied_host(recorder: Recorder) -> None:
    """A denied host gets neither what came nor the span's ids."""
    meshtrace.configure(deny_hosts="127.0.0.1")
    client = SyncClient(grpc.insecure_channel(recorder.target))
    with meshtrace.use(SEVERAL):
        client.call("unary_unary", timeout=30)
    client.close()
    assert [{}] == recorder.relayed


def test_an_instrumented_channel_is_wrapped(
    instrument: Callable[[], None], recorder: Recorder
) -> None:
    """A channel that is instrumented already relays beneath; wrapping it twice is wrapping once."""
    instrument()
    channel = grpc.insecure_channel(recorder.target)
    assert channel is meshtrace.wrap(channel)
    with meshtrace.use(SEVERAL):
        SyncClient(channel).call("unary_unary", timeout=30)
        assert channel is meshtrace.wrap(channel, deny_hosts="127.0.0.1")
        SyncClient(channel).call("unary_unary", timeout=30)
    channel.close()
    assert [SEVERAL, {}] == recorder.relayed


@pytest.mark.usefixtures("_patched")
def test_wrong_arguments() -> None:
    """Arguments that no channel takes are gRPC's own error to raise, or the instrumentation's."""
    make: Any = grpc.aio.insecure_channel
    with pytest.raises((TypeError, IndexError)):
        make()


@pytest.mark.usefixtures("_patched")
def test_secured(recorder: Recorder) -> None:
    """A channel with credentials is made with its arguments as they were given."""

    async def make() -> None:
        await _secure(recorder.target).close()

    asyncio.run(make())

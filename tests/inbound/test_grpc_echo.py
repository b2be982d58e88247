"""The field that a server of gRPC echoes, with the initial metadata of calls that succeed."""

from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.inbound.grpc_server import (
    KINDS,
    AioServing,
    Own,
    Serving,
    SyncHandlersOfAio,
    SyncServing,
)

ECHO = "x-request-id"
CAME = {ECHO: "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e"}
TIMEOUT = 30

Metadata = list[tuple[str, Any]]


@pytest.fixture(
    params=[
        pytest.param(SyncServing, id="grpc"),
        pytest.param(AioServing, id="grpc.aio"),
        pytest.param(SyncHandlersOfAio, id="grpc.aio with handlers for threads"),
    ]
)
def serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """Give a server that echoes."""
    kind = request.param
    with kind.serve([kind.interceptor(response_header=ECHO)]) as serving:
        yield serving


def _initial_metadata(serving: Serving, name: str, brought: dict[str, str]) -> Metadata:
    """Call a method, and give the initial metadata that came, also where it fails."""
    kind = name if name in KINDS else "unary_unary"
    request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
    channel: Own = grpc.insecure_channel(f"127.0.0.1:{serving.port}")
    with channel:
        method = getattr(channel, kind)(f"/server/{name}")
        start = method.future if kind.endswith("unary") else method
        call = start(request, timeout=TIMEOUT, metadata=tuple(brought.items()))
        metadata = [(pair.key, pair.value) for pair in call.initial_metadata()]
        if kind.endswith("unary"):
            call.exception(TIMEOUT)
        else:
            assert 2 == len(list(call))
        return metadata


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_is_echoed(kind: str, serving: Serving) -> None:
    """The field that came goes back with the initial metadata, for every kind of call."""
    assert [*CAME.items()] == _initial_metadata(serving, kind, CAME)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_came(kind: str, serving: Serving) -> None:
    """Where it did not come, nothing is echoed."""
    assert [] == _initial_metadata(serving, kind, {})


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(("x-own", "1"), [("x-own", "1"), *CAME.items()], id="of another name"),
        pytest.param((ECHO, "own"), [(ECHO, "own")], id="of the same name"),
    ],
)
def test_initial_metadata_of_the_handler(
    own: tuple[str, str], expected: Metadata, serving: Serving
) -> None:
    """Initial metadata of a handler's own leave with the echo, and win where they are the same."""
    kinds = []

    def send(request: bytes, context: Own) -> bytes:
        kinds.append(isinstance(context, grpc.ServicerContext))
        assert context.time_remaining() > 0
        context.send_initial_metadata((own,))
        return request

    async def send_aio(request: bytes, context: Own) -> bytes:
        kinds.append(isinstance(context, grpc.ServicerContext))
        assert context.time_remaining() > 0
        await context.send_initial_metadata((own,))
        return request

    serving.handlers.own["own"] = send_aio if type(serving) is AioServing else send
    assert expected == _initial_metadata(serving, "own", CAME)
    assert [type(serving) is SyncServing] == kinds


def test_a_call_that_fails(serving: Serving) -> None:
    """A call that fails has no initial metadata, without which Envoy may try it again."""

    def fail(_: bytes, context: Own) -> Own:
        return context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    serving.handlers.own["own"] = fail
    assert [] == _initial_metadata(serving, "own", CAME)


def test_a_call_that_fails_quietly(serving: Serving) -> None:
    """The same goes for a handler that sets a status of failure, and raises nothing."""

    def fail(request: bytes, context: Own) -> bytes:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        return request

    async def fail_aio(request: bytes, context: Own) -> bytes:
        return fail(request, context)

    serving.handlers.own["own"] = fail_aio if type(serving) is AioServing else fail
    assert [] == _initial_metadata(serving, "own", CAME)


def test_a_call_that_takes_no_more(serving: Serving) -> None:
    """Where gRPC takes no initial metadata any longer, the call goes on without the echo."""

    def sent(request: bytes, context: Own) -> bytes:
        vars(context)["_context"].send_initial_metadata(())
        return request

    async def sent_aio(request: bytes, context: Own) -> bytes:
        await vars(context)["_context"].send_initial_metadata(())
        return request

    serving.handlers.own["own"] = sent_aio if type(serving) is AioServing else sent
    assert [] == _initial_metadata(serving, "own", CAME)
    assert [b"ab"] == serving.call("own", CAME)

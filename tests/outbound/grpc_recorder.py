"""A server of gRPC that keeps the metadata it gets, and clients of both kinds to call it."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import grpc
import grpc.aio

import meshtrace

__all__ = ["ANSWERS", "KINDS", "AioClient", "Client", "Own", "Recorder", "SyncClient", "recording"]

Own = Any
"""What is gRPC's own, of which the stubs know less than gRPC does."""

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

AT_ONCE = 32

BY_GRPC = frozenset({"grpc-accept-encoding", "grpc-previous-rpc-attempts", "user-agent"})
"""What gRPC sends by itself."""

Metadata = tuple[tuple[str, str | bytes], ...]


class Recorder:
    """
    What the server got, and what it is to say.

    Attributes:
        port: Where it listens.
        received: The metadata that came, call by call.
        failures: The status codes of the next calls, which fail.
        go_on: What slow calls wait for.
    """

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Metadata] = []
        self.failures: list[grpc.StatusCode] = []
        self.go_on = threading.Event()

    @property
    def target(self) -> str:
        """Where it listens, as a channel takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def relayed(self) -> list[dict[str, str | bytes]]:
        """What came beside gRPC's own, each name once, call by call."""
        return [_once_each(metadata) for metadata in self.received]

    def keep(self, context: grpc.ServicerContext) -> None:
        """Keep what came with a call."""
        self.received.append(tuple(context.invocation_metadata()))

    def fail(self, context: grpc.ServicerContext) -> None:
        """Fail a call if that is due."""
        if self.failures:
            context.abort(self.failures.pop(0), "as it was told")


def _once_each(metadata: Metadata) -> dict[str, str | bytes]:
    own = [(name, value) for name, value in metadata if name not in BY_GRPC]
    assert len(dict(own)) == len(own)
    return dict(own)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Methods that give back what they get, named after their kinds; the slow one waits."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Own:
        kind = handler_call_details.method.rpartition("/")[2]
        if kind == "slow":
            return grpc.unary_stream_rpc_method_handler(self.slow)
        return getattr(grpc, f"{kind}_rpc_method_handler")(getattr(self, kind))

    def unary_unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._recorder.keep(context)
        self._recorder.fail(context)
        return request

    def unary_stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._recorder.keep(context)
        self._recorder.fail(context)
        yield from (request, request)

    def stream_unary(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._recorder.keep(context)
        answer = b"".join(requests)
        self._recorder.fail(context)
        return answer

    def stream_stream(
        self, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        self._recorder.keep(context)
        yield from requests
        self._recorder.fail(context)

    def slow(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._recorder.keep(context)
        context.send_initial_metadata(())
        self._recorder.go_on.wait(30)
        yield request


ANSWERS: Mapping[str, list[bytes]] = {
    "unary_unary": [b"ab"],
    "unary_stream": [b"ab", b"ab"],
    "stream_unary": [b"ab"],
    "stream_stream": [b"a", b"b"],
}
"""What comes back when ``ab``, or ``a`` and ``b``, is sent."""


@contextmanager
def recording(*addresses: str) -> Iterator[Recorder]:
    """Serve on a free port of loopback, and where else is said."""
    recorder = Recorder()
    with ThreadPoolExecutor(AT_ONCE + 8) as pool:
        server = grpc.server(pool, handlers=[_Handlers(recorder)])
        recorder.port = server.add_insecure_port("127.0.0.1:0")
        for address in addresses:
            server.add_insecure_port(address)
        server.start()
        try:
            yield recorder
        finally:
            recorder.go_on.set()
            server.stop(None).wait()


class Client(Protocol):
    """Calls with one channel, as an application does."""

    def call(self, kind: str, **options: Own) -> list[bytes]:
        """Make a call of one kind, and give all that comes back."""
        ...

    def burst(self, calls: Sequence[Mapping[str, str]]) -> None:
        """Make calls of all kinds, each for a request that brought these fields, many at once."""
        ...

    def close(self) -> None:
        """Close the channel."""
        ...


class SyncClient:
    """
    Calls with a channel that blocks.

    Args:
        channel: The channel.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def call(self, kind: str, **options: Own) -> list[bytes]:
        """Make a call of one kind, and give all that comes back."""
        request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
        answer = getattr(self.channel, kind)(f"/recorder/{kind}")(request, **options)
        return [answer] if isinstance(answer, bytes) else list(answer)

    def burst(self, calls: Sequence[Mapping[str, str]]) -> None:
        """Make the calls in threads."""

        def call(number: int, brought: Mapping[str, str]) -> None:
            kind = KINDS[number % len(KINDS)]
            with meshtrace.use(brought):
                assert ANSWERS[kind] == self.call(kind, timeout=60)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(call, range(len(calls)), calls):
                pass

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()


class AioClient:
    """
    Calls with a channel of ``grpc.aio``, for what is current where it is asked.

    Args:
        runner: The loop.
        make: Makes the channel, in the loop.
    """

    def __init__(self, runner: asyncio.Runner, make: Callable[[], grpc.aio.Channel]) -> None:
        async def made() -> grpc.aio.Channel:
            return make()

        self._runner = runner
        self.channel = self.run(made())

    def run(self, work: Own) -> Own:
        """Run a coroutine in the loop."""
        return self._runner.run(work, context=contextvars.copy_context())

    async def acall(self, kind: str, **options: Own) -> list[bytes]:
        """Make a call of one kind, and give all that comes back."""
        request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
        call = getattr(self.channel, kind)(f"/recorder/{kind}")(request, **options)
        return [await call] if kind.endswith("unary") else [answer async for answer in call]

    def call(self, kind: str, **options: Own) -> list[bytes]:
        """Make the call in the loop."""
        answers: list[bytes] = self.run(self.acall(kind, **options))
        return answers

    def burst(self, calls: Sequence[Mapping[str, str]]) -> None:
        """Make the calls in tasks."""
        waiting = iter(enumerate(calls))

        async def work() -> None:
            for number, brought in waiting:
                kind = KINDS[number % len(KINDS)]
                with meshtrace.use(brought):
                    assert ANSWERS[kind] == await self.acall(kind, timeout=60)

        async def together() -> None:
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))

        self.run(together())

    def close(self) -> None:
        """Close the channel."""
        self.run(self.channel.close())

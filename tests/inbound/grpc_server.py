"""Servers of gRPC of both kinds, with handlers of every kind that tell what is at hand."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import grpc
import grpc.aio

import meshtrace
from meshtrace.inbound.grpc import aio_interceptor, interceptor

__all__ = [
    "KINDS",
    "AioServing",
    "Handlers",
    "Own",
    "Serving",
    "SyncServing",
    "at_hand",
    "call",
    "call_by",
]

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
TIMEOUT = 30

Own = Any
"""What is gRPC's own, of which the stubs know less than gRPC does."""


def at_hand() -> dict[str, str]:
    """Give what a call made here and now would carry to a host of the mesh."""
    return meshtrace.headers("http://reviews:9080/")


class Handlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """
    One method for each kind of call; another test may put its own in the place of one.

    Attributes:
        seen: What was at hand at each step of each method.
        own: Methods to take instead, by their names.
    """

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.own: dict[str, Callable[..., object]] = {}

    def service(self, handler_call_details: Own) -> Own:
        """Give the handler of a method."""
        name = handler_call_details.method.rpartition("/")[2]
        kind = name if name in KINDS else "unary_unary"
        behavior = self.own.get(name) or getattr(self, name, None)
        return behavior and getattr(grpc, f"{kind}_rpc_method_handler")(behavior)

    def note(self) -> None:
        """Note what is at hand."""
        self.seen.append(at_hand())


class SyncHandlers(Handlers):
    """Methods for threads."""

    def unary_unary(self, request: bytes, _: Own) -> bytes:
        self.note()
        return request

    def unary_stream(self, request: bytes, _: Own) -> Iterator[bytes]:
        for _step in range(2):
            self.note()
            yield request

    def stream_unary(self, requests: Iterator[bytes], _: Own) -> bytes:
        self.note()
        answer = b"".join(requests)
        self.note()
        return answer

    def stream_stream(self, requests: Iterator[bytes], _: Own) -> Iterator[bytes]:
        for request in requests:
            self.note()
            yield request


class AioHandlers(Handlers):
    """Methods for an event loop."""

    async def unary_unary(self, request: bytes, _: Own) -> bytes:
        await asyncio.sleep(0)
        self.note()
        return request

    async def unary_stream(self, request: bytes, _: Own) -> AsyncIterator[bytes]:
        for _step in range(2):
            await asyncio.sleep(0)
            self.note()
            yield request

    async def stream_unary(self, requests: Own, _: Own) -> bytes:
        self.note()
        answer = b"".join([request async for request in requests])
        self.note()
        return answer

    async def stream_stream(self, _: Own, context: Own) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs forget it
            self.note()
            await context.write(request)


class Serving:
    """
    A server on a free port of loopback.

    Attributes:
        handlers: What it serves with.
        port: Where it listens.
        pool: Where it runs what blocks.
        interceptor: Makes our interceptor.
    """

    handlers: Handlers
    port: int
    pool: ThreadPoolExecutor
    interceptor: ClassVar[Callable[..., Own]]

    def call(self, kind: str, brought: Mapping[str, str] | None = None) -> list[bytes]:
        """Call a method, as a request that brings these fields."""
        return call(self.port, kind, tuple((brought or {}).items()))


def call(port: int, name: str, metadata: Sequence[tuple[str, str | bytes]] = ()) -> list[bytes]:
    """Call a method, by a channel of its own, and give what comes back."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return call_by(channel, name, metadata)


def call_by(
    channel: Own, name: str, metadata: Sequence[tuple[str, str | bytes]] = ()
) -> list[bytes]:
    """Call a method by a channel, and give what comes back."""
    kind = name if name in KINDS else "unary_unary"
    request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
    method = getattr(channel, kind)(f"/server/{name}")
    answer = method(request, timeout=TIMEOUT, metadata=tuple(metadata))
    return [answer] if isinstance(answer, bytes) else list(answer)


class SyncServing(Serving):
    """A server of threads, of one unless told otherwise."""

    interceptor = staticmethod(interceptor)

    @classmethod
    @contextmanager
    def serve(
        cls, interceptors: Sequence[Own], handlers: Handlers | None = None, threads: int = 1
    ) -> Iterator["SyncServing"]:
        """Serve."""
        serving = cls()
        serving.handlers = handlers or SyncHandlers()
        with ThreadPoolExecutor(threads) as pool:
            serving.pool = pool
            server = grpc.server(pool, [serving.handlers], list(interceptors))
            serving.port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                yield serving
            finally:
                server.stop(None).wait()


class AioServing(Serving):
    """A server of ``grpc.aio``, whose loop runs in a thread of its own."""

    interceptor = staticmethod(aio_interceptor)

    @classmethod
    @contextmanager
    def serve(
        cls, interceptors: Sequence[Own], handlers: Handlers | None = None, threads: int = 1
    ) -> Iterator["AioServing"]:
        """Serve."""
        serving = cls()
        serving.handlers = handlers or AioHandlers()
        started, stop = threading.Event(), asyncio.Event()
        loops = []

        async def run() -> None:
            loops.append(asyncio.get_running_loop())
            with ThreadPoolExecutor(threads) as pool:
                serving.pool = pool
                server = grpc.aio.server(pool, [serving.handlers], interceptors)
                serving.port = server.add_insecure_port("127.0.0.1:0")
                await server.start()
                started.set()
                await stop.wait()
                await server.stop(None)

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(asyncio.run, run()))
        thread.start()
        try:
            assert started.wait(TIMEOUT)
            yield serving
        finally:
            loops[0].call_soon_threadsafe(stop.set)
            thread.join(TIMEOUT)


class SyncHandlersOfAio(AioServing):
    """A server of ``grpc.aio`` with methods for threads."""

    @classmethod
    @contextmanager
    def serve(
        cls, interceptors: Sequence[Own], handlers: Handlers | None = None, threads: int = 1
    ) -> Iterator[AioServing]:
        """Serve."""
        with super().serve(interceptors, handlers or SyncHandlers(), threads) as serving:
            yield serving

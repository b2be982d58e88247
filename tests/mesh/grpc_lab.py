"""
A desk that speaks HTTP, and calls a shelf by gRPC, which calls a store by gRPC.

Each has a real Envoy beside it; the three of them run here, in threads.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import grpc
import grpc.aio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import meshtrace
from examples.bookinfo.runner import envoy, ports, sidecars
from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.processes import ProcessGroup
from meshtrace.inbound.grpc import aio_interceptor, interceptor
from meshtrace.outbound.grpc import aio_interceptors
from tests.inbound.grpc_server import AioServing, Handlers, Own, SyncServing

__all__ = ["Desk"]

FILES = {
    name: Path(__file__).parent / "sidecars" / f"grpc-{name}"
    for name in ("sidecar.yaml", "clusters.yaml", "routes.yaml")
}
WORKLOADS = ("desk", "shelf", "store")
START_SECONDS = 60.0
TIMEOUT = 30


def _called(service: str) -> list[tuple[str, str]]:
    # In a pod, the name leads to the sidecar; here the channel's target does.
    return [("grpc.default_authority", f"{service}:9080")]


class _Shelf(Handlers):
    """Hands every call on to the store, in the thread that serves it."""

    def __init__(self, channel: Own) -> None:
        super().__init__()
        self._channel = channel
        self.own = {"flaky": self.unary_unary}

    def unary_unary(self, request: bytes, _: Own) -> Own:
        name = "flaky" if request == b"flaky" else "unary_unary"
        return self._channel.unary_unary(f"/store/{name}")(request, timeout=TIMEOUT)

    def unary_stream(self, request: bytes, _: Own) -> Iterator[bytes]:
        yield from self._channel.unary_stream("/store/unary_stream")(request, timeout=TIMEOUT)

    def stream_unary(self, requests: Iterator[bytes], _: Own) -> Own:
        return self._channel.stream_unary("/store/stream_unary")(requests, timeout=TIMEOUT)

    def stream_stream(self, requests: Iterator[bytes], _: Own) -> Iterator[bytes]:
        yield from self._channel.stream_stream("/store/stream_stream")(requests, timeout=TIMEOUT)


class Desk:
    """
    All of it, for as long as the ``with`` block lasts.

    Args:
        tracer: One of `sidecars.TRACERS`.
        without: Leave meshtrace out.

    Attributes:
        collector: Where the spans go.
        store: The last service, which tells what came.
    """

    def __init__(self, tracer: str, *, without: bool = False) -> None:
        self._tracer = sidecars.TRACERS[tracer]
        self._without = without

    @property
    def address(self) -> str:
        """Where the desk's sidecar takes requests."""
        return f"{ports.LOOPBACK}:{self._inbound['desk'].port}"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.collector = stack.enter_context(Collector())
            self._inbound = {name: _reserved(stack) for name in WORKLOADS}
            self._outbound = {name: _reserved(stack) for name in WORKLOADS}
            self.store = stack.enter_context(self._serve_store())
            self.store.handlers.own["flaky"] = _flaky
            shelf = stack.enter_context(self._serve_shelf(stack))
            desk = stack.enter_context(self._serve_desk())
            group = stack.enter_context(ProcessGroup())
            for name, port in zip(WORKLOADS, (desk, shelf, self.store.port), strict=True):
                self._start_sidecar(group, name, port)
            self._wait_until_up(group)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _serve_store(self) -> contextlib.AbstractContextManager[AioServing]:
        ours = [] if self._without else [aio_interceptor(response_header="x-request-id")]
        return AioServing.serve(ours)

    @contextlib.contextmanager
    def _serve_shelf(self, stack: contextlib.ExitStack) -> Iterator[int]:
        plain = grpc.insecure_channel(self._to_sidecar("shelf"), _called("store"))
        channel = stack.enter_context(plain if self._without else meshtrace.wrap(plain))
        ours = [] if self._without else [interceptor()]
        with SyncServing.serve(ours, _Shelf(channel), threads=4) as shelf:
            yield shelf.port

    @contextlib.contextmanager
    def _serve_desk(self) -> Iterator[int]:
        target = self._to_sidecar("desk")
        ours = [] if self._without else aio_interceptors(target, authority="shelf:9080")

        async def ask(request: Request) -> PlainTextResponse:
            kind = request.path_params["kind"]
            async with grpc.aio.insecure_channel(
                target, _called("shelf"), interceptors=ours
            ) as channel:
                return PlainTextResponse(b",".join(await _asked(channel, kind)))

        app = Starlette(routes=[Route("/{kind}", ask)])
        if not self._without:
            app.add_middleware(meshtrace.MeshTrace)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        with ports.listen() as listening:
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            try:
                yield listening.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join(TIMEOUT)

    def _to_sidecar(self, workload: str) -> str:
        return f"{ports.LOOPBACK}:{self._outbound[workload].port}"

    def _start_sidecar(self, group: ProcessGroup, workload: str, app_port: int) -> None:
        values = {
            "tracer": self._tracer,
            "sampling": 100,
            "collector_port": self.collector.port,
            "workload": workload,
            "app_port": app_port,
            "inbound_port": self._inbound[workload].port,
            "outbound_port": self._outbound[workload].port,
            "spawn_upstream_span": "false",
            **{f"{name}_port": inbound.port for name, inbound in self._inbound.items()},
        }
        configuration = group.directory / f"{workload}.yaml"
        configuration.write_text(sidecars.render("sidecar.yaml", values, FILES))
        for reservation in (self._inbound[workload], self._outbound[workload]):
            reservation.hand_over()
        group.start(
            workload,
            envoy.command(envoy.find(os.environ.get("ENVOY")), configuration),
            environment={},
            working_directory=group.directory,
        )

    def _wait_until_up(self, group: ProcessGroup) -> None:
        deadline = time.monotonic() + START_SECONDS
        for reservation in (*self._inbound.values(), *self._outbound.values()):
            while not _accepts(reservation.port):
                group.check()
                assert time.monotonic() < deadline
                time.sleep(0.02)


async def _asked(channel: Own, kind: str) -> list[bytes]:
    if kind == "flaky":
        return [await channel.unary_unary("/shelf/flaky")(b"flaky", timeout=TIMEOUT)]
    request = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
    call = getattr(channel, kind)(f"/shelf/{kind}")(request, timeout=TIMEOUT)
    return [await call] if kind.endswith("unary") else [answer async for answer in call]


async def _flaky(request: bytes, context: Own) -> bytes:
    """Fail the first two attempts; Envoy counts them."""
    metadata = dict(context.invocation_metadata())
    if int(metadata["x-envoy-attempt-count"]) <= 2:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not today")
    return request


def _reserved(stack: contextlib.ExitStack) -> ports.Reservation:
    reservation = ports.Reservation()
    stack.callback(reservation.close)
    return reservation


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((ports.LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True

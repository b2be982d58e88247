"""gRPC, both kinds of servers: ``python -m tests.auto.apps.grpc_app KIND PORT``."""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio

from tests.auto.apps.calls import call


def answer(_request: bytes, _context: Any) -> bytes:  # noqa: ANN401 - generic in the stubs only
    """Answer with what a call carries."""
    return call()


async def answer_async(_request: bytes, _context: Any) -> bytes:  # noqa: ANN401 - as above
    """Answer with what a call carries."""
    return call()


def serve(address: str) -> None:
    """Serve from threads."""
    server = grpc.server(ThreadPoolExecutor())
    server.add_generic_rpc_handlers((_handler(answer),))
    server.add_insecure_port(address)
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
    server.wait_for_termination()


async def serve_async(address: str) -> None:
    """Serve from the event loop."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handler(answer_async),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def _handler(behaviour: Any) -> Any:  # noqa: ANN401 - generic in the stubs only
    method = grpc.unary_unary_rpc_method_handler(behaviour)
    return grpc.method_handlers_generic_handler("shop", {"Index": method})


if __name__ == "__main__":
    _, kind, port = sys.argv
    if kind == "aio":
        asyncio.run(serve_async(f"127.0.0.1:{port}"))
    else:
        serve(f"127.0.0.1:{port}")

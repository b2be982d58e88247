"""The other end of the calls: it keeps each header line of them, as it came."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

__all__ = ["Wire", "listening"]

Lines = list[tuple[str, str]]


class Wire:
    """
    What came, by the client that sent it.

    Attributes:
        calls: Clients, and the header lines of each of their calls.
        http: Where HTTP is spoken.
        grpc: Where gRPC is spoken.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Lines]] = []
        self.http = 0
        self.grpc = 0

    def taken(self) -> list[tuple[str, Lines]]:
        """Give what has come since the last time."""
        taken, self.calls = self.calls, []
        return taken


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        lines = [(name.lower(), value) for name, value in self.headers.items()]
        self.server.wire.calls.append((self.path.lstrip("/").replace("-", " "), lines))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    wire: Wire


class _Anything(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401 - gRPC's own
        metadata = [(name, str(value)) for name, value in handler_call_details.invocation_metadata]
        client = handler_call_details.method.split("/")[1].replace("-", " ")
        self._wire.calls.append((client, metadata))
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


@contextmanager
def listening() -> Iterator[Wire]:
    """Listen on free ports of loopback, in threads."""
    wire = Wire()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.wire = wire
    wire.http = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with ThreadPoolExecutor(2) as pool:
        rpcs = grpc.server(pool, handlers=[_Anything(wire)])
        wire.grpc = rpcs.add_insecure_port("127.0.0.1:0")
        rpcs.start()
        yield wire
        rpcs.stop(None).wait()
    server.shutdown()
    server.server_close()

"""A server that every host name leads to, and that keeps what it gets."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

B3 = {
    "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
    "x-b3-spanid": "a2fb4a1d1a96d312",
    "x-b3-parentspanid": "0020000000000001",
    "x-b3-sampled": "1",
}
W3C = {
    "traceparent": "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01",
    "tracestate": "mesh=1",
}
IDS = {
    "x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e",
    "traceparent": W3C["traceparent"],
    **B3,
}
VENDOR_DATA = {"tracestate": W3C["tracestate"], "sw8": "1-dGVzdA==-dGVzdA==-0-c3Zj-aW5z-L2E=-YQ=="}
USER_DATA = {"end-user": "jason", "baggage": "color=blue,user=al%20ice;ttl=1"}
ALL = {**IDS, **VENDOR_DATA, **USER_DATA}
"""What a request brings that has everything."""

ANYWHERE = "127.0.0.9"
"""The address of every host name, which leads to the server as all addresses but its own do."""

OTHER = {
    "x-request-id": "00000000-91f2-9b6d-a7a3-5b1e3f0c2d4e",
    "b3": "0000000000000abc-0000000000000def-0",
    "end-user": "mallory",
}
"""What another request brings."""

BY_CLIENTS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "grpc-accept-encoding",
        "host",
        "te",
        "transfer-encoding",
        "user-agent",
    }
)
"""What the client libraries send by themselves."""


@dataclass(frozen=True)
class Received:
    """One request as it arrived, each header line of it by itself."""

    method: str
    path: str
    lines: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def relayed(self) -> dict[str, str]:
        """What came beside the library's own headers: names in lower case, one line each."""
        names = [name.lower() for name, _ in self.lines]
        assert sorted(set(names)) == sorted(names)
        return {name: value for name, value in self.headers.items() if name not in BY_CLIENTS}

    @property
    def headers(self) -> dict[str, str]:
        """All headers, names in lower case."""
        return {name.lower(): value for name, value in self.lines}


@dataclass(frozen=True)
class Answer:
    """
    What the server says.

    Attributes:
        status: The status.
        headers: More headers than the necessary ones.
        body: The body.
        lost: Whether the connection is closed, and nothing is said.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    lost: bool = False


def redirect(url: str, status: int = 302) -> Answer:
    """Give an answer that leads elsewhere."""
    return Answer(status, {"Location": url})


class Recorder:
    """
    What a server got, and what it is to say.

    Attributes:
        port: Where it listens.
        nobody: A port where nobody listens.
        received: What came, in order.
        answers: Paths to the answers that are still to be given there; after them, plain ones.
        looked_up: The host names that were connected to, in order.
        unreachable: How many of the next connections are refused.
    """

    def __init__(self, port: int, nobody: int) -> None:
        self.port = port
        self.nobody = nobody
        self.received: list[Received] = []
        self.answers: dict[str, list[Answer]] = {}
        self.looked_up: list[str] = []
        self.unreachable = 0

    @property
    def relayed(self) -> list[dict[str, str]]:
        """What came beside the library's own headers, request by request."""
        return [received.relayed for received in self.received]

    def answer(self, received: Received) -> Answer:
        """Keep a request, and give what is to be said to it."""
        self.received.append(received)
        waiting = self.answers.get(received.path)
        return waiting.pop(0) if waiting else Answer()

    def getaddrinfo(self, host: str, port: object, *_: object, **__: object) -> list[Any]:
        """Look a host name up: in the place of `socket.getaddrinfo`."""
        self.looked_up.append(host)
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        return [(*stream, "", (ANYWHERE, port))]

    def leading_here(self, connect: Callable[[socket.socket, Any], None]) -> Callable[..., None]:
        """Give what is to stand in the place of `socket.socket.connect`."""

        def lead(connecting: socket.socket, address: Any) -> None:  # noqa: ANN401 - each family has its own
            if connecting.family == socket.AF_INET and address[0] != "127.0.0.1":
                port = self.nobody if self.unreachable else self.port
                self.unreachable = max(0, self.unreachable - 1)
                address = ("127.0.0.1", port)
            connect(connecting, address)

        return lead


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """An answer leaves in one piece."""
    server: "_Server"

    def _serve(self) -> None:
        received = Received(
            self.command, self.path, tuple(self.headers.items()), b"".join(self._body())
        )
        answer = self.server.recorder.answer(received)
        if answer.lost:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    recorder: Recorder
    request_queue_size = 128
    """Many connections are made at once."""

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - socketserver's own
        super().__init__(*args)
        self.taken = socket.socket()
        self.taken.bind(("127.0.0.1", 0))

    def recorder_of_a_test(self) -> Recorder:
        """Give a recorder that has received nothing yet."""
        self.recorder = Recorder(self.server_address[1], self.taken.getsockname()[1])
        return self.recorder

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's own
        """Let a client close its connection whenever it likes, and tell of all else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[_Server]:
    """Serve on a free port of loopback."""
    with _Server(("127.0.0.1", 0), _Handler) as server, server.taken:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()

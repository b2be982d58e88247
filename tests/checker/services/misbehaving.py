"""A service in the standard library that does what services should not do, or seldom do."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, variant = int(sys.argv[1]), sys.argv[2]
NAMES = ("x-request-id", "traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 64


class Handler(BaseHTTPRequestHandler):
    """Behaves as it is told."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Misbehave."""
        getattr(self, variant.replace("-", "_"))()

    def call(self, url: str = "http://reviews:9080/reviews/0", **more: str) -> bytes:
        """Call, with what came."""
        copied = {name: self.headers[name] for name in NAMES if self.headers[name]}
        call = urllib.request.Request(url, headers={**copied, **more})  # noqa: S310 - HTTP
        with urllib.request.urlopen(call, timeout=30) as answer:  # noqa: S310 - HTTP
            body: bytes = answer.read()
            return body

    def answer(self, status: int = 200, body: bytes = b"{}") -> None:
        """Answer."""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def calls_nobody(self) -> None:
        """Answer only."""
        self.answer()

    def fails(self) -> None:
        """Call, and answer 500."""
        self.call()
        self.answer(500)

    def hangs(self) -> None:
        """Call, and never answer."""
        self.call()
        threading.Event().wait()

    def hangs_at_once(self) -> None:
        """Neither call nor answer."""
        threading.Event().wait()

    def streams(self) -> None:
        """Call, and never end the answer."""
        self.call()
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 1024)
                time.sleep(0.01)

    def dies(self) -> None:
        """End with the request."""
        sys.stderr.write("out of memory\n")
        os._exit(3)

    def calls_tls(self) -> None:
        """Call plainly, and call by TLS."""
        self.call()
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - nobody is there
        with contextlib.suppress(OSError):
            urllib.request.urlopen("https://api.example.com/", context=context, timeout=5)
        self.answer()

    def asks_a_database(self) -> None:
        """Call, and speak to something that is no HTTP server."""
        self.call()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("database", 5432), timeout=5) as connection,
        ):
            connection.sendall(b"\x00\x00\x00\x08")
            connection.recv(1)
        self.answer()

    def calls_localhost(self) -> None:
        """Call a port of its own machine."""
        with contextlib.suppress(OSError):
            self.call("http://localhost:18080/reviews/0")
        self.answer()

    def calls_an_address(self) -> None:
        """Call by an address, on the port that the service has itself."""
        self.call(f"http://192.0.2.7:{port}/reviews/0")
        self.answer()

    def calls_the_environment(self) -> None:
        """Call where the environment says."""
        self.answer(200, self.call(os.environ["REVIEWS_URL"]))

    def calls_late(self) -> None:
        """Answer first, and call some time after."""
        threading.Timer(0.2, self.call).start()
        self.answer()

    def shows_the_answer(self) -> None:
        """Call, and fail unless the answer is what a script says."""
        self.answer(200 if b"stars" in self.call() else 500)

    def adds_a_line(self) -> None:
        """Call, with one header in two lines."""
        connection = http.client.HTTPConnection("reviews", 9080)
        connection.putrequest("GET", "/reviews/0")
        for name in NAMES:
            if self.headers[name]:
                connection.putheader(name, self.headers[name])
        connection.putheader("x-request-id", self.headers["x-request-id"] or "none")
        connection.endheaders()
        connection.getresponse().read()
        connection.close()
        self.answer()

    def makes_request_ids(self) -> None:
        """Call, with a request id of its own making."""
        self.call(**{"x-request-id": os.urandom(16).hex()})
        self.answer()

    def makes_a_span(self) -> None:
        """Call, with a span of its own as the parent."""
        self.call(**{"x-b3-spanid": os.urandom(8).hex()})
        self.answer()

    def exports_a_span(self) -> None:
        """Do the same, and tell a collector of it by gRPC."""
        with socket.create_connection(("collector", 4317), timeout=5) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            connection.recv(1)
        self.makes_a_span()

    def exits(self) -> None:
        """Answer; the variant is about the start."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


if variant == "exits":
    print("no configuration")  # noqa: T201 - what a service says when it ends
    sys.exit(4)
if variant == "never-listens":
    threading.Event().wait()
if variant == "ignores-the-end":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    variant = "calls-nobody"
if variant == "has-children":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    variant = "calls-nobody"
if variant == "two-ports":
    second = socket.create_server(("127.0.0.1", 0))
    variant = "fails"
Server(("127.0.0.1", port), Handler).serve_forever()

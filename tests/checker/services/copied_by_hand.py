"""Headers copied by hand, in the standard library alone; the faults: what is not on the list."""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, variant = int(sys.argv[1]), sys.argv[2]

B3 = ["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "b3"]
W3C = ["traceparent", "tracestate"]
COPIED = {
    "correct": ["x-request-id", *B3, *W3C],
    "no-request-id": [*B3, *W3C],
    "no-w3c": ["x-request-id", *B3],
    "no-b3": ["x-request-id", *W3C],
    "no-decision": ["x-request-id", *(name for name in B3 if name != "x-b3-sampled"), *W3C],
    "nothing": [],
}[variant]


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 64


class Handler(BaseHTTPRequestHandler):
    """Calls one service for each request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Copy, and call."""
        headers = {name: self.headers[name] for name in COPIED if self.headers[name]}
        call = urllib.request.Request("http://reviews:9080/reviews/0", headers=headers)
        with urllib.request.urlopen(call, timeout=5) as answer:  # noqa: S310 - HTTP it is
            body = answer.read()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Say nothing."""


Server(("127.0.0.1", port), Handler).serve_forever()

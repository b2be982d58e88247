"""
Requests as a server and a client library would make them, and no two of them alike.

Every request has ids of its own, so a cache keyed by a value cannot win; and every name and value
is a new object, so hashing it is part of what is timed, as it is behind a real server.
"""

from __future__ import annotations

import random
from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = (
    "x-request-id",
    "traceparent",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
)
"""The fields that an Envoy with the tracer ``zipkin`` and W3C propagation gives its application."""

_OTHERS = {
    "host": "reviews:9080",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-GB,en;q=0.7,de;q=0.3",
    "accept-encoding": "gzip, deflate, br, zstd",
    "cookie": "session=eyJ1c2VyIjoiamFzb24ifQ",
    "x-forwarded-for": "10.244.0.7",
    "x-forwarded-proto": "http",
    "x-envoy-attempt-count": "1",
    "x-forwarded-client-cert": "By=spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
}


class Traffic:
    """An endless stream of requests; two instances make the same one."""

    def __init__(self) -> None:
        """Start the stream at its first request."""
        self._random = random.Random(16)  # noqa: S311 - ids, no secrets
        self._template = requests.Request("GET", "http://reviews:9080/reviews/0").prepare()

    def head(self) -> dict[str, str]:
        """Make the sixteen headers of one inbound request."""
        trace_id, span_id, parent_id, unique = (
            f"{self._random.getrandbits(bits) | 1:0{bits // 4}x}" for bits in (128, 64, 64, 128)
        )
        request_id = "-".join(
            (unique[:8], unique[8:12], f"9{unique[13:16]}", f"a{unique[17:20]}", unique[20:])
        )
        ids = (request_id, f"00-{trace_id}-{span_id}-01", trace_id, span_id, parent_id, "1")
        return {**_OTHERS, **dict(zip(OURS, ids, strict=True))}

    def scopes(self) -> Iterator[dict[str, Any]]:
        """Yield ASGI scopes, as uvicorn fills them in."""
        while True:
            yield {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "server": ("127.0.0.1", 9080),
                "client": ("127.0.0.1", 40404),
                "scheme": "http",
                "method": "GET",
                "root_path": "",
                "path": "/productpage",
                "raw_path": b"/productpage",
                "query_string": b"u=test",
                "headers": [(name.encode(), value.encode()) for name, value in self.head().items()],
                "state": {},
            }

    def environs(self) -> Iterator[dict[str, Any]]:
        """Yield WSGI environs, as gunicorn fills them in."""
        while True:
            yield {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": "/productpage",
                "QUERY_STRING": "u=test",
                "RAW_URI": "/productpage?u=test",
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "9080",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "SERVER_SOFTWARE": "benchmark",
                "REMOTE_ADDR": "127.0.0.1",
                "REMOTE_PORT": "40404",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": BytesIO(),
                "wsgi.errors": BytesIO(),
                "wsgi.multithread": True,
                "wsgi.multiprocess": True,
                "wsgi.run_once": False,
            } | {
                "HTTP_" + name.upper().replace("-", "_"): value
                for name, value in self.head().items()
            }

    def calls(self) -> Iterator[requests.PreparedRequest]:
        """Yield the prepared requests to send, each to a path of its own."""
        for url in self.urls():
            call = self._template.copy()
            call.url = url
            yield call

    def urls(self) -> Iterator[str]:
        """Yield URLs to call, no two the same."""
        while True:
            yield f"http://reviews:9080/reviews/{self._random.getrandbits(32)}"

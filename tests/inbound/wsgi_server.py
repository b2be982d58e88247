"""A WSGI server in a few lines, as PEP 3333 tells a server to behave."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import setup_testing_defaults

import meshtrace

__all__ = [
    "CAME",
    "OTHER",
    "REVIEWS",
    "Answer",
    "at_hand",
    "close",
    "environ_of",
    "ignore_head",
    "ok",
    "serve",
]

REVIEWS = "http://reviews:9080/reviews/0"
"""A call to a host of the mesh, which may have everything that came."""

CAME = {
    "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
    "traceparent": "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01",
    "tracestate": "vendor=a, other=b",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-spanid": "e457b5a2e4d86bd1",
    "x-b3-sampled": "1",
    "sw8": "1-a-b-3-c-d-e-f",
}
"""The trace headers of a request."""

OTHER = {"x-request-id": "9d9f0b52-8a2e-9f5c-8f0e-6d1c1d6a7b11", "b3": "0"}
"""The trace headers of another request."""


def environ_of(headers: Mapping[str, str] | None = None, **more: object) -> WSGIEnvironment:
    """Make an environ of some headers, and of *more*."""
    environ: WSGIEnvironment = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    for name, value in (headers or {}).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return {**environ, **more}


@dataclass
class Answer:
    """What a client gets."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        """Take the head of the answer, as ``start_response``."""
        assert exc_info or not self.status
        self.status = status
        self.headers = headers
        return self.chunks.append


def serve(app: WSGIApplication, headers: Mapping[str, str] | None = None, **more: object) -> Answer:
    """Serve one request to its end."""
    answer = Answer()
    body = app(environ_of(headers, **more), answer.start)
    try:
        answer.chunks.extend(body)
    finally:
        close(body)
    return answer


def close(body: Iterable[bytes]) -> None:
    """Close what an application returned, if it can be closed."""
    getattr(body, "close", int)()


def ok(start_response: StartResponse) -> Callable[[bytes], object]:
    """Answer 200."""
    return start_response("200 OK", [("Content-Type", "text/plain")])


def ignore_head(
    _status: str, _headers: list[tuple[str, str]], _exc_info: object = None, /
) -> Callable[[bytes], object]:
    """Be a ``start_response`` for tests that do not look at the head."""
    return len


def at_hand() -> dict[str, str]:
    """Give what a call to a host of the mesh would have now."""
    return meshtrace.headers(REVIEWS)

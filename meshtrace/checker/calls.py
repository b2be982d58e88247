"""What was caught: calls, what could not be read, and what was noted inside the service."""

import gzip
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Note", "Unseen"]

_TELEMETRY_PATHS = re.compile(
    r"/v1/(traces|metrics|logs)|/api/v[12]/spans|/api/traces|/v0\.\d/(traces|stats)|/telemetry/.*"
    r"|/intake/v2/.*|/api/\d+/envelope/?|/v3/segments?"
).fullmatch

_variable = re.compile(r"(?<=/)(?:\d+|[0-9a-fA-F-]{8,})(?=/|$)")

_most_of_a_body = 1 << 22


@dataclass(frozen=True)
class Note:
    """
    What was seen inside a Python service when it sent a request.

    Attributes:
        frames: The service's own frames, ``file:line in function``, the innermost first.
        client: The library that was called from there; empty when it is not known.
        thread: The thread's name.
        root: What the thread runs: ``executor``, ``thread`` or ``main``.
        inside: Whether a middleware of meshtrace is on the stack.
        context: Whether meshtrace had a request's context there; None when it is not loaded.
        facts: What is loaded in the process; see the interpreter's ``watch``.
    """

    frames: tuple[str, ...] = ()
    client: str = ""
    thread: str = ""
    root: str = "main"
    inside: bool = False
    context: bool | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Call:
    """
    One outbound HTTP call.

    Attributes:
        method: As it came.
        host: The host that was meant, as the service knows it.
        port: Its port.
        path: Path and query.
        headers: As they came, in order.
        body: What was sent.
        window: What was going on when it came: which probe, or which probes.
        line: Tells the connection, so that a note can find its call: the service's own port, and
            how many requests were on it before.
        note: What was seen inside the service.
    """

    method: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    window: int = -1
    line: tuple[int, int] = (0, 0)
    note: Note | None = None

    def header(self, name: str) -> str:
        """
        Give the first value of a header, or an empty text.

        >>> Call("GET", "reviews", 80, "/", (("Accept", "*/*"),)).header("accept")
        '*/*'
        """
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def url(self) -> str:
        """
        Where it goes, without the query.

        >>> Call("GET", "reviews", 9080, "/reviews/0?all=1", ()).url
        'http://reviews:9080/reviews/0'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == 80 else f":{self.port}"  # noqa: PLR2004 - HTTP's own
        return f"http://{host}{port}{self.path.partition('?')[0]}"

    @property
    def place(self) -> str:
        """
        Method and address, with ``*`` for what looks like an id.

        >>> Call("GET", "reviews", 80, "/reviews/7/stars", ()).place
        'GET http://reviews/reviews/*/stars'
        """
        return f"{self.method} {_variable.sub('*', self.url)}"

    @property
    def line_of_code(self) -> str:
        """The line that makes it, ``file:line in function``; empty when it is not known."""
        return self.note.frames[0] if self.note is not None and self.note.frames else ""

    @property
    def is_telemetry(self) -> bool:
        """
        Whether it brings spans or metrics to a collector: it is made for no request.

        >>> Call("POST", "collector", 4318, "/v1/traces", ()).is_telemetry
        True
        """
        path = self.path.partition("?")[0]
        return self.method in {"POST", "PUT"} and bool(_TELEMETRY_PATHS(path))

    def text(self) -> bytes:
        """Give the body, unpacked where it was packed."""
        if self.header("content-encoding") != "gzip":
            return self.body
        try:
            return gzip.decompress(self.body)[:_most_of_a_body]
        except (OSError, EOFError, zlib.error):
            return b""

    def names_span(self, span_id: str) -> bool:
        """
        Tell whether an exporter's body has a span in it.

        OTLP's protobuf holds the bytes of the id, JSON its digits (Zipkin) or their base 64 never:
        OTLP's JSON has digits too.

        Args:
            span_id: 16 hex digits.
        """
        body = self.text()
        return bytes.fromhex(span_id) in body or span_id.encode() in body.lower()


@dataclass(frozen=True)
class Unseen:
    """
    A connection whose headers cannot be read.

    Attributes:
        kind: ``tls``, ``http2`` or ``other``.
        host: The host that was meant.
        port: Its port.
        passed_on: Whether it was led to where it was going.
    """

    kind: str
    host: str
    port: int
    passed_on: bool = False

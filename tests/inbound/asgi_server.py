"""An ASGI server in a few lines, as the specification tells a server to behave."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import meshtrace
from meshtrace.inbound.asgi import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "CAME",
    "OTHER",
    "REVIEWS",
    "Recorder",
    "http",
    "pairs",
    "receive",
    "respond",
    "send_nowhere",
    "serve",
    "websocket",
]

REVIEWS = "http://reviews:9080/reviews/0"
"""A call to a host of the mesh, which may have everything that came."""

CAME = {
    "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-spanid": "e457b5a2e4d86bd1",
    "x-b3-sampled": "1",
    "sw8": "1-a-b-3-c-d-e-f",
}
"""The trace headers of a request."""

OTHER = {"x-request-id": "9d9f0b52-8a2e-9f5c-8f0e-6d1c1d6a7b11", "b3": "0"}
"""The trace headers of another request."""


def pairs(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Spell headers as ASGI does."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def http(headers: Mapping[str, str] | None = None, **more: object) -> Scope:
    """Make the scope of a request."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop"), *pairs(headers or {})],
    }
    return {**scope, **more}


def websocket(headers: Mapping[str, str] | None = None) -> Scope:
    """Make the scope of a websocket."""
    return http(headers, type="websocket", scheme="ws", subprotocols=[])


async def receive() -> Message:
    """Receive all of a request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send_nowhere(_message: Message) -> None:
    """Take a message, and forget it."""


async def respond(send: Send, headers: object = ()) -> None:
    """Send an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"served"})


def serve(app: ASGIApp, scope: Scope) -> list[Message]:
    """Serve one scope, and give what the application sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_served(app, scope, send))
    return sent


async def _served(app: ASGIApp, scope: Scope, send: Send) -> None:
    await app(scope, receive, send)


class Recorder:
    """
    An application that answers, and notes what it is called with and which context it finds.

    Args:
        headers: The headers of its answer.
    """

    def __init__(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.headers = headers
        self.calls: list[tuple[Any, ...]] = []
        self.seen: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        self.calls.append((scope, receive, send))
        self.seen.append(meshtrace.headers(REVIEWS))
        await respond(send, self.headers)

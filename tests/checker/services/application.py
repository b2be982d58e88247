"""An ASGI application that carries nothing, and needs no library."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


def _call() -> bytes:
    with urllib.request.urlopen("http://reviews/reviews/0", timeout=5) as answer:
        body: bytes = answer.read()
        return body


async def app(
    scope: Message,
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Call a service, and answer with what it says."""
    if scope["type"] != "http":
        raise RuntimeError("no such thing")
    body = await asyncio.to_thread(_call)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

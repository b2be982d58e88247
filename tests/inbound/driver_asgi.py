"""ASGI, in one event loop whose tasks share their context, as those of some servers do."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import meshtrace
from meshtrace import MeshTrace
from meshtrace.inbound.asgi import ASGIApp, Message, Receive, Scope, Send
from tests.inbound.asgi_server import http
from tests.inbound.driving import PARTS, REVIEWS, Answer, Driver, Lines, report

__all__ = ["DRIVERS", "serve"]


async def serve(app: ASGIApp, path: str, lines: Lines) -> Answer:
    """Serve one request to its end, as a server does."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    sent: list[Message] = []
    rest = asyncio.Event()
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await rest.wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app({**http(path=path), "headers": headers}, receive, send)
    except ZeroDivisionError:
        return Answer.of(500)
    start, *bodies = sent
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer.of(start["status"], pairs, b"".join(body.get("body", b"") for body in bodies))


class Plain(Driver):
    """An application that is ASGI and nothing more."""

    name = "ASGI"

    def open(self, stack: ExitStack) -> None:
        """Make the application, and the event loop."""
        self.app: ASGIApp = self._app
        for _ in range(1 + self.nested):
            self.app = MeshTrace(self.app, **self.options)
        self._runner = stack.enter_context(asyncio.Runner())

    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask in the loop, in the context of the last request."""
        return self._runner.run(serve(self.app, path, lines))

    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask in tasks."""

        async def together() -> list[Answer]:
            return await asyncio.gather(*(serve(self.app, path, lines) for lines in brought))

        return self._runner.run(together())

    def outside(self) -> dict[str, str]:
        """Look in the context of the last request."""

        async def look() -> dict[str, str]:
            return meshtrace.headers(REVIEWS)

        return self._runner.run(look())

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        path = scope["path"]
        if path == "/error":
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if path == "/stream":
            for _ in range(PARTS):
                await _send_report(send)
                await asyncio.sleep(0)
        elif path == "/use":
            with meshtrace.detached(), meshtrace.use(scope):
                await _send_report(send)
        else:
            if path == "/user":
                meshtrace.set_header("end-user", "alice")
            await _send_report(send)
        if path == "/meet":
            await self.meeting.wait_async()
            await _send_report(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_report(send: Send) -> None:
    await send({"type": "http.response.body", "body": report().encode(), "more_body": True})


DRIVERS: tuple[type[Any], ...] = (Plain,)

"""An application that says which context it finds: meshtrace's, and a careless middleware's."""

import json
from contextvars import ContextVar

import meshtrace
from meshtrace.inbound.asgi import ASGIApp, MeshTrace, Receive, Scope, Send

CARELESS: ContextVar[str | None] = ContextVar("careless", default=None)


class SetIfPresent:
    """What is easily written by hand: set when the header came, and reset at the end."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request_id = dict(scope["headers"]).get(b"x-request-id")
        if request_id is None:
            await self.app(scope, receive, send)
            return
        token = CARELESS.set(request_id.decode())
        try:
            await self.app(scope, receive, send)
        finally:
            CARELESS.reset(token)


async def tell(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole request, and answer with both contexts."""
    while (await receive()).get("more_body"):
        pass
    told = {
        "careless": CARELESS.get(),
        "current": meshtrace.current().request_id,
        "headers": meshtrace.headers("http://reviews:9080/"),
    }
    body = json.dumps(told).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


app = SetIfPresent(MeshTrace(tell))

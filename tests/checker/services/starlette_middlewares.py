"""Starlette with meshtrace and another middleware that calls; the fault: that one is outermost."""

import sys

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import meshtrace

port, variant = int(sys.argv[1]), sys.argv[2]
client = httpx.AsyncClient(trust_env=False)


class Login:
    """Asks another service who is calling."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, and go on."""
        if scope["type"] == "http":
            await call("http://users:8080/me")
        await self.app(scope, receive, send)


async def call(url: str) -> None:
    """Call a service, with a client that meshtrace is not told of."""
    await client.get(url, headers=meshtrace.headers(url))


async def product(_request: Request) -> PlainTextResponse:
    """Call a service."""
    await call("http://reviews:9080/reviews/0")
    return PlainTextResponse("")


middlewares = [Middleware(Login), Middleware(meshtrace.MeshTrace)]
if variant == "correct":
    middlewares.reverse()
app = Starlette(routes=[Route("/product", product)], middleware=middlewares)
uvicorn.run(app, port=port, log_level="warning", loop="asyncio")

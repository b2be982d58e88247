"""Ratings on a bad day: the first two attempts of every call are answered with 503."""

from __future__ import annotations

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.bookinfo.ratings.app import app as ratings
from examples.bookinfo.service import listening_socket

GOOD_ATTEMPT = 3


def flaky(app: ASGIApp) -> ASGIApp:
    """Let *app* answer the third attempt only; Envoy counts them in x-envoy-attempt-count."""

    async def unwilling(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health":
            attempt = int(Request(scope).headers["x-envoy-attempt-count"])
            if attempt < GOOD_ATTEMPT:
                refusal: Response = JSONResponse({"error": "not today"}, status_code=503)
                await refusal(scope, receive, send)
                return
        await app(scope, receive, send)

    return unwilling


if __name__ == "__main__":
    config = uvicorn.Config(flaky(ratings), log_level="warning")
    uvicorn.Server(config).run(sockets=[listening_socket()])

"""Starlette with meshtrace and an executor; the fault: the context does not follow into it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import requests
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import meshtrace

port, variant = int(sys.argv[1]), sys.argv[2]
pool = ThreadPoolExecutor(4)


def fetch() -> str:
    """Call a service."""
    return requests.get("http://reviews:9080/reviews/0", timeout=5).text


def product(_request: Request) -> PlainTextResponse:
    """Have somebody else call."""
    function = meshtrace.carry(fetch) if variant == "correct" else fetch
    return PlainTextResponse(pool.submit(function).result())


app = Starlette(routes=[Route("/product", product)])
app.add_middleware(meshtrace.MeshTrace)
meshtrace.patch("requests")
uvicorn.run(app, port=port, log_level="warning")

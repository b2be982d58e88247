"""Flask, with the headers kept for the calls; the fault: in a global of the module."""

import contextvars
import sys

import requests
from flask import Flask, request

port, variant = int(sys.argv[1]), sys.argv[2]
COPIED = (
    *("x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid"),
    *("x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
)

kept: dict[str, str] = {}
context: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("context")
app = Flask(__name__)


@app.before_request
def keep() -> None:
    """Keep what came."""
    global kept  # noqa: PLW0603 - that is the fault
    kept = {name: request.headers[name] for name in COPIED if request.headers.get(name)}
    context.set(kept)


def call(url: str) -> str:
    """Call a service."""
    headers = context.get() if variant == "correct" else kept
    return requests.get(url, headers=headers, timeout=5).text


@app.get("/product")
def product() -> str:
    """Call two services, one after the other."""
    call("http://reviews:9080/reviews/0")
    return call("http://details:9080/details/0")


app.run("127.0.0.1", port)

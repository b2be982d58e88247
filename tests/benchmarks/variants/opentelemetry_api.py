"""OpenTelemetry's instrumentations without an SDK: no span, the context that came goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as ASGIMiddleware
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WSGIMiddleware
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from starlette.types import ASGIApp


def install() -> None:
    """Read and write W3C and B3, and instrument requests."""
    set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), B3MultiFormat()]))
    RequestsInstrumentor().instrument()


def asgi(app: ASGIApp) -> ASGIApp:
    """Put the instrumentation around *app*."""
    return ASGIMiddleware(app)


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Put the instrumentation around *app*."""
    return WSGIMiddleware(app)


def session() -> requests.Session:
    """Make a session; the instrumentation has replaced its `send`."""
    return requests.Session()

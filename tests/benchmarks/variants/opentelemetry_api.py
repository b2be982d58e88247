"""OpenTelemetry's instrumentations without an SDK: no span, the context that came goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as ASGIMiddleware
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as WSGIMiddleware
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.benchmarks.variants import bare
from tests.benchmarks.variants.bare import aiohttp_session, headers, pool_manager, session

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    import httpx
    from starlette.types import ASGIApp

__all__ = [
    "aiohttp_session",
    "asgi",
    "headers",
    "httpx_client",
    "install",
    "pool_manager",
    "session",
    "wsgi",
]


def install() -> None:
    """Read and write W3C and B3, and instrument the clients."""
    set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), B3MultiFormat()]))
    for instrumentor in (RequestsInstrumentor, AioHttpClientInstrumentor, URLLib3Instrumentor):
        instrumentor().instrument()


def asgi(app: ASGIApp) -> ASGIApp:
    """Put the instrumentation around *app*."""
    return ASGIMiddleware(app)


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Put the instrumentation around *app*."""
    return WSGIMiddleware(app)


def httpx_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make a client and instrument it: for all clients only httpx's own transport would be."""
    client = bare.httpx_client(transport)
    HTTPXClientInstrumentor.instrument_client(client)
    return client

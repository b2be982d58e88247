"""OpenTelemetry's instrumentations with its SDK: own spans, exported to nowhere in batches."""

from __future__ import annotations

from tests.benchmarks.variants import exporter, opentelemetry_api
from tests.benchmarks.variants.opentelemetry_api import (
    aiohttp_session,
    asgi,
    headers,
    httpx_client,
    pool_manager,
    session,
    wsgi,
)

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
    """Make real spans, then do as without an SDK."""
    exporter.set_provider()
    opentelemetry_api.install()

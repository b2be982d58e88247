"""meshtrace with spans on: on the SDK and the processor that OpenTelemetry's have here, too."""

from __future__ import annotations

import meshtrace
from tests.benchmarks.variants import exporter, meshtrace_patch
from tests.benchmarks.variants.meshtrace_patch import (
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
    """Make real spans, and patch the clients."""
    exporter.set_provider()
    meshtrace.configure(spans=True)
    meshtrace_patch.install()

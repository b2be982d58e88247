"""meshtrace, with every client of the four libraries patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshtrace
from tests.benchmarks.variants.bare import (
    aiohttp_session,
    headers,
    httpx_client,
    pool_manager,
    session,
)

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

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
    """Patch the four."""
    meshtrace.patch("requests", "httpx", "aiohttp", "urllib3")


def asgi(app: ASGIApp) -> ASGIApp:
    """Put the middleware around *app*."""
    return meshtrace.MeshTrace(app)


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Put the middleware around *app*."""
    return meshtrace.MeshTraceWSGI(app)

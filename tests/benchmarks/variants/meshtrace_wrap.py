"""meshtrace, with each client wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import meshtrace
from tests.benchmarks.variants import bare
from tests.benchmarks.variants.bare import headers
from tests.benchmarks.variants.meshtrace_patch import asgi, wsgi

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import requests
    import urllib3

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
    """Set nothing up: each client is wrapped by itself."""


def session() -> requests.Session:
    """Make a session of requests and wrap it."""
    return meshtrace.wrap(bare.session())


def httpx_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make a client of httpx and wrap it."""
    return meshtrace.wrap(bare.httpx_client(transport))


def aiohttp_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Make a session of aiohttp and wrap it."""
    return meshtrace.wrap(bare.aiohttp_session(connector))


def pool_manager() -> urllib3.PoolManager:
    """Make a manager of urllib3 and wrap it."""
    return meshtrace.wrap(bare.pool_manager())

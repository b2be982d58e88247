"""No propagation at all: what every other variant is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import httpx
import requests
import urllib3

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from starlette.types import ASGIApp


def install() -> None:
    """Set nothing up."""


def asgi(app: ASGIApp) -> ASGIApp:
    """Leave the application as it is."""
    return app


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Leave the application as it is."""
    return app


def session() -> requests.Session:
    """Make a session of requests' own."""
    return requests.Session()


def httpx_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """Make a client of httpx's own."""
    return httpx.AsyncClient(transport=transport)


def aiohttp_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Make a session of aiohttp's own."""
    return aiohttp.ClientSession(connector=connector)


def pool_manager() -> urllib3.PoolManager:
    """Make a manager of urllib3's own."""
    return urllib3.PoolManager()


def headers() -> None:
    """Give no headers to a call."""

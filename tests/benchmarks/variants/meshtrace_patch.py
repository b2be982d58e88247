"""meshtrace, with every session of requests patched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

import meshtrace

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from starlette.types import ASGIApp


def install() -> None:
    """Patch requests."""
    meshtrace.patch("requests")


def asgi(app: ASGIApp) -> ASGIApp:
    """Put the middleware around *app*."""
    return meshtrace.MeshTrace(app)


def wsgi(app: WSGIApplication) -> WSGIApplication:
    """Put the middleware around *app*."""
    return meshtrace.MeshTraceWSGI(app)


def session() -> requests.Session:
    """Make a plain session."""
    return requests.Session()

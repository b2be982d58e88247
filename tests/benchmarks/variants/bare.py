"""No propagation at all: what every other variant is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

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

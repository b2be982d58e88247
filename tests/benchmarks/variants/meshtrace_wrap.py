"""meshtrace, with one session wrapped."""

from __future__ import annotations

import requests

import meshtrace
from tests.benchmarks.variants.meshtrace_patch import asgi, wsgi

__all__ = ["asgi", "install", "session", "wsgi"]


def install() -> None:
    """Set nothing up: the session is wrapped by itself."""


def session() -> requests.Session:
    """Make a session and wrap it."""
    return meshtrace.wrap(requests.Session())

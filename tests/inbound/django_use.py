"""What the tests of Django's room ask with."""

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest
from opentelemetry import trace

import meshtrace
from tests.inbound.django_site import under_asgi, under_wsgi
from tests.inbound.driving import Answer

__all__ = [
    "CAME",
    "LINES",
    "REVIEWS",
    "SPAN",
    "UNDER",
    "USER",
    "Found",
    "Serve",
    "View",
    "seen",
    "span",
]

REVIEWS = "http://reviews:9080/reviews/0"
CAME = {"x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e", "b3": "0"}
USER = {**CAME, "end-user": "jason"}
SPAN = {"b3": "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1"}
LINES = list(USER.items())

Found = list[dict[str, str]]
View = Callable[[HttpRequest], Any]
UNDER = pytest.mark.parametrize("serve", [under_wsgi, under_asgi], ids=["WSGI", "ASGI"])
Serve = Callable[..., Answer]


def seen() -> dict[str, str]:
    """Give what a call to a host of the mesh would have now."""
    return meshtrace.headers(REVIEWS)


def span() -> str:
    """Give the id of OpenTelemetry's current span."""
    return f"{trace.get_current_span().get_span_context().span_id:016x}"

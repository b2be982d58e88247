"""The services behind the page, asked with plain requests: meshtrace does not show here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

DETAILS_URL = os.environ.get("DETAILS_URL", "http://details:9080")
REVIEWS_URL = os.environ.get("REVIEWS_URL", "http://reviews:9080")
RATINGS_URL = os.environ.get("RATINGS_URL", "http://ratings:9080")


@dataclass(frozen=True)
class Answer:
    """What a service said, or why it said nothing."""

    status: int
    content: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether there is something to show."""
        return self.status == HTTPStatus.OK


def details(product: int) -> Answer:
    """Ask for the facts about a book."""
    return _ask(f"{DETAILS_URL}/details/{product}")


def reviews(product: int) -> Answer:
    """Ask for the reviews of a book."""
    return _ask(f"{REVIEWS_URL}/reviews/{product}")


def ratings(product: int) -> Answer:
    """Ask for the stars of a book."""
    return _ask(f"{RATINGS_URL}/ratings/{product}")


def _ask(url: str) -> Answer:
    try:
        response = requests.get(url, timeout=10)
        return Answer(response.status_code, response.json())
    except requests.RequestException as error:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})

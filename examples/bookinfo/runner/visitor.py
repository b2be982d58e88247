"""Somebody who looks at the bookshop from outside, and notes what can be seen from there."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Self

import requests

from examples.bookinfo.runner.spans import Span


@dataclass(frozen=True)
class Visit:
    """
    One request to the bookshop.

    Args:
        request: Method and path.
        user: Who was signed in.
        status: The status of the response.
        reviews: The workload that the page names as the author of its reviews.
        sent: When, in microseconds since 1970; *answered* likewise.
    """

    request: str
    user: str | None
    status: int
    reviews: str | None
    sent: int
    answered: int

    def saw(self, span: Span) -> bool:
        """Whether *span* began while this was going on; a visitor makes one visit at a time."""
        return self.sent <= span.start <= self.answered


class Visitor:
    """A browser with its cookies, at the gateway's *address*."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._user: str | None = None
        self._browser = requests.Session()
        # Outside the mesh, and behind no proxy.
        self._browser.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._browser.close()

    def look(self) -> Visit:
        """Look at the page."""
        return self._visit("GET", "/productpage")

    def sign_in(self, user: str) -> Visit:
        """Say who is looking from now on."""
        visit = self._visit("POST", "/login", username=user)
        self._user = user
        return visit

    def _visit(self, method: str, path: str, **form: str) -> Visit:
        sent = time.time_ns() // 1000
        response = self._browser.request(
            method, self._address + path, data=form, allow_redirects=False, timeout=30
        )
        answered = time.time_ns() // 1000
        reviews = served_by(response.text)
        return Visit(f"{method} {path}", self._user, response.status_code, reviews, sent, answered)


def served_by(page: str) -> str | None:
    """Return which workload wrote the reviews on a product page."""
    found = re.search(r'id="reviews-served-by">([^<]+)<', page)
    return found[1] if found else None

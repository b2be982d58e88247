"""
A Starlette application that calls another service with requests.

Its version comes from ``VERSION``: v1 shows no stars and calls nobody, v2 and v3 ask ratings for
theirs and show them in black and in red.
"""

from __future__ import annotations

import os
from typing import Any

import requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import meshtrace
from examples.bookinfo.service import logger

VERSION = os.environ.get("VERSION", "v1")
RATINGS_URL = os.environ.get("RATINGS_URL", "http://ratings:9080")
STAR_COLOUR = {"v2": "black", "v3": "red"}

log = logger(f"reviews-{VERSION}")

# One session for every request and every thread: what it sends depends on who is asking.
session = meshtrace.wrap(requests.Session())

REVIEWS = [
    {
        "reviewer": "Reviewer1",
        "text": "Two pairs of twins, one town, and not a quiet minute. I laughed from the first "
        "mistaken bow to the last.",
    },
    {
        "reviewer": "Reviewer2",
        "text": "Silly, fast and over before supper. Good fun, though the later plays go deeper.",
    },
]


def reviews(request: Request) -> JSONResponse:
    """Answer with the reviews of a book, and with its stars where this version has any."""
    log.info("%s %s", request.method, request.url.path)
    book = request.path_params["book"]
    found: list[dict[str, Any]] = [dict(review) for review in REVIEWS]
    if VERSION in STAR_COLOUR:
        stars = _stars(book)
        for review in found:
            review["rating"] = _rating(stars, review["reviewer"])
    return JSONResponse({"id": book, "podname": f"reviews-{VERSION}", "reviews": found})


def _stars(book: int) -> dict[str, int] | None:
    try:
        response = session.get(f"{RATINGS_URL}/ratings/{book}", timeout=10)
        response.raise_for_status()
    except requests.RequestException as error:
        log.warning("no ratings: %s", error)
        return None
    stars: dict[str, int] = response.json()["ratings"]
    return stars


def _rating(stars: dict[str, int] | None, reviewer: str) -> dict[str, object]:
    if stars is None:
        return {"error": "Ratings are not to be had just now"}
    return {"stars": stars[reviewer], "color": STAR_COLOUR[VERSION]}


def health(_request: Request) -> JSONResponse:
    """Give a sign of life."""
    return JSONResponse({"status": "reviews is healthy"})


app = Starlette(
    routes=[Route("/reviews/{book:int}", reviews), Route("/health", health)],
    middleware=[Middleware(meshtrace.MeshTrace)],
)

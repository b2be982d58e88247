"""A WSGI application as small as they come, with meshtrace around it for the ids in its log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from examples.bookinfo.service import logger
from meshtrace import MeshTraceWSGI

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logger("details")

BOOK = {
    "id": 0,
    "author": "William Shakespeare",
    "year": 1595,
    "type": "paperback",
    "pages": 200,
    "publisher": "Quarto Press",
    "language": "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
}


def details(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer ``GET /details/0`` with the book, ``GET /health`` with a sign of life."""
    path = environ["PATH_INFO"]
    if path == "/health":
        return _answer(start_response, "200 OK", {"status": "details is healthy"})
    log.info("%s %s", environ["REQUEST_METHOD"], path)
    if path != "/details/0":
        return _answer(start_response, "404 Not Found", {"error": "no such book"})
    return _answer(start_response, "200 OK", BOOK)


def _answer(start_response: StartResponse, status: str, value: object) -> list[bytes]:
    body = json.dumps(value).encode()
    start_response(
        status,
        [("content-type", "application/json"), ("content-length", str(len(body)))],
    )
    return [body]


app = MeshTraceWSGI(details)

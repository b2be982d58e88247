"""A Starlette application over a real SQLite file, which it fills when it starts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import meshtrace
from examples.bookinfo.service import logger

DATABASE = os.environ.get("RATINGS_DB", "ratings.sqlite")

log = logger("ratings")


def create_database() -> None:
    """Create the table of stars, unless an earlier start did."""
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS ratings "
            "(book INTEGER, reviewer TEXT, stars INTEGER, PRIMARY KEY (book, reviewer))"
        )
        database.executemany(
            "INSERT OR IGNORE INTO ratings VALUES (?, ?, ?)",
            [(0, "Reviewer1", 5), (0, "Reviewer2", 4)],
        )


def ratings(request: Request) -> JSONResponse:
    """Answer with the stars that each reviewer gave a book."""
    log.info("%s %s", request.method, request.url.path)
    book = request.path_params["book"]
    with closing(sqlite3.connect(DATABASE)) as database:
        stars = database.execute("SELECT reviewer, stars FROM ratings WHERE book = ?", (book,))
        return JSONResponse({"id": book, "ratings": dict(stars.fetchall())})


def health(_request: Request) -> JSONResponse:
    """Give a sign of life."""
    return JSONResponse({"status": "ratings is healthy"})


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Have the database ready before the first request."""
    create_database()
    yield


app = Starlette(
    routes=[Route("/ratings/{book:int}", ratings), Route("/health", health)],
    middleware=[Middleware(meshtrace.MeshTrace)],
    lifespan=lifespan,
)

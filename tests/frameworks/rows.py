"""What is run: each framework under each of its servers."""

from dataclasses import dataclass
from importlib.metadata import version

__all__ = ["PLACES", "ROWS", "Row"]

PLACES = {
    "sync": "a view",
    "async": "an asynchronous view",
    "depends-sync": "a dependency",
    "depends-async": "an asynchronous dependency",
    "stream": "a streamed body",
    "stream-sync": "a synchronous streamed body",
    "stream-async": "an asynchronous streamed body",
    "background": "a background task",
    "background-sync": "a synchronous background task",
    "wrong": "an exception handler",
    "crash": "the handler of errors 500",
    "middleware": "a middleware",
    "mounted/sync": "a view that is mounted, or of a blueprint",
    "mounted/async": "an asynchronous view that is mounted, or of a router",
}
"""The places in an application from which calls are made, by their paths."""

STARLETTE = (
    *("sync", "async", "stream", "stream-sync", "background", "background-sync"),
    *("wrong", "crash", "middleware", "mounted/sync", "mounted/async"),
)
FASTAPI = (
    *("sync", "async", "depends-sync", "depends-async", "stream", "background"),
    *("wrong", "mounted/async"),
)
FLASK = ("sync", "async", "stream", "wrong", "crash", "mounted/sync")
DJANGO = (
    *("sync", "async", "stream", "stream-async", "wrong", "crash"),
    *("middleware", "mounted/sync"),
)


@dataclass(frozen=True)
class Row:
    """
    One framework under one server.

    Attributes:
        framework: Its distribution.
        app: Where the application is, below ``apps``.
        server: Its distribution, and how it is started.
        options: More arguments for the server.
        kind: What distinguishes this way of running it.
        calls: The places from which the application calls.
        first_tier: Whether it has to work.
    """

    framework: str
    app: str
    server: str
    options: tuple[str, ...]
    kind: str
    calls: tuple[str, ...]
    first_tier: bool = True

    def __str__(self) -> str:
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.framework} under {self.server}{kind}"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table; a test that fails keeps it from being true."""
        return (
            f"{self.framework} {version(self.framework)}",
            " ".join(filter(None, (f"{self.server} {version(self.server)}", self.kind))),
            f"{len(self.calls)} of {len(self.calls)}",
        )


def _uvicorn(loop: str, http: str) -> tuple[tuple[str, ...], str]:
    return (f"--loop={loop}", f"--http={http}"), f"{loop}, {http}"


def _gunicorn(worker: str) -> tuple[tuple[str, ...], str]:
    return (f"--worker-class={worker}",), worker


ROWS = (
    *(
        Row("starlette", "starlette_app:app", "uvicorn", *_uvicorn(loop, http), STARLETTE)
        for loop in ("asyncio", "uvloop")
        for http in ("h11", "httptools")
    ),
    Row(
        "starlette",
        "starlette_app:app",
        "gunicorn",
        *_gunicorn("uvicorn_worker.UvicornWorker"),
        STARLETTE,
    ),
    Row("fastapi", "fastapi_app:app", "uvicorn", *_uvicorn("uvloop", "httptools"), FASTAPI),
    Row(
        "fastapi",
        "fastapi_app:app",
        "gunicorn",
        *_gunicorn("uvicorn_worker.UvicornWorker"),
        FASTAPI,
    ),
    *(
        Row("flask", "flask_app:app", "gunicorn", *_gunicorn(worker), FLASK)
        for worker in ("sync", "gthread", "gevent")
    ),
    Row("flask", "flask_app:app", "waitress", (), "", FLASK),
    Row("flask", "flask_app:app", "pyuwsgi", (), "", FLASK),
    Row("django", "django_app:asgi", "uvicorn", *_uvicorn("uvloop", "httptools"), DJANGO),
    *(
        Row("django", "django_app:wsgi", "gunicorn", *_gunicorn(worker), DJANGO)
        for worker in ("sync", "gthread", "gevent")
    ),
    Row("django", "django_app:wsgi", "waitress", (), "", DJANGO),
    Row("django", "django_app:wsgi", "pyuwsgi", (), "", DJANGO),
    Row("starlette", "starlette_app:app", "hypercorn", (), "", STARLETTE, first_tier=False),
    Row(
        "starlette",
        "starlette_app:app",
        "granian",
        ("--interface=asgi",),
        "asgi",
        STARLETTE,
        first_tier=False,
    ),
    Row(
        "flask", "flask_app:app", "granian", ("--interface=wsgi",), "wsgi", FLASK, first_tier=False
    ),
    Row(
        "litestar",
        "litestar_app:app",
        "uvicorn",
        *_uvicorn("uvloop", "httptools"),
        ("sync", "async", "stream", "wrong", "mounted/async"),
        first_tier=False,
    ),
    Row(
        "quart",
        "quart_app:app",
        "hypercorn",
        (),
        "",
        ("sync", "async", "stream", "wrong", "mounted/async"),
        first_tier=False,
    ),
    Row(
        "falcon",
        "falcon_app:wsgi",
        "waitress",
        (),
        "",
        ("sync", "stream", "wrong"),
        first_tier=False,
    ),
    Row(
        "falcon",
        "falcon_app:asgi",
        "uvicorn",
        *_uvicorn("uvloop", "httptools"),
        ("async", "stream", "wrong"),
        first_tier=False,
    ),
    Row(
        "bottle",
        "bottle_app:app",
        "waitress",
        (),
        "",
        ("sync", "stream", "crash", "mounted/sync"),
        first_tier=False,
    ),
    Row(
        "pyramid",
        "pyramid_app:app",
        "waitress",
        (),
        "",
        ("sync", "stream", "wrong"),
        first_tier=False,
    ),
)

"""An application that answers in every way WSGI has, and says what is at hand while it does."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import meshtrace

THIS = Path(__file__)
_closings: list[dict[str, object]] = []


def _told() -> dict[str, object]:
    return {
        "at hand": meshtrace.headers("http://reviews:9080/"),
        "thread": threading.get_ident(),
    }


def _line() -> bytes:
    return json.dumps(_told()).encode() + b"\n"


def _whole(start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    return [_line()]


def _stream(start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    for _ in range(3):
        yield _line()


def _write(start_response: StartResponse) -> list[bytes]:
    write = start_response("200 OK", [])
    for _ in range(2):
        write(_line())
    return []


class _Sized:
    """One line, made when it is asked for."""

    def __iter__(self) -> Iterator[bytes]:
        yield _line()

    def __len__(self) -> int:
        return 1


def _sized(start_response: StartResponse) -> _Sized:
    start_response("200 OK", [])
    return _Sized()


class _Endless:
    """More than a client wants, in chunks that soon fill what a server keeps."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield _line().ljust(1_000_000)

    def close(self) -> None:
        """Note what is at hand at the end."""
        _closings.append(_told())


def _endless(start_response: StartResponse) -> _Endless:
    start_response("200 OK", [])
    return _Endless()


def _closed(start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    return [json.dumps(closing).encode() + b"\n" for closing in _closings]


_ANSWERS: dict[str, Callable[[StartResponse], Iterable[bytes]]] = {
    "/whole": _whole,
    "/stream": _stream,
    "/write": _write,
    "/sized": _sized,
    "/endless": _endless,
    "/closed": _closed,
}


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one request, without meshtrace."""
    path = environ["PATH_INFO"].removeprefix("/bare")
    if path == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        file: Iterable[bytes] = environ["wsgi.file_wrapper"](THIS.open("rb"))
        return file
    return _ANSWERS[path](start_response)


# Asked for once before the first request, headers() counts as a client that is ready.
meshtrace.headers()
_ours = meshtrace.MeshTraceWSGI(bare)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Serve one request; with meshtrace unless its path says otherwise."""
    serve = bare if environ["PATH_INFO"].startswith("/bare/") else _ours
    return serve(environ, start_response)

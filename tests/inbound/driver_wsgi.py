"""WSGI, in one thread as PEP 3333 has it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import meshtrace
from meshtrace import MeshTraceWSGI
from tests.inbound.driving import PARTS, Answer, Driver, Lines, report
from tests.inbound.wsgi_server import REVIEWS, environ_of

__all__ = ["DRIVERS", "serve"]


def serve(app: WSGIApplication, path: str, lines: Lines) -> Answer:
    """Serve one request to its end, as a server does; lines that are repeated come folded."""
    folded: dict[str, str] = {}
    for name, value in lines:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        folded[key] = f"{folded[key]},{value}" if key in folded else value
    heads: list[tuple[str, list[tuple[str, str]]]] = []

    def start(
        status: str, headers: list[tuple[str, str]], _exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        heads.append((status, headers))
        return len

    try:
        body = app({**environ_of(PATH_INFO=path), **folded}, start)
        try:
            sent = b"".join(body)
        finally:
            getattr(body, "close", int)()
    except ZeroDivisionError:
        return Answer.of(500)
    ((status, headers),) = heads
    return Answer.of(int(status[:3]), headers, sent)


class Plain(Driver):
    """An application that is WSGI and nothing more."""

    name = "WSGI"

    def open(self, stack: ExitStack) -> None:
        """Make the application."""
        del stack
        self.app: WSGIApplication = self._app
        for _ in range(1 + self.nested):
            self.app = MeshTraceWSGI(self.app, **self.options)

    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask in this thread."""
        return serve(self.app, path, lines)

    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask in threads."""
        with ThreadPoolExecutor(len(brought)) as pool:
            return list(pool.map(lambda lines: serve(self.app, path, lines), brought))

    def outside(self) -> dict[str, str]:
        """Look in this thread."""
        return meshtrace.headers(REVIEWS)

    def _app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/error":
            raise ZeroDivisionError
        start_response("200 OK", [("Content-Type", "text/plain")])
        if path == "/stream":
            return _stream()
        if path == "/user":
            meshtrace.set_header("end-user", "alice")
        if path == "/use":
            with meshtrace.detached(), meshtrace.use(environ):
                return [report().encode()]
        first = report()
        if path != "/meet":
            return [first.encode()]
        self.meeting.wait()
        return [first.encode(), report().encode()]


def _stream() -> Iterator[bytes]:
    for _ in range(PARTS):
        yield report().encode()


DRIVERS: tuple[type[Any], ...] = (Plain,)

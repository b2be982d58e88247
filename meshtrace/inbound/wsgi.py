"""
The WSGI middleware.

    app.wsgi_app = MeshTraceWSGI(app.wsgi_app)                    # Flask
    application = MeshTraceWSGI(get_wsgi_application())           # Django, and any WSGI application
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from meshtrace.ambient import CURRENT, Stepwise
from meshtrace.arrival import WSGI, Arrivals, refuse_mistakes
from meshtrace.relay.extract import ENVIRON_KEY, from_environ
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

__all__ = ["MeshTraceWSGI"]

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

_COMPLETE = (list, tuple)
"""Bodies that are made when the application returns: servers have a fast path for them."""


class MeshTraceWSGI:
    """
    Keeps the trace headers of each request at hand for the calls made while it is served.

    The context is set at the start of every request, even one without headers, and undone at its
    end: a server's thread serves many. It stays while a lazy body is streamed and closed. A list, a
    tuple and what ``wsgi.file_wrapper`` made are passed on as they are, so that the server keeps
    its fast path for them.

    Args:
        app: The WSGI application.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: *app* is no WSGI application.

    >>> def app(environ, start_response): ...
    >>> app = MeshTraceWSGI(app, incoming="ids")
    """

    _kind_of_rules = InboundRules

    def __init__(
        self, app: WSGIApp, *, settings: Settings | None = None, **options: Unpack[Options]
    ) -> None:
        refuse_mistakes("MeshTraceWSGI", app, WSGI)
        self.app = app
        self._arrivals = Arrivals(settings, options, self._kind_of_rules)
        self._rules = self._arrivals.rules
        self._off = self._arrivals.off
        self._unsettled = True

    def __call__(  # noqa: C901 - a call less for each request
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        if self._off:
            return self.app(environ, start_response)
        snapshot: Any = environ.get(ENVIRON_KEY)
        # An environ that is served once more is a new request.
        arrived = (
            snapshot is None
            or not isinstance(snapshot, Snapshot)
            or snapshot.ended
            or self._arrivals.outranks(snapshot)
        )
        if arrived:
            rules = self._rules.value
            try:
                snapshot = environ[ENVIRON_KEY] = from_environ(environ, rules)
            except Exception:  # noqa: BLE001 - the request must be served
                snapshot = self._arrivals.empty()
        elif CURRENT.get() is snapshot:
            # Nested: the outer one has done it.
            return self.app(environ, start_response)
        if snapshot.rules.echoes:
            start_response = _echoing(start_response, self._arrivals.echoed(snapshot))
        if self._unsettled:
            self._arrivals.begin()
        token = CURRENT.set(snapshot)
        slot = self._arrivals.join(snapshot, "wsgi", environ) if snapshot.rules.joins else None
        app = self.app if slot is None else slot.around_wsgi(self.app)
        streams = False
        try:
            body = app(environ, start_response)
            if isinstance(body, _COMPLETE) or _is_file(body, environ):
                return body
            streams = True
            inside = CURRENT.get()
            steps = Stepwise(inside) if slot is None else slot.steps(inside)
        finally:
            CURRENT.reset(token)
            if slot is not None:
                slot.leave(end=not streams)
            if arrived and not streams:
                snapshot.ended = True
            if self._unsettled:
                self._unsettled = self._arrivals.end(snapshot)
        kind = _SizedBody if hasattr(body, "__len__") else _Body
        return kind(body, steps, snapshot if arrived else None)


class _Body:
    """
    A lazy body, whose steps and whose closing run in the request's context.

    The original iterable is closed exactly once, whoever closes first (PEP 3333, "Specification
    Details"); with that the request ends.
    """

    def __init__(self, body: Iterable[bytes], steps: Stepwise, ending: Snapshot | None) -> None:
        self._body = body
        self._steps = steps
        self._ending = ending
        self._iterator: Iterator[bytes] | None = None
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = self._steps.run(iter, self._body)
        return self._steps.run(next, self._iterator)

    def close(self) -> None:
        """Close the original body, if it can be closed and was not yet."""
        if self._open:
            self._open = False
            try:
                self._steps.run(self._end)
            finally:
                if self._ending is not None:
                    self._ending.ended = True
                self._steps.end()

    def _end(self) -> None:
        # The body may have made a generator; it ends here, for the request it belongs to, and not
        # when it is collected.
        self._iterator = iter(())
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class _SizedBody(_Body):
    """A lazy body whose length a server may ask for, to send a ``Content-Length``."""

    def __len__(self) -> int:
        return self._steps.run(len, self._body)  # type: ignore[arg-type]  # the caller has looked


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # A function: uWSGI's gives back the very file, which need not be iterable, and mod_wsgi's an
    # object around it.
    return wrapper is not None and (hasattr(body, "read") or hasattr(body, "filelike"))


def _echoing(start_response: StartResponse, echoed: tuple[str, str] | None) -> StartResponse:
    if echoed is None:
        return start_response

    def start(
        status: str,
        response_headers: Iterable[tuple[str, str]],
        *args: Any,  # noqa: ANN401 - passed on as it came
        **kwargs: Any,  # noqa: ANN401 - passed on as it came
    ) -> Callable[[bytes], object]:
        headers = [*response_headers]
        if all(name.lower() != echoed[0] for name, _ in headers):
            headers.append(echoed)
        return start_response(status, headers, *args, **kwargs)

    return start

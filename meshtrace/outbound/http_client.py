"""
http.client: every request of a connection begins with ``putrequest`` and ends with ``endheaders``.

``request`` calls the two, and so does who puts a request together by hand. In between a connection
takes note of the caller's headers, and is of a subclass of its class for so long: at both its ends,
because a class in the middle may put headers of its own, and may call http.client by name. What
opens a tunnel through a proxy takes neither way, and gets nothing.

A connection that another room uses is that room's: those of urllib3 always, those of urllib.request
by their attribute ``meshtrace_sent``.
"""

import functools
import http.client
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import copy_context
from typing import Any, ClassVar, TypeVar

from meshtrace import notices
from meshtrace.departure import Departures
from meshtrace.relay.record import rehearsing
from meshtrace.relay.rules import format_of
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = http.client.HTTPConnection
"""What `wrap` takes."""

C = TypeVar("C", bound=http.client.HTTPConnection)
Line = tuple[Any, ...]
"""What ``putheader`` takes."""


class _Request:
    """
    A request that is being put together, for what was current when it was begun.

    Args:
        departures: Decides what it may have.
        url: Where it goes.
    """

    def __init__(self, departures: Departures, url: str) -> None:
        self._departures = departures
        self._url = url
        self._context = copy_context()
        with rehearsing():
            self._sent = departures.decide({}, url)
        self._names = frozenset(name for name, _ in self._sent.fields)
        self._carrier: dict[str, str] = {}
        self._waiting: list[tuple[str, Line]] | None = []
        self._late: set[str] = set()

    def may_have_any(self) -> bool:
        """Tell whether there is anything to add, whatever the caller sets."""
        return bool(self._names)

    def keeps(self, line: Line) -> bool:
        """
        Take note of a header of the caller's, which may have to wait.

        Once it is put, nothing can take its place.
        """
        name = _text(line[0])
        lower = name.lower()
        if self._waiting is None:
            self._late.add(lower)
            return False
        clashes = not self._names.isdisjoint(format_of(lower))
        if clashes or lower == "host":
            self._carrier[name] = ", ".join(map(_text, line[1:]))
        if clashes:
            self._waiting.append((name, line))
        return clashes

    def callers(self) -> list[Line]:
        """Give those of the caller's headers that have waited, and are to be put."""
        waiting, self._waiting = self._waiting or [], None
        self._sent = self._context.run(self._departures.decide, self._carrier, self._url)
        gone = {*self._sent.replaced, *self._sent.dropped}
        return [line for name, line in waiting if name not in gone]

    def fields(self) -> list[Line]:
        """Give what is to be added, unless the caller has put it in the end."""
        return [line for line in self._sent.fields if self._late.isdisjoint(format_of(line[0]))]


class _OpenConnection(http.client.HTTPConnection):
    """What a connection has above its class, as long as a request is being put together."""

    meshtrace_kind: ClassVar[type[http.client.HTTPConnection]]
    meshtrace_request: _Request

    def putheader(self, header: Any, *values: Any) -> None:  # noqa: ANN401 - http.client's own
        """Put a header, or keep it until all are known."""
        if not self.meshtrace_request.keeps((header, *values)):
            super().putheader(header, *values)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
        """Put what has waited."""
        try:
            for line in self.meshtrace_request.callers():
                super().putheader(*line)
            super().endheaders(*args, **kwargs)
        except BaseException as error:
            _end(self, error)
            raise
        finally:
            _done(self)

    def close(self) -> None:
        """Close the connection: the request, if it was never sent, is none any more."""
        close = super().close
        _done(self)
        _end(self)
        close()


class _EndedConnection(http.client.HTTPConnection):
    """What it has below its class, which may put headers of its own in the end."""

    meshtrace_request: _Request

    def endheaders(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
        """Put the headers of the current request."""
        for line in self.meshtrace_request.fields():
            super().putheader(*line)
        super().endheaders(*args, **kwargs)


class _RelayingConnection(http.client.HTTPConnection):
    """A connection that adds headers to what it sends."""

    meshtrace_departures: Departures

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
        """Begin a request, to which the headers of the current one will be added."""
        was_open = isinstance(self, _OpenConnection)
        if not was_open:
            _open(self, self.meshtrace_departures, method, url)
        try:
            super().putrequest(method, url, *args, **kwargs)
        except BaseException:
            if not was_open:
                _done(self)
            raise
        if was_open:
            # Somebody has closed it behind the back of its class.
            _open(self, self.meshtrace_departures, method, url)

    def getresponse(self) -> Any:  # noqa: ANN401 - a response
        """Read the head of a response, with which the span of the request ends."""
        return _answered(self, super().getresponse)


def wrap(connection: C, settings: Settings) -> C:
    """
    Make a connection add the current request's headers to every request.

    The connection stays the same object, of a subclass of its class. Wrapping twice is wrapping
    once, with the later settings.

    Args:
        connection: A connection of any subclass.
        settings: The settings of this connection.

    >>> connection = http.client.HTTPConnection("reviews", 9080)
    >>> wrap(connection, Settings()) is connection
    True
    """
    relaying: Any = connection
    relaying.meshtrace_departures = Departures("http.client", settings)
    if not isinstance(connection, _RelayingConnection):
        kind: Any = type(connection)
        relaying.__class__ = _made(kind, _RelayingConnection, kind)
    notices.client_ready("http.client")
    return connection


def patch() -> None:
    """Make every connection of the process add the current request's headers."""
    notices.client_ready("http.client")
    _putrequest.put()
    _getresponse.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    _putrequest.give_back()
    _getresponse.give_back()


def _around(original: Callable[..., None]) -> Callable[..., None]:
    departures = Departures("http.client", Settings())

    def putrequest(
        self: http.client.HTTPConnection,
        method: str,
        url: str,
        *args: Any,  # noqa: ANN401 - http.client's own
        **kwargs: Any,  # noqa: ANN401 - http.client's own
    ) -> None:
        original(self, method, url, *args, **kwargs)
        kind: Any = type(self)
        if not (_is_of_another_room(kind) or hasattr(self, "meshtrace_sent")):
            _open(self, departures, method, url)

    return putrequest


_putrequest = Replacement(CLIENT, "putrequest", _around)
_getresponse = Replacement(
    CLIENT, "getresponse", lambda get: lambda self: _answered(self, functools.partial(get, self))
)


def _answered(connection: object, getresponse: Callable[[], Any]) -> Any:  # noqa: ANN401 - a response
    # Off at once: a connection may be closed before its response is given.
    attempt = vars(connection).pop("meshtrace_attempt", None)
    with nullcontext() if attempt is None else attempt:
        response = getresponse()
        if attempt is not None:
            attempt.answered(response.status, response.version)
        return response


def _end(connection: object, error: BaseException | None = None) -> None:
    attempt = vars(connection).pop("meshtrace_attempt", None)
    if attempt is not None:
        attempt.end(error)


@functools.cache
def _is_of_another_room(kind: Any) -> bool:  # noqa: ANN401 - mypy: no Hashable
    return issubclass(kind, _RelayingConnection) or any(
        base.__module__.startswith("urllib3.") for base in kind.__mro__
    )


def _open(
    connection: http.client.HTTPConnection, departures: Departures, method: str, url: str
) -> None:
    try:
        if method.upper() == "CONNECT":
            # It is for the proxy.
            return
        _done(connection)
        _end(connection)
        attempt = None
        if departures.rules.value.spans:
            attempt = departures.attempt(method, _absolute(connection, url, whole=True))
        request = _Request(departures, _absolute(connection, url))
        if attempt is not None:
            # It is current where the headers are decided, and nowhere else.
            attempt.leave()
        if request.may_have_any() or attempt is not None:
            kind: Any = type(connection)
            opened: Any = connection
            opened.meshtrace_request = request
            opened.meshtrace_attempt = attempt
            opened.__class__ = _made(kind, _OpenConnection, kind, _EndedConnection)
        else:
            request.callers()
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a request of http.client")


def _done(connection: Any) -> None:  # noqa: ANN401 - its class is changed
    if isinstance(connection, _OpenConnection):
        del connection.meshtrace_request
        kind: Any = connection.meshtrace_kind
        connection.__class__ = kind


def _absolute(connection: http.client.HTTPConnection, url: str, *, whole: bool = False) -> str:
    if url.startswith(("http://", "https://")):
        return url
    # There is no public way to ask for the host at the end of a tunnel. Where it is not known, the
    # proxy's is judged, and the Host header beside it.
    host = getattr(connection, "_tunnel_host", None) or connection.host
    host = f"[{host}]" if ":" in host else host
    if not whole:
        return f"http://{host}/"
    scheme = "https" if isinstance(connection, http.client.HTTPSConnection) else "http"
    port = getattr(connection, "_tunnel_port", None) or connection.port
    return f"{scheme}://{host}:{port}{url}"


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)


@functools.cache
def _made(kind: Any, *bases: Any) -> type:  # noqa: ANN401 - mypy: no Hashable
    above_http_client = (base for base in bases if base is not CLIENT)
    made: type = subclass(kind, *above_http_client, meshtrace_kind=kind)
    return made

"""
What the rooms of httpx and httpx2 share: httpx2 has grown out of httpx, and has its shape.

Every attempt of a client, be it a hop of a redirect, a round of ``auth=`` or the only one, goes
through its method ``_send_single_request``, which hands it to the transport. That method is
private. The public places do not do: ``send`` is called once for the whole chain; an event hook may
be followed by one of the application's that sends the request elsewhere, it is the application's to
list and to replace, and it does not learn of an attempt that fails; a transport is the
application's own or one of six, and a client does not tell which it has. So the method is looked at
first, and where it is not as it should be, the client stays as it is.

OpenTelemetry's instrumentation stands beneath, around the transport, and gives the request other
headers, with the ids of its span. Where it is loaded, a request that is on its way is of a subclass
of its class, which notices that, and all is decided again.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import Any, ClassVar, Final

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.httpx_like.remembering import given, pickled_as_made, remember
from meshtrace.otel.written import others_write
from meshtrace.relay.record import rehearsing
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["Room", "room_of"]

_SEND: Final = "_send_single_request"
_OLDEST: Final = {"httpx": "0.21", "httpx2": "2.0"}
"""Before 0.21, a redirect did not take the extensions along."""

_Send = Callable[[Any, Any], Any]
_Noted = Callable[[Any], Any]
"""Takes a response, and gives it back."""


class Room:
    """
    The verbs for one library.

    Args:
        library: The library.

    >>> import httpx
    >>> client = httpx.Client()
    >>> Room(httpx).wrap(client, Settings()) is client
    True
    """

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        self._name = library.__name__
        self._kinds: tuple[Any, ...] = (library.Client, library.AsyncClient)
        self._relaying = functools.cache(self._make_relaying)
        self._patched = Departures(self._name, Settings())
        self._replacements = (
            Replacement(library.Client, _SEND, self._around),
            Replacement(library.AsyncClient, _SEND, self._around_async),
        )
        # Never given back: what has been sent may be pickled at any time.
        self._pickling = Replacement(library.Request, "__getstate__", pickled_as_made)

    def wrap(self, client: Any, settings: Settings) -> Any:  # noqa: ANN401 - of one of two libraries
        """
        Make a client add the current request's headers to every attempt.

        The client stays the same object, of a subclass of its class: what is patched or mocked on
        its class later is still called. Wrapping twice is wrapping once, with the later settings.

        Args:
            client: A client of any subclass.
            settings: The settings of this client.
        """
        if self._is_supported():
            kind: Any = type(client)
            if not isinstance(client, _RELAYING):
                client.__class__ = self._relaying(kind)
            client.meshtrace_departures = Departures(self._name, settings)
            self._pickling.put()
            notices.client_ready(self._name)
        return client

    def patch(self) -> None:
        """Make every client of the process add the current request's headers."""
        if self._is_supported():
            self._patched = Departures(self._name, Settings())
            notices.client_ready(self._name)
            for replacement in self._replacements:
                replacement.put()
            self._pickling.put()

    def unpatch(self) -> None:
        """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
        for replacement in self._replacements:
            replacement.give_back()

    def _is_supported(self) -> bool:
        version = self._library.__version__
        oldest = _OLDEST[self._name]
        is_new_enough = _numbers(version) >= _numbers(oldest)
        supported = is_new_enough and all(map(_is_as_it_should_be, self._kinds))
        if not supported:
            notices.unsupported(self._name, version, oldest)
        return supported

    def _around(self, original: _Send) -> _Send:
        def send(client: object, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
            with self._departing_if_not_wrapped(client, request) as noted:
                return noted(original(client, request))

        return send

    def _around_async(self, original: _Send) -> _Send:
        async def send(client: object, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
            with self._departing_if_not_wrapped(client, request) as noted:
                return noted(await original(client, request))

        return send

    def _departing_if_not_wrapped(
        self, client: object, request: object
    ) -> AbstractContextManager[_Noted]:
        if isinstance(client, _RELAYING):
            return nullcontext(_as_it_is)
        return _departing(self._patched, request)

    def _make_relaying(self, kind: Any) -> type:  # noqa: ANN401 - mypy: no Hashable
        client, async_client = self._kinds
        base, mixin = (
            (client, _RelayingClient)
            if issubclass(kind, client)
            else (async_client, _RelayingAsyncClient)
        )
        relaying: type = subclass(base, mixin, base)
        # Below the client's own class, which may have ways of its own.
        below: type = relaying if kind is base else subclass(kind, kind, relaying)
        return below


class _RelayingClient:
    """What a wrapped client has above httpx's own class."""

    meshtrace_departures: Departures

    def _send_single_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        with _departing(self.meshtrace_departures, request) as noted:
            return noted(super()._send_single_request(request))  # type: ignore[misc]  # httpx's class has it


class _RelayingAsyncClient:
    """What a wrapped client has above httpx's own class, where it is asynchronous."""

    meshtrace_departures: Departures

    async def _send_single_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        with _departing(self.meshtrace_departures, request) as noted:
            return noted(await super()._send_single_request(request))  # type: ignore[misc]  # see above


_RELAYING = (_RelayingClient, _RelayingAsyncClient)


@functools.cache
def room_of(library: ModuleType) -> Room:
    """
    Give the one room of a library, which httpx2 may have made known as httpx, too.

    >>> import httpx2
    >>> room_of(httpx2) is room_of(httpx2)
    True
    """
    return Room(library)


class _Watched:
    """What a request has above its class while it is on its way."""

    meshtrace_kind: ClassVar[type]
    meshtrace_departures: Departures

    @property
    def headers(self) -> Any:  # noqa: ANN401 - of one of two libraries
        """The headers, of which others may give it new ones."""
        return vars(self)["headers"]

    @headers.setter
    def headers(self, headers: Any) -> None:  # noqa: ANN401 - of one of two libraries
        vars(self)["headers"] = headers
        with rehearsing():
            _depart(self.meshtrace_departures, self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as one of its class, of which it will be again."""
        kind: Any = self.meshtrace_kind
        return object.__new__, (kind,), self.__getstate__()


@functools.cache
def _watched(kind: Any) -> type:  # noqa: ANN401 - mypy: no Hashable
    made: type = subclass(kind, _Watched, kind, meshtrace_kind=kind)
    return made


@contextmanager
def _departing(departures: Departures, request: Any) -> Iterator[_Noted]:  # noqa: ANN401 - of one of two libraries
    attempt = _attempt(departures, request) if departures.rules.value.spans else None
    with nullcontext() if attempt is None else attempt:
        _depart(departures, request)
        noted = _as_it_is if attempt is None else functools.partial(_noted, attempt)
        if not others_write("opentelemetry.instrumentation.httpx") or isinstance(request, _Watched):
            yield noted
            return
        kind: Any = type(request)
        vars(request)["meshtrace_departures"] = departures
        request.__class__ = _watched(kind)
        try:
            yield noted
        finally:
            request.__class__ = kind
            vars(request).pop("meshtrace_departures", None)


def _attempt(departures: Departures, request: Any) -> Any:  # noqa: ANN401 - a span, or None
    before = given(request) or NOTHING
    return departures.attempt(request.method, str(request.url), before.hops)


def _noted(attempt: Any, response: Any) -> Any:  # noqa: ANN401 - of one of two libraries
    attempt.answered(response.status_code, response.http_version.removeprefix("HTTP/"))
    return response


def _as_it_is(response: Any) -> Any:  # noqa: ANN401 - of one of two libraries
    return response


def _depart(departures: Departures, request: Any) -> None:  # noqa: ANN401 - of one of two libraries
    try:
        sent = departures.decide(request.headers, str(request.url), given(request))
        if sent is not NOTHING:
            # First of all: what is added must be taken off again.
            remember(request, sent)
            put_on(request.headers, sent)
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault(f"adding headers to a call of {departures.library}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _is_as_it_should_be(kind: type) -> bool:
    method = getattr(kind, _SEND, None)
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind("client", "request")
    except TypeError:
        return False
    return True

"""
urllib3: every attempt of every call goes through ``HTTPConnectionPool.urlopen``.

A retry, and a redirect that a pool follows by itself, are calls of it inside one another; a
redirect that a `PoolManager` follows is another call of it, on the same pool or on another. The
headers are added to a copy of what the caller gave, so that neither the caller's object nor those
that pools share ever change. What an outer room has decided, as for a call of requests, is not
decided again.

Another tracer may be around ``urlopen``, beneath ours, and write the ids of its span there. Where
there is one, its connections are looked at, too, as the last of all.
"""

import functools
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from meshtrace.extras import needed

with needed("urllib3"):
    import urllib3
    from urllib3 import HTTPConnectionPool, PoolManager
    from urllib3.connection import HTTPConnection

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.otel.written import others_write
from meshtrace.relay.inject import Sent
from meshtrace.relay.record import rehearsing
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = (PoolManager, HTTPConnectionPool)
"""What `wrap` takes."""

C = TypeVar("C", bound=PoolManager | HTTPConnectionPool)
Method = Callable[..., Any]

_OLDEST = (1, 23)
_URL = 1
_HEADERS = 3
_RETRIES = 4
"""Where they stand among what ``urlopen`` takes, where they are not given by name."""

_has_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://").match

_Attempt = tuple[Any, Departures, HTTPConnectionPool, str, Sent, Mapping[str, str] | None]
"""
The span of an attempt, or None; what decides for its pool; the pool; the URL; what was added; and,
if an outer room has decided, the headers as it did.
"""

_attempt: Final[ContextVar[_Attempt | None]] = ContextVar("meshtrace.urllib3", default=None)


class _RelayingPool(HTTPConnectionPool):
    """A pool that adds headers to what it sends."""

    meshtrace_departures: Departures

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's own
        """Make an attempt, with the headers of the current request added."""
        departures = self.meshtrace_departures
        return _relay(super().urlopen, departures, self, (method, url, *args), kwargs)


class _RelayingManager(PoolManager):
    """A manager whose pools add headers to what they send."""

    meshtrace_departures: Departures

    def connection_from_pool_key(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:  # noqa: ANN401 - urllib3's own
        """Give a pool that relays."""
        pool = super().connection_from_pool_key(*args, **kwargs)
        _let_relay(pool, _RelayingPool, self.meshtrace_departures)
        return pool


def wrap(client: C, settings: Settings) -> C:
    """
    Make a manager or a pool add the current request's headers to every call.

    It stays the same object, of a subclass of its class: what is patched or mocked on its class
    later is still called. A manager's pools relay, also those that it has already. Wrapping twice
    is wrapping once, with the later settings.

    Args:
        client: A manager or a pool of any subclass.
        settings: The settings of this client.

    >>> manager = PoolManager()
    >>> wrap(manager, Settings()) is manager
    True
    """
    if _is_supported():
        relaying = _RelayingManager if isinstance(client, PoolManager) else _RelayingPool
        _let_relay(client, relaying, Departures("urllib3", settings))
        notices.client_ready("urllib3")
    return client


def patch() -> None:
    """Make every pool of the process add the current request's headers."""
    if _is_supported():
        notices.client_ready("urllib3")
        _urlopen.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    _urlopen.give_back()
    _last_look.give_back()


def _around(original: Method) -> Method:
    departures = Departures("urllib3", Settings())

    def urlopen(
        self: HTTPConnectionPool,
        method: str,
        url: str,
        *args: Any,  # noqa: ANN401 - urllib3's own
        **kwargs: Any,  # noqa: ANN401 - urllib3's own
    ) -> object:
        if isinstance(self, _RelayingPool):
            return original(self, method, url, *args, **kwargs)
        attempt = functools.partial(original, self)
        return _relay(attempt, departures, self, (method, url, *args), kwargs)

    return urlopen


_urlopen = Replacement(HTTPConnectionPool, "urlopen", _around)


def _relay(
    urlopen: Method,
    departures: Departures,
    pool: HTTPConnectionPool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # noqa: ANN401 - what urllib3 answers
    given = args[_HEADERS] if len(args) > _HEADERS else kwargs.get("headers")
    retries = args[_RETRIES] if len(args) > _RETRIES else kwargs.get("retries")
    headers, sent, outer = given, NOTHING, None
    history = getattr(retries, "history", ())
    span = _span(departures, pool, args, history) if departures.rules.value.spans else None
    try:
        headers, sent, outer = _decided(departures, pool, args[_URL], given, history)
        if others_write("urllib3"):
            _last_look.put()
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of urllib3")
    if len(args) > _HEADERS:
        args = (*args[:_HEADERS], headers, *args[_RETRIES:])
    elif headers is not given:
        kwargs["headers"] = headers
    token = _attempt.set((span, departures, pool, args[_URL], sent, outer))
    try:
        with nullcontext() if span is None else span:
            response = urlopen(*args, **kwargs)
            if span is not None:
                span.answered(response.status, response.version)
            return response
    finally:
        _attempt.reset(token)


def _span(departures: Departures, pool: HTTPConnectionPool, args: Any, history: Any) -> Any:  # noqa: ANN401 - a span, or None
    last = _attempt.get() if history else None
    if last is not None and last[2] is pool and last[0] is not None:
        last[0].answered(history[-1].status)
        last[0].end(history[-1].error)
    return departures.attempt(args[0], _absolute(pool, args[_URL]), len(history))


def _decided(
    departures: Departures,
    pool: HTTPConnectionPool,
    url: str,
    given: Any,  # noqa: ANN401 - whatever a caller gives for headers
    history: tuple[Any, ...],
) -> tuple[Any, Sent, Mapping[str, str] | None]:
    """Give the headers to send, what was added to them, and what an outer room has decided."""
    headers: Any = pool.headers if given is None else given
    before: Sent | None = None
    last = _attempt.get() if history else None
    if last is not None and last[2] is pool:
        # Made again, inside the last attempt, with a copy of its headers.
        *_, before, outer = last
        if outer is not None:
            return given, NOTHING, outer
        before = before.next_hop() if history[-1].redirect_location else before
        headers = headers.copy()
    elif hasattr(headers, "meshtrace_sent"):
        return given, NOTHING, headers
    elif not isinstance(headers, Mapping):
        # Which is urllib3's own error to raise.
        return given, NOTHING, None
    elif history:
        before = _followed(departures, history)
    sent = departures.decide(headers, _absolute(pool, url), before)
    if sent.fields or sent.replaced or sent.dropped:
        # Those of the pool, and maybe the caller's, are other calls', too.
        headers = headers.copy()
        put_on(headers, sent)
        return headers, sent, None
    return (given if before is None else headers), sent, None


def _looking_last(original: Method) -> Method:
    def request(
        self: HTTPConnection,
        method: str,
        url: str,
        body: object = None,
        headers: Any = None,  # noqa: ANN401 - urllib3's own
        **options: Any,  # noqa: ANN401 - urllib3's own
    ) -> object:
        attempt = _attempt.get()
        if attempt is not None and headers is not None:
            try:
                headers = _looked_at(attempt, headers)
            except Exception:  # noqa: BLE001 - the call must go on
                notices.fault("looking at the headers of a connection of urllib3")
        return original(self, method, url, body=body, headers=headers, **options)

    return request


_last_look = Replacement(HTTPConnection, "request", _looking_last)


def _looked_at(attempt: _Attempt, headers: Any) -> Any:  # noqa: ANN401 - of any type
    _, departures, pool, url, sent, outer = attempt
    headers = headers.copy()
    if outer is None:
        before = None if sent is NOTHING else sent
        with rehearsing():
            put_on(headers, departures.decide(headers, _absolute(pool, url), before))
    else:
        for name in departures.rules.value.not_the_callers(headers):
            del headers[name]
            if name in outer:
                headers[name] = outer[name]
    return headers


def _followed(departures: Departures, history: tuple[Any, ...]) -> Sent | None:
    """Give the place in a chain of redirects that a call has."""
    before: Sent | None = None
    with rehearsing():
        for step in history:
            if step.redirect_location:
                before = departures.decide({}, step.url, before).next_hop().taken_off()
    return before


def _absolute(pool: HTTPConnectionPool, url: str) -> str:
    if _has_scheme(url):
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}:{pool.port}{url}"


def _is_supported() -> bool:
    version: str = vars(urllib3)["__version__"]
    numbers = tuple(map(int, re.findall(r"\d+", version)[: len(_OLDEST)]))
    if numbers < _OLDEST:
        notices.once(
            logging.WARNING,
            ("version", "urllib3"),
            "meshtrace: urllib3 %s is not supported, and works as without meshtrace; "
            "supported: %s or later",
            version,
            ".".join(map(str, _OLDEST)),
        )
        return False
    return True


def _let_relay(client: Any, relaying: Any, departures: Departures) -> None:  # noqa: ANN401 - mypy: no Hashable
    client.meshtrace_departures = departures
    if not isinstance(client, relaying):
        kind: Any = type(client)
        client.__class__ = _relaying(kind, relaying)


@functools.cache
def _relaying(kind: Any, relaying: Any) -> type:  # noqa: ANN401 - mypy: no Hashable
    # Below the client's own class, which may choose another host.
    bases = (relaying,) if kind in CLIENT else (kind, relaying)
    made: type = subclass(kind, *bases)
    return made

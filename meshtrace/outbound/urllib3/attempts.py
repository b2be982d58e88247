"""
One attempt of urllib3: what is decided for it, or was by an outer room.

An outer room marks the headers that it hands to urllib3 with the attribute ``meshtrace_sent``: with
True where all is decided; with its call where the attempts that urllib3 makes are to be told apart,
each with a span. Such a call has the methods of ``meshtrace.outbound.requests.attempts.Call``.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.otel.written import others_write
from meshtrace.relay.inject import Sent
from meshtrace.relay.record import rehearsing
from meshtrace.replacing import Replacement

__all__ = ["call_of", "last_look", "relay"]

Method = Callable[..., Any]

_URL = 1
_HEADERS = 3
_RETRIES = 4
"""Where they stand among what ``urlopen`` takes, where they are not given by name."""

_has_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://").match


class _Attempt(NamedTuple):
    """
    An attempt that is being made.

    Attributes:
        span: Its span, or None.
        departures: Decides for its pool.
        pool: The pool.
        url: Where it goes.
        sent: What was added.
        outer: The headers, if an outer room has decided.
        call: The call of an outer room to which it belongs, if that tells attempts apart.
        number: How many there were before, in the same chain.
    """

    span: Any
    departures: Departures
    pool: HTTPConnectionPool
    url: str
    sent: Sent
    outer: Mapping[str, str] | None
    call: Any
    number: int


_attempt: Final[ContextVar[_Attempt | None]] = ContextVar("meshtrace.urllib3", default=None)


def call_of(pool: HTTPConnectionPool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - an outer room's own
    """
    Give the call of an outer room for which an attempt is made, if that tells attempts apart.

    Args:
        pool: What makes it.
        args: What its ``urlopen`` is given.
        kwargs: What it is given by name.
    """
    return _call_of(pool, _given(args, kwargs, _HEADERS, "headers"), _history(args, kwargs))


def relay(
    urlopen: Method,
    departures: Departures,
    pool: HTTPConnectionPool,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # noqa: ANN401 - what urllib3 answers
    """
    Make an attempt, with the headers of the current request added.

    Args:
        urlopen: Makes it.
        departures: Decides, where no outer room has.
        pool: The pool.
        args: What *urlopen* is given.
        kwargs: What it is given by name.
    """
    given = _given(args, kwargs, _HEADERS, "headers")
    history = _history(args, kwargs)
    headers, sent, outer = given, NOTHING, None
    span = call = _call_of(pool, given, history)
    if call is None and departures.rules.value.spans:
        span = _span(departures, pool, args, history)
    try:
        if call is None:
            headers, sent, outer = _decided(departures, pool, args[_URL], given, history)
        else:
            headers, sent = _taken_up(call, pool, given, history)
            outer = headers
        if others_write("opentelemetry.instrumentation.urllib3"):
            last_look.put()
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of urllib3")
    if len(args) > _HEADERS:
        args = (*args[:_HEADERS], headers, *args[_RETRIES:])
    elif headers is not given:
        kwargs["headers"] = headers
    made = _Attempt(span, departures, pool, args[_URL], sent, outer, call, len(history))
    token = _attempt.set(made)
    try:
        with nullcontext() if span is None else span:
            response = urlopen(*args, **kwargs)
            if span is not None:
                span.answered(response.status, response.version)
            return response
    finally:
        _attempt.reset(token)


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str) -> Any:  # noqa: ANN401 - urllib3's own
    return args[place] if len(args) > place else kwargs.get(name)


def _history(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    history: tuple[Any, ...] = getattr(_given(args, kwargs, _RETRIES, "retries"), "history", ())
    return history


def _call_of(pool: HTTPConnectionPool, given: Any, history: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
    mark = getattr(given, "meshtrace_sent", None)
    if mark is None and history:
        # Made again, with a copy.
        last = _last(pool)
        mark = None if last is None else last.call
    return None if mark is None or not getattr(mark, "is_open", False) else mark


def _last(pool: HTTPConnectionPool) -> _Attempt | None:
    """Give the attempt inside which another one is made."""
    last = _attempt.get()
    return last if last is not None and last.pool is pool else None


def _span(departures: Departures, pool: HTTPConnectionPool, args: Any, history: Any) -> Any:  # noqa: ANN401 - a span, or None
    last = _last(pool) if history else None
    if last is not None and last.span is not None:
        last.span.answered(history[-1].status)
        last.span.end(history[-1].error)
    return departures.attempt(args[0], _absolute(pool, args[_URL]), len(history))


def _taken_up(
    call: Any,  # noqa: ANN401 - an outer room's own
    pool: HTTPConnectionPool,
    given: Any,  # noqa: ANN401 - the outer room's own
    history: tuple[Any, ...],
) -> tuple[Any, Sent]:
    """Give the headers for an attempt of an outer room's call, and what was added to them."""
    last = _last(pool)
    if last is None or last.call is not call:
        taken: tuple[Any, Sent] = call.attempt(given)
    elif last.number == len(history):
        # Somebody stands between ours and ours.
        taken = given, last.sent
    else:
        taken = call.attempt(given, last.sent, history[-1])
    return taken


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
    last = _last(pool) if history else None
    if last is not None:
        # Made again, inside the last attempt, with a copy of its headers.
        before, outer = last.sent, last.outer
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


last_look: Final = Replacement(HTTPConnection, "request", _looking_last)
"""Where a connection sends a request: after all that is around ``urlopen``."""


def _looked_at(attempt: _Attempt, headers: Any) -> Any:  # noqa: ANN401 - of any type
    _, departures, pool, url, sent, outer, *_ = attempt
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

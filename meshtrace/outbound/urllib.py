"""
urllib.request: every attempt of an opener goes through the ``do_open`` of one of its handlers.

So each redirect and each round of an authentication is decided by itself, after all other handlers
have set their headers. A handler is handed a copy of the request with the headers added; the
caller's object stays as it is, and remembers only its place in a chain of redirects.
"""

import contextlib
import copy
import functools
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.request import AbstractHTTPHandler, HTTPRedirectHandler, OpenerDirector

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.relay.inject import Sent
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = OpenerDirector
"""What `wrap` takes."""

Opener = TypeVar("Opener", bound=OpenerDirector)
Method = Callable[..., Any]


class _RelayingOpener(OpenerDirector):
    """An opener that adds headers to what it sends."""

    meshtrace_departures: Departures

    def add_handler(self, handler: urllib.request.BaseHandler) -> None:
        """Add a handler, which relays."""
        super().add_handler(handler)
        _let_relay(handler)


class _RelayingHandler(AbstractHTTPHandler):
    """A handler that adds headers to what it sends for an opener that is wrapped."""

    def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:  # noqa: ANN401 - urllib's own
        """Make an attempt, with the headers of the current request added."""
        return _relay(super().do_open, _departures(self), http_class, req, options)


class _RememberingHandler(HTTPRedirectHandler):
    """A handler of redirects that tells the next request where it comes from."""

    def redirect_request(self, req: Any, *args: Any) -> Any:  # noqa: ANN401 - urllib's own
        """Make the request that follows a redirect."""
        return _follow(req, super().redirect_request(req, *args))


def wrap(opener: Opener, settings: Settings) -> Opener:
    """
    Make an opener add the current request's headers to every call.

    The opener stays the same object, of a subclass of its class, and so do its handlers. Wrapping
    twice is wrapping once, with the later settings.

    Args:
        opener: An opener of any subclass.
        settings: The settings of this opener.

    >>> opener = urllib.request.build_opener()
    >>> wrap(opener, Settings()) is opener
    True
    """
    relaying: Any = opener
    relaying.meshtrace_departures = Departures("urllib", settings)
    if not isinstance(opener, _RelayingOpener):
        kind: Any = type(opener)
        relaying.__class__ = _under(kind, OpenerDirector, _RelayingOpener)
    for handler in relaying.handlers:
        _let_relay(handler)
    notices.client_ready("urllib")
    return opener


def patch() -> None:
    """Make every opener of the process add the current request's headers, also `urlopen`'s."""
    notices.client_ready("urllib")
    _do_open.put()
    _redirect_request.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    _do_open.give_back()
    _redirect_request.give_back()


def _around_do_open(original: Method) -> Method:
    departures = Departures("urllib", Settings())

    def do_open(self: Any, http_class: Any, req: Any, **options: Any) -> object:  # noqa: ANN401 - urllib's own
        attempt = functools.partial(original, self)
        if _departures(self) is not None:
            return attempt(http_class, req, **options)
        return _relay(attempt, departures, http_class, req, options)

    return do_open


def _around_redirect_request(original: Method) -> Method:
    def redirect_request(self: Any, req: Any, *args: Any) -> object:  # noqa: ANN401 - urllib's own
        return _follow(req, original(self, req, *args))

    return redirect_request


_do_open = Replacement(AbstractHTTPHandler, "do_open", _around_do_open)
_redirect_request = Replacement(HTTPRedirectHandler, "redirect_request", _around_redirect_request)


def _departures(handler: object) -> Departures | None:
    """Give what decides for the opener of a handler, if that is wrapped."""
    return getattr(getattr(handler, "parent", None), "meshtrace_departures", None)


def _relay(
    do_open: Method,
    departures: Departures | None,
    http_class: Any,  # noqa: ANN401 - urllib's own
    req: Any,  # noqa: ANN401 - urllib's own
    options: dict[str, Any],
) -> Any:  # noqa: ANN401 - what urllib answers
    if departures is None:
        return do_open(http_class, req, **options)
    attempt = None
    if departures.rules.value.spans:
        hops = getattr(req, "meshtrace_sent", NOTHING).hops
        attempt = departures.attempt(req.get_method(), req.full_url, hops)
    with contextlib.nullcontext() if attempt is None else attempt:
        response = do_open(*_prepared(departures, http_class, req), **options)
        if attempt is not None:
            attempt.answered(response.status, response.version)
        return response


def _prepared(departures: Departures, http_class: Any, req: Any) -> tuple[Any, Any]:  # noqa: ANN401 - urllib's own
    """Give the class of the connection, and the request with the headers added."""
    request = req
    try:
        carrier = {**req.unredirected_hdrs, **req.headers, **req.unredirected_hdrs}
        sent = departures.decide(carrier, req.full_url, _before(req))
        # Where it is in a chain, and not what it was given, which is on the copy alone.
        req.meshtrace_sent = place = sent.taken_off()
        place.outside = sent.outside
        put_on(carrier, sent)
        request = copy.copy(req)
        request.headers = carrier
        request.unredirected_hdrs = {}
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of urllib.request")

    def connection(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of any class
        made = http_class(*args, **kwargs)
        with contextlib.suppress(Exception):
            # For the room of http.client.
            made.meshtrace_sent = True
        return made

    return connection, request


def _before(req: object) -> Sent | None:
    place: Sent | None = getattr(req, "meshtrace_sent", None)
    if place is None and hasattr(req, "redirect_dict"):
        # Somebody's own handler has made it for a redirect, and nobody knows where that began.
        place = Sent(())
        place.redirected = place.left_mesh = True
    return place


def _follow(req: object, following: Any) -> Any:  # noqa: ANN401 - urllib's own
    # It may be of any class, and may be None.
    with contextlib.suppress(Exception):
        following.meshtrace_sent = getattr(req, "meshtrace_sent", NOTHING).next_hop()
    return following


def _let_relay(handler: Any) -> None:  # noqa: ANN401 - its class is changed
    for base, ours in (
        (AbstractHTTPHandler, _RelayingHandler),
        (HTTPRedirectHandler, _RememberingHandler),
    ):
        if isinstance(handler, base) and not isinstance(handler, ours):
            kind: Any = type(handler)
            handler.__class__ = _under(kind, base, ours)


@functools.cache
def _under(kind: Any, base: Any, ours: Any) -> type:  # noqa: ANN401 - mypy: no Hashable
    # Below the object's own class, which may send elsewhere.
    bases = (ours,) if kind is base else (kind, ours)
    made: type = subclass(kind, *bases)
    return made

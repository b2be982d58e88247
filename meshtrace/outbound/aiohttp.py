"""
aiohttp: every attempt of a session runs through its client middlewares, of which ours is the last.

So it runs once per redirect, per round of an authentication and per retry of another middleware,
and sees the headers that all others have set. aiohttp has no public way to give a middleware to a
session that is made already, and a call's own ``middlewares=`` take the place of the session's: so
it is added in ``ClientSession._request``, through which every call goes, and ``_middlewares`` is
read there. Where aiohttp no longer has these two, calls go out without trace headers, and one
warning says so.
"""

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from meshtrace.extras import needed

with needed("aiohttp"):
    import aiohttp

from meshtrace import notices
from meshtrace.departure import Departures, put_on
from meshtrace.relay.inject import Sent
from meshtrace.replacing import Function, Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["CLIENT", "patch", "unpatch", "wrap"]

CLIENT = aiohttp.ClientSession
"""What `wrap` takes."""

S = TypeVar("S", bound=aiohttp.ClientSession)
Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]

_REDIRECTS = (301, 302, 303, 307, 308)


class _Call:
    """
    One call of a session, as its last middleware.

    Args:
        departures: Decides what each of its attempts may have.
    """

    def __init__(self, departures: Departures) -> None:
        self._departures = departures
        self._last: Sent | None = None
        self._redirected = False
        self._resends = 0

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: Handler
    ) -> aiohttp.ClientResponse:
        attempt = None
        if self._departures.rules.value.spans:
            attempt = self._departures.attempt(request.method, str(request.url), self._resends)
            self._resends += 1
        if attempt is None:
            self._relay(request)
            response = await handler(request)
        else:
            with attempt:
                self._relay(request)
                response = await handler(request)
                attempt.answered(response.status, _spelled(response.version))
        self._redirected = response.status in _REDIRECTS
        return response

    def _relay(self, request: aiohttp.ClientRequest) -> None:
        try:
            own: Sent | None = getattr(request, "meshtrace_sent", None)
            before = own or self._last
            if before is not None and self._redirected:
                before = before.next_hop()
            if before is not None and own is None:
                # For another hop, aiohttp has made another request, of the caller's headers.
                before = before.taken_off()
            sent = self._departures.decide(request.headers, str(request.url), before)
            # First of all: what is added must be taken off again.
            self._last = request.meshtrace_sent = sent  # type: ignore[attr-defined]  # ours
            put_on(request.headers, sent)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("adding headers to a call of aiohttp")


def _spelled(version: aiohttp.HttpVersion | None) -> str | None:
    return f"{version.major}.{version.minor}" if version else None


class _Quiet:
    """Keeps aiohttp's advice against subclasses, which is for people, out of their logs."""

    def __init_subclass__(cls) -> None:
        pass


class _RelayingSession(_Quiet, aiohttp.ClientSession):
    """A session that adds headers to what it sends."""

    meshtrace_departures: Departures

    # Not a coroutine function: where aiohttp warns of an argument, it counts the frames.
    def _request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiohttp's own
        return super()._request(*args, **_with_ours(self, self.meshtrace_departures, kwargs))


def wrap(session: S, settings: Settings) -> S:
    """
    Make a session add the current request's headers to every call.

    The session stays the same object, of a subclass of its class: what is patched or mocked on its
    class later is still called. Wrapping twice is wrapping once, with the later settings.

    Args:
        session: A session of any subclass.
        settings: The settings of this session.

    >>> import asyncio
    >>> async def main():
    ...     async with aiohttp.ClientSession() as session:
    ...         return wrap(session, Settings()) is session
    >>> asyncio.run(main())
    True
    """
    if not _supported():
        return session
    # Past ``ClientSession.__setattr__``, which in asyncio's debug mode advises against attributes.
    put = functools.partial(object.__setattr__, session)
    put("meshtrace_departures", Departures("aiohttp", settings))
    if not isinstance(session, _RelayingSession):
        kind: Any = type(session)
        put("__class__", _relaying(kind))
    notices.client_ready("aiohttp")
    return session


def patch() -> None:
    """Make every session of the process, made before or after, add the current headers."""
    if _supported():
        notices.client_ready("aiohttp")
        _replacement.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    _replacement.give_back()


def _adding(original: Function) -> Function:
    departures = Departures("aiohttp", Settings())

    def _request(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiohttp's own
        if not isinstance(self, _RelayingSession):
            kwargs = _with_ours(self, departures, kwargs)
        return original(self, *args, **kwargs)

    return _request


_replacement = Replacement(CLIENT, "_request", _adding)


def _with_ours(
    session: aiohttp.ClientSession, departures: Departures, options: dict[str, Any]
) -> dict[str, Any]:
    try:
        others = options.get("middlewares")
        if others is None:
            others = session._middlewares  # noqa: SLF001 - see above
        return {**options, "middlewares": (*others, _Call(departures))}
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding a middleware to a call of aiohttp")
        return options


def _supported() -> bool:
    supported = hasattr(aiohttp, "ClientMiddlewareType") and hasattr(CLIENT, "_request")
    if not supported:
        notices.once(
            logging.WARNING,
            "aiohttp version",
            "meshtrace: aiohttp %s has no client middlewares that meshtrace knows: "
            "its calls go out without trace headers. Supported: aiohttp>=3.12,<4",
            aiohttp.__version__,
        )
    return supported


@functools.cache
def _relaying(kind: Any) -> type[aiohttp.ClientSession]:  # noqa: ANN401 - mypy: no Hashable
    # Below the session's own class, which may choose the middlewares of a call.
    bases = (_RelayingSession,) if kind is CLIENT else (kind, _RelayingSession)
    made: type[aiohttp.ClientSession] = subclass(kind, *bases)
    return made

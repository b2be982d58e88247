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
import re
from collections.abc import Callable
from typing import Any, TypeVar

from meshtrace.extras import needed

with needed("urllib3"):
    import urllib3
    from urllib3 import HTTPConnectionPool, PoolManager

from meshtrace import notices
from meshtrace.departure import Departures
from meshtrace.outbound.urllib3.attempts import call_of, last_look, relay
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Settings

__all__ = ["CLIENT", "patch", "unpatch", "unwatch", "watch", "wrap"]

CLIENT = (PoolManager, HTTPConnectionPool)
"""What `wrap` takes."""

C = TypeVar("C", bound=PoolManager | HTTPConnectionPool)
Method = Callable[..., Any]

_OLDEST = (1, 23)


class _RelayingPool(HTTPConnectionPool):
    """A pool that adds headers to what it sends."""

    meshtrace_departures: Departures

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's own
        """Make an attempt, with the headers of the current request added."""
        departures = self.meshtrace_departures
        return relay(super().urlopen, departures, self, (method, url, *args), kwargs)


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
    global _is_patched  # noqa: PLW0603 - a class is patched once in a process
    if _is_supported():
        notices.client_ready("urllib3")
        _is_patched = True
        _urlopen.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    global _is_patched  # noqa: PLW0603 - as above
    _is_patched = False
    _urlopen.give_back()
    last_look.give_back()


def watch() -> None:
    """
    Look at the attempts of all pools, but change those only that are of a call of an outer room.

    To be asked at each such call: `unpatch` undoes it, too.
    """
    if _urlopen.on or _is_supported():
        _urlopen.put()


def unwatch() -> None:
    """Undo `watch`."""
    if not _is_patched:
        unpatch()


_is_patched = False


def _around(original: Method) -> Method:
    departures = Departures("urllib3", Settings())

    def urlopen(
        self: HTTPConnectionPool,
        method: str,
        url: str,
        *args: Any,  # noqa: ANN401 - urllib3's own
        **kwargs: Any,  # noqa: ANN401 - urllib3's own
    ) -> object:
        args = (method, url, *args)
        if isinstance(self, _RelayingPool) or not (_is_patched or call_of(self, args, kwargs)):
            return original(self, *args, **kwargs)
        return relay(functools.partial(original, self), departures, self, args, kwargs)

    return urlopen


_urlopen = Replacement(HTTPConnectionPool, "urlopen", _around)


def _is_supported() -> bool:
    version: str = vars(urllib3)["__version__"]
    numbers = tuple(map(int, re.findall(r"\d+", version)[: len(_OLDEST)]))
    if numbers < _OLDEST:
        notices.unsupported("urllib3", version, ".".join(map(str, _OLDEST)))
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

"""
What became of each call made for a request, kept where the setting ``explain`` asks for it.

Names are kept, and hosts; no value, no path.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from urllib.parse import urlsplit

from meshtrace.values import Value

__all__ = ["OUTSIDE", "Call", "Record", "host_and_port", "is_rehearsing", "rehearsing"]

logger = logging.getLogger("meshtrace")

_MOST = 100
"""A request that makes more calls is explained by its last ones."""

_silent: Final[ContextVar[bool]] = ContextVar("meshtrace.silent", default=False)


class Call(Value):
    """
    One attempt of one call, as it was decided.

    Attributes:
        client: The library that makes it, such as ``requests``; ``headers()`` where the application
            asked for the headers itself.
        host: Where it goes, as ``host:port``; the port only where it was given.
        sent: The names of the fields that were added.
        withheld: The names of the fields that were not, each with the reason code.
        replaced: The names of headers that had to go: the caller's own
            (``on_conflict="replace"``), or another tracer's.
        redirected: Whether it follows a redirect.

    >>> print(Call("requests", "reviews:9080", sent=("b3",)))
    requests to reviews:9080: sent b3
    """

    __slots__ = ("client", "host", "redirected", "replaced", "sent", "withheld")

    client: str
    host: str
    sent: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]
    replaced: tuple[str, ...]
    redirected: bool

    def __init__(  # noqa: PLR0913 - what there is to say, by name
        self,
        client: str,
        host: str,
        *,
        sent: tuple[str, ...] = (),
        withheld: tuple[tuple[str, str], ...] = (),
        replaced: tuple[str, ...] = (),
        redirected: bool = False,
    ) -> None:
        self.hold(
            client=client,
            host=host,
            sent=sent,
            withheld=withheld,
            replaced=replaced,
            redirected=redirected,
        )

    def __str__(self) -> str:
        """Say it in one line."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.withheld:
            by_reason.setdefault(reason, []).append(name)
        parts = [f"sent {', '.join(self.sent) or 'nothing'}"]
        parts += [
            f"not sent: {', '.join(names)} ({reason})" if any(names) else f"lost: {reason}"
            for reason, names in by_reason.items()
        ]
        if self.replaced:
            parts.append(f"in the place of: {', '.join(self.replaced)}")
        hop = ", after a redirect" if self.redirected else ""
        return f"{self.client} to {self.host}{hop}: {'; '.join(parts)}"


class Record:
    """
    The calls of one request.

    Attributes:
        calls: The last of them, in order.
        number: How many there were in all.
    """

    __slots__ = ("calls", "number")

    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=_MOST)
        self.number = 0

    def note(self, call: Call) -> None:
        """Keep a call, and say it at level DEBUG."""
        if is_rehearsing():
            return
        self.calls.append(call)
        self.number += 1
        # Who sends the log over HTTP makes a call for it.
        with rehearsing():
            logger.debug("meshtrace: %s", call)


OUTSIDE: Final = Record()
"""The calls made for no request, in the whole process."""


@contextmanager
def rehearsing() -> Iterator[None]:
    """Decide without a note of it: the call is not made, or not yet."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


def is_rehearsing() -> bool:
    """Tell whether what is decided here is for no call."""
    return _silent.get()


def host_and_port(url: str | None) -> str:
    """
    Read where a URL leads, for people; nothing else of it is given.

    >>> host_and_port("http://jason:secret@reviews:9080/reviews/0?user=jason")
    'reviews:9080'
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return "an unknown host"
    host = parts.netloc.rpartition("@")[2]
    return host or "an unknown host"

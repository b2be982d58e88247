"""The calls that leave while a test runs, and the requests that are served meanwhile."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from meshtrace.ambient import CURRENT, Entered
from meshtrace.otel.rules import outbound_rules
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.record import is_rehearsing, rehearsing
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Kept, Snapshot
from meshtrace.replacing import Function, Replacement
from meshtrace.settings import Settings
from meshtrace.testing.taps import Tapped

__all__ = ["Outgoing", "Recorder"]

_UNSET: Any = object()
"""Of a thread or a task that nobody gave a context, and nobody detached."""


class Outgoing:
    """
    One attempt of one call.

    Attributes:
        client: The library that made it.
        method: The method; for gRPC, the name of the remote one.
        url: Where it went.
        headers: The headers it left with, names in lower case.
        came: What the request brought that it was made for, as far as this host may have it; None
            where it was made for none.
        within: Whether its code ran in the context of that request.
        delivers: Whether it is how the test itself sent the request.
    """

    def __init__(self, client: str, method: str, url: str, headers: Mapping[str, str]) -> None:
        self.client = client
        self.method = method
        self.url = url
        self.headers = headers
        self.came: dict[str, str] | None = None
        self.within = False
        self.delivers = False

    @property
    def host(self) -> str:
        """Where it went, with the port if there is one."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def goes_to(self, to: str) -> bool:
        """
        Tell whether it went to a place.

        Args:
            to: A host, a host and a port, or the beginning of a URL.

        >>> call = Outgoing("requests", "GET", "http://reviews:9080/reviews/0", {})
        >>> [call.goes_to(to) for to in ("reviews", "reviews:9080", "http://reviews", "review")]
        [True, True, True, False]
        """
        if "://" in to:
            whole, rest = self.url.startswith(to), self.url[len(to) : len(to) + 1]
            return whole and (rest in {"", "/", "?", ":"} or to.endswith("/"))
        return to.lower() in {self.host.lower(), urlsplit(self.url).hostname}

    def __repr__(self) -> str:
        return f"{self.method} {self.url} ({self.client})"


class Recorder:
    """
    Keeps what leaves while it is open.

    Attributes:
        calls: The calls, in the order in which they began.
        made: The headers that the test made, for requests that it sends or has sent.
        served: The requests that were read, by a middleware or by ``use()``.
    """

    def __init__(self) -> None:
        self.calls: list[Outgoing] = []
        self.made: list[dict[str, str]] = []
        self.served: list[Snapshot] = []
        self._delivered: list[dict[str, str]] = []
        self._inside: dict[int, int] = {}
        self._lock = threading.RLock()
        self._replacements = (
            Replacement(Snapshot, "__init__", self._around_reading),
            Replacement(Entered, "__enter__", self._around_step(1)),
            Replacement(Entered, "__exit__", self._around_step(-1)),
        )
        self._tapped = Tapped(self.begin)

    def __enter__(self) -> Self:
        # One for the test, and one that judges all tests, hear of the same requests.
        if _open:
            self.made += _open[-1].made
        _open.append(self)
        for replacement in self._replacements:
            replacement.put()
        self._tapped.open()
        return self

    def __exit__(self, *error: object) -> None:
        _open.remove(self)
        self._tapped.close()
        for replacement in reversed(self._replacements):
            replacement.give_back()

    @staticmethod
    def tell(made: dict[str, str]) -> None:
        """Tell everyone who listens that the test has made the headers of a request."""
        for recorder in _open:
            recorder.made.append(made)

    @property
    def has_read(self) -> bool:
        """Whether any request with ids was read while the recorder was open."""
        return any(one.accepted.ids for one in self.served)

    def begin(
        self, client: str, method: str, url: str, headers: Iterable[tuple[str, str]]
    ) -> Callable[[Iterable[tuple[str, str]]], None]:
        """
        Keep a call that begins.

        Args:
            client: The library.
            method: The method.
            url: Where it goes.
            headers: What it leaves with, as far as that is known.

        Returns:
            What to tell the headers that it has left with.
        """
        call = Outgoing(client, method, url, _lower(headers))
        with self._lock, rehearsing():
            self.calls.append(call)
            self._attribute(call)

        def end(headers: Iterable[tuple[str, str]]) -> None:
            call.headers = _lower(headers)

        return end

    def _attribute(self, call: Outgoing) -> None:
        """Find out for which request it is made."""
        current: Any = CURRENT.get(_UNSET)
        if current is None:
            # Detached, on purpose.
            return
        in_progress = [one for one in self.served if self._is_in_progress(one)]
        if current is not _UNSET:
            call.within = True
            owner: Snapshot = current
        elif in_progress:
            owner = _owner(call, in_progress)
        else:
            waiting = [made for made in self.made if made not in self._delivered]
            for made in waiting:
                if made.items() <= call.headers.items():
                    self._delivered.append(made)
                    call.delivers = True
            unread = [one for one in map(_read, self.made) if not self._was_served(one)]
            if not unread:
                return
            owner = _owner(call, unread)
        call.came = outbound_rules(Settings()).fields(owner, call.url)

    def _is_in_progress(self, snapshot: Snapshot) -> bool:
        # What was entered by use() has no end of its own.
        return (
            not snapshot.ended
            and self._inside.get(id(snapshot), 1) > 0
            and bool(snapshot.accepted.ids)
        )

    def _was_served(self, made: Snapshot) -> bool:
        return any(one.accepted.ids == made.accepted.ids for one in self.served)

    def _around_reading(self, original: Function) -> Function:
        def read(snapshot: Snapshot, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the original's own
            original(snapshot, *args, **kwargs)
            if not is_rehearsing():
                self.served.append(snapshot)

        return read

    def _around_step(self, step: int) -> Callable[[Function], Function]:
        def around(original: Function) -> Function:
            def enter_or_leave(entered: Entered, *args: Any) -> Any:  # noqa: ANN401 - the original's own
                snapshot = entered._snapshot  # noqa: SLF001 - of this library
                if snapshot is not None:
                    key = id(snapshot.origin)
                    self._inside[key] = self._inside.get(key, 0) + step
                return original(entered, *args)

            return enter_or_leave

        return around


_open: list[Recorder] = []


def _read(made: Mapping[str, str]) -> Snapshot:
    return Kept(from_carrier(made, InboundRules(Settings())))


def _owner(call: Outgoing, candidates: list[Snapshot]) -> Snapshot:
    """Give the request whose ids a call has; of none, the last one that came."""
    values = set(call.headers.values())
    for one in candidates:
        if not values.isdisjoint(one.accepted.ids.values()):
            return one
    return candidates[-1]


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}

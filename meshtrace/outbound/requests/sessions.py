"""Sessions that relay, one by one: wrapped ones, and the drop-in."""

import functools
from typing import Any, ClassVar, TypeVar, Unpack, cast

import requests

from meshtrace import notices
from meshtrace.departure import Departures
from meshtrace.outbound.requests.sending import is_watched, relay, watched
from meshtrace.replacing import subclass
from meshtrace.settings import Options, Settings

__all__ = ["RelayingSession", "Session", "wrap"]

S = TypeVar("S", bound=requests.Session)


class RelayingSession(requests.Session):
    """A session that adds headers to what it sends."""

    meshtrace_kind: ClassVar[type[requests.Session] | None] = None
    meshtrace_settings: Settings = Settings()
    meshtrace_departures: Departures | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
        """Send a prepared request, with the headers of the current request added."""
        departures = self.meshtrace_departures
        if departures is not None:
            if is_watched(departures):
                return watched(super().send, departures, request, **kwargs)
            relay(request, departures)
        return super().send(request, **kwargs)

    def meshtrace_follow(self, settings: Settings) -> None:
        """Set the settings of this session."""
        self.meshtrace_settings = settings
        departures = Departures("requests", settings)
        self.meshtrace_departures = None if departures.off else departures

    def __reduce__(self) -> tuple[Any, ...]:
        kind = self.meshtrace_kind or type(self)
        return _blank, (kind, self.meshtrace_settings), self.__getstate__()


class Session(RelayingSession):
    """
    The drop-in for `requests.Session` that adds the current request's headers to every call.

    Args:
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.

    >>> with Session(deny_hosts="api.example.com") as session:
    ...     isinstance(session, requests.Session)
    True
    """

    def __init__(self, *, settings: Settings | None = None, **options: Unpack[Options]) -> None:
        super().__init__()
        self.meshtrace_follow(Settings.of(settings, options, "on a client"))
        notices.client_ready("requests")


def wrap(session: S, settings: Settings) -> S:
    """
    Make a session add the current request's headers to every call.

    The session stays the same object, of a subclass of its class: what is patched or mocked on its
    class later is still called. Wrapping twice is wrapping once, with the later settings.

    Args:
        session: A session of any subclass.
        settings: The settings of this session.

    >>> session = requests.Session()
    >>> wrap(session, Settings()) is session
    True
    """
    if not isinstance(session, RelayingSession):
        kind: Any = type(session)
        cast("requests.Session", session).__class__ = _relaying(kind)
    cast("RelayingSession", session).meshtrace_follow(settings)
    notices.client_ready("requests")
    return session


@functools.cache
def _relaying(kind: Any) -> type[RelayingSession]:  # noqa: ANN401 - mypy: no Hashable
    # Below the session's own class, whose `send` may choose another host.
    bases = (RelayingSession,) if kind is requests.Session else (kind, RelayingSession)
    made: type[RelayingSession] = subclass(kind, *bases, meshtrace_kind=kind)
    return made


def _blank(kind: Any, settings: Settings) -> requests.Session:  # noqa: ANN401 - mypy: no Hashable
    """Make a session without requests' state, for pickle to fill."""
    relaying = kind if issubclass(kind, RelayingSession) else _relaying(kind)
    session: RelayingSession = relaying.__new__(relaying)
    session.meshtrace_follow(settings)
    return session

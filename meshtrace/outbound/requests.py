"""
requests: every call of a session goes through ``Session.send``, prepared by hand or not.

Each redirect does, too. The headers are added to the outgoing request only, never to
``session.headers``, which threads share, and after ``auth=``, so that a signature does not cover
them.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar, Unpack, cast

from meshtrace.extras import needed

with needed("requests"):
    import requests
    from requests.structures import CaseInsensitiveDict

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on, take_off
from meshtrace.otel.written import others_write
from meshtrace.relay.inject import Sent
from meshtrace.relay.record import rehearsing
from meshtrace.replacing import Replacement, subclass
from meshtrace.settings import Options, Settings

__all__ = ["CLIENT", "Session", "patch", "unpatch", "wrap"]

CLIENT = requests.Session
"""What `wrap` takes."""

S = TypeVar("S", bound=requests.Session)
SendMethod = Callable[..., requests.Response]


class _RememberingRequest(requests.PreparedRequest):
    """
    A request that remembers what was added to it, also on copies made for redirects.

    A request becomes one when it is sent: its class is changed in place, because the object belongs
    to the caller.
    """

    meshtrace_kind: ClassVar[type[requests.PreparedRequest]] = requests.PreparedRequest
    meshtrace_sent: Sent = NOTHING

    def copy(self) -> requests.PreparedRequest:
        """Copy the request, which now follows a redirect."""
        copy = super().copy()
        _remember(copy, self.meshtrace_sent.next_hop())
        # Some kinds of auth send a copy past the session, for which all is decided, too.
        copy.headers.meshtrace_sent = True  # type: ignore[attr-defined]  # requests' own class
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Pickle the request as its caller made it.

        Nothing of this context goes into another process, and nobody needs meshtrace to read it.
        """
        plain = self.meshtrace_kind.__new__(self.meshtrace_kind)
        plain.__dict__.update(self.__dict__, headers=self.headers.copy())
        take_off(plain.headers, plain.__dict__.pop("meshtrace_sent", NOTHING))
        return object.__new__, (self.meshtrace_kind,), plain.__getstate__()


class _RelayingSession(requests.Session):
    """A session that adds headers to what it sends."""

    meshtrace_kind: ClassVar[type[requests.Session] | None] = None
    meshtrace_settings: Settings = Settings()
    meshtrace_departures: Departures | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
        """Send a prepared request, with the headers of the current request added."""
        departures = self.meshtrace_departures
        if departures is not None:
            if departures.rules.value.spans or others_write("requests"):
                send = functools.partial(super().send, request, **kwargs)
                return _watched(send, request, departures)
            _relay(request, departures)
        return super().send(request, **kwargs)

    def meshtrace_follow(self, settings: Settings) -> None:
        """Set the settings of this session."""
        self.meshtrace_settings = settings
        departures = Departures("requests", settings)
        self.meshtrace_departures = None if departures.off else departures

    def __reduce__(self) -> tuple[Any, ...]:
        kind = self.meshtrace_kind or type(self)
        return _blank, (kind, self.meshtrace_settings), self.__getstate__()


class Session(_RelayingSession):
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
        self.meshtrace_follow(Settings.of(settings, options))
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
    if not isinstance(session, _RelayingSession):
        kind: Any = type(session)
        cast("requests.Session", session).__class__ = _relaying(kind)
    cast("_RelayingSession", session).meshtrace_follow(settings)
    notices.client_ready("requests")
    return session


def patch() -> None:
    """Make every session of the process add the current request's headers."""
    global _active  # noqa: PLW0603 - a class is patched once in a process
    _active = True
    notices.client_ready("requests")
    if not _is_installed():
        _install(requests.Session.send)
    if requests.Session.prepare_request not in _originals:
        _install_for_mocks(requests.Session.prepare_request)


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    global _active  # noqa: PLW0603 - a class is patched once in a process
    _active = False
    for name in ("send", "prepare_request"):
        method = getattr(requests.Session, name)
        if method in _originals:
            setattr(requests.Session, name, _originals.pop(method))
    _last_look.give_back()


_active = False
_originals: dict[Callable[..., Any], Callable[..., Any]] = {}


def _is_installed() -> bool:
    method: Callable[..., Any] | None = requests.Session.send
    while method is not None and method not in _originals:
        method = getattr(method, "__wrapped__", None)
    return method is not None


def _install(original: SendMethod) -> None:
    departures = Departures("requests", Settings())
    # What a mock puts in the place of the method may be called without the session.
    is_method = hasattr(original, "__get__")

    # Without its attributes: another instrumentation's marks on it would be taken for ours.
    @functools.wraps(original, updated=())
    def send(
        self: requests.Session,
        request: requests.PreparedRequest,
        **kwargs: Any,  # noqa: ANN401 - requests' own options
    ) -> requests.Response:
        if _active and not isinstance(self, _RelayingSession):
            if is_method and (departures.rules.value.spans or others_write("requests")):
                send_on = functools.partial(original, self, request, **kwargs)
                return _watched(send_on, request, departures)
            _relay(request, departures)
        return original(self, request, **kwargs) if is_method else original(request, **kwargs)

    _originals[send] = original
    requests.Session.send = send  # type: ignore[method-assign]  # that is what patching is


def _install_for_mocks(original: Callable[..., requests.PreparedRequest]) -> None:
    departures = Departures("requests", Settings())

    # A mock that was imported before `patch` sends by the method it found then, past ours; what it
    # is asked about are the headers of the request.
    @functools.wraps(original, updated=())
    def prepare_request(
        self: requests.Session, request: requests.Request
    ) -> requests.PreparedRequest:
        prepared = original(self, request)
        if _active and not (_is_installed() or isinstance(self, _RelayingSession)):
            _relay(prepared, departures)
        return prepared

    _originals[prepare_request] = original
    requests.Session.prepare_request = prepare_request  # type: ignore[method-assign]  # that is what patching is


def _watched(send: SendMethod, request: object, departures: Departures) -> requests.Response:
    """Send a request in a span, and decide again beneath another tracer around ``send``."""
    attempt = None
    if departures.rules.value.spans and isinstance(request, requests.PreparedRequest):
        hops = getattr(request, "meshtrace_sent", NOTHING).hops
        attempt = departures.attempt(request.method or "", request.url or "", hops)
    # Redirects are followed inside, and have spans of their own.
    with nullcontext() if attempt is None else attempt.until_hook(request):
        _relay(request, departures)
        if not others_write("requests"):
            return send()
        _last_look.put()
        token = _sending.set((request, departures))
        try:
            return send()
        finally:
            _sending.reset(token)


def _looking_last(get_adapter: Callable[..., Any]) -> Callable[..., Any]:
    def look_and_get(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
        if (sending := _sending.get()) is not None:
            _sending.set(None)
            with rehearsing():
                _relay(*sending)
        return get_adapter(*args, **kwargs)

    return look_and_get


_sending: ContextVar[tuple[object, Departures] | None] = ContextVar("sending", default=None)
_last_look = Replacement(requests.Session, "get_adapter", _looking_last)


def _relay(request: object, departures: Departures) -> None:
    try:
        if not isinstance(request, requests.PreparedRequest):
            return  # which is requests' own error to raise
        # Sent again, it is decided afresh.
        before = request.meshtrace_sent if isinstance(request, _RememberingRequest) else None
        sent = departures.decide(request.headers, request.url or "", before)
        if sent is not NOTHING:
            # First of all: what is added must be taken off again.
            _remember(request, sent)
            headers: Any = request.headers
            if type(headers) is dict:
                # Somebody has put it in the place of requests' own, and it can have no attribute.
                headers = request.headers = CaseInsensitiveDict(headers)
            # The room of urllib3, which is handed these very headers, sees that all is decided.
            headers.meshtrace_sent = True
            put_on(headers, sent)
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of requests")


def _remember(request: requests.PreparedRequest, sent: Sent) -> None:
    if type(request) is requests.PreparedRequest:
        request.__class__ = _RememberingRequest
    elif not isinstance(request, _RememberingRequest):
        kind: Any = type(request)
        request.__class__ = _remembering(kind)
    request.meshtrace_sent = sent  # type: ignore[attr-defined]  # its class has it now


@functools.cache
def _remembering(kind: Any) -> type[_RememberingRequest]:  # noqa: ANN401 - mypy: no Hashable
    made: type[_RememberingRequest] = subclass(kind, _RememberingRequest, kind, meshtrace_kind=kind)
    return made


@functools.cache
def _relaying(kind: Any) -> type[_RelayingSession]:  # noqa: ANN401 - mypy: no Hashable
    # Below the session's own class, whose `send` may choose another host.
    bases = (_RelayingSession,) if kind is requests.Session else (kind, _RelayingSession)
    made: type[_RelayingSession] = subclass(kind, *bases, meshtrace_kind=kind)
    return made


def _blank(kind: Any, settings: Settings) -> requests.Session:  # noqa: ANN401 - mypy: no Hashable
    """Make a session without requests' state, for pickle to fill."""
    relaying = kind if issubclass(kind, _RelayingSession) else _relaying(kind)
    session: _RelayingSession = relaying.__new__(relaying)
    session.meshtrace_follow(settings)
    return session

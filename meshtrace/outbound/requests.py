"""
requests: every call of a session goes through ``Session.send``, prepared by hand or not.

Each redirect does, too. The headers are added to the outgoing request only, never to
``session.headers``, which threads share, and after ``auth=``, so that a signature does not cover
them.
"""

import functools
from collections.abc import Callable, MutableMapping
from typing import Any, ClassVar, TypeVar, Unpack, cast

import requests

from meshtrace import notices
from meshtrace.configuration import Following, disabled
from meshtrace.current import CURRENT
from meshtrace.relay.inject import OutboundRules, Sent
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
    meshtrace_sent: Sent = Sent(())

    def copy(self) -> requests.PreparedRequest:
        """Copy the request, which now follows a redirect."""
        copy = super().copy()
        _remember(copy, self.meshtrace_sent.next_hop())
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Pickle the request as its caller made it.

        Nothing of this context goes into another process, and nobody needs meshtrace to read it.
        """
        plain = self.meshtrace_kind.__new__(self.meshtrace_kind)
        plain.__dict__.update(self.__dict__, headers=self.headers.copy())
        _take_off(plain.headers, plain.__dict__.pop("meshtrace_sent", Sent(())))
        return object.__new__, (self.meshtrace_kind,), plain.__getstate__()


class _RelayingSession(requests.Session):
    """A session that adds headers to what it sends."""

    meshtrace_kind: ClassVar[type[requests.Session] | None] = None
    meshtrace_settings: Settings = Settings()
    meshtrace_rules: Following[OutboundRules] | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
        """Send a prepared request, with the headers of the current request added."""
        if self.meshtrace_rules is not None:
            _relay(request, self.meshtrace_rules.value)
        return super().send(request, **kwargs)

    def meshtrace_follow(self, settings: Settings) -> None:
        """Set the settings of this session."""
        self.meshtrace_settings = settings
        self.meshtrace_rules = None if disabled() else Following(OutboundRules, settings)

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


_active = False
_originals: dict[Callable[..., Any], Callable[..., Any]] = {}


def _is_installed() -> bool:
    method: Callable[..., Any] | None = requests.Session.send
    while method is not None and method not in _originals:
        method = getattr(method, "__wrapped__", None)
    return method is not None


def _install(original: SendMethod) -> None:
    rules = Following(OutboundRules, Settings())
    # What a mock puts in the place of the method may be called without the session.
    is_method = hasattr(original, "__get__")

    # Without the original's attributes: another instrumentation's marks on it would be taken for
    # ours.
    @functools.wraps(original, updated=())
    def send(
        self: requests.Session,
        request: requests.PreparedRequest,
        **kwargs: Any,  # noqa: ANN401 - requests' own options
    ) -> requests.Response:
        if _active and not isinstance(self, _RelayingSession):
            _relay(request, rules.value)
        return original(self, request, **kwargs) if is_method else original(request, **kwargs)

    _originals[send] = original
    requests.Session.send = send  # type: ignore[method-assign]  # that is what patching is


def _install_for_mocks(original: Callable[..., requests.PreparedRequest]) -> None:
    rules = Following(OutboundRules, Settings())

    # A mock that was imported before `patch` sends by the method it found then, past ours; what it
    # is asked about are the headers of the request.
    @functools.wraps(original, updated=())
    def prepare_request(
        self: requests.Session, request: requests.Request
    ) -> requests.PreparedRequest:
        prepared = original(self, request)
        if _active and not (_is_installed() or isinstance(self, _RelayingSession)):
            _relay(prepared, rules.value)
        return prepared

    _originals[prepare_request] = original
    requests.Session.prepare_request = prepare_request  # type: ignore[method-assign]  # that is what patching is


def _relay(request: object, rules: OutboundRules) -> None:
    try:
        if type(request) is requests.PreparedRequest:
            before = None
        elif isinstance(request, _RememberingRequest):
            # Sent again, it is decided afresh.
            before = request.meshtrace_sent
            _take_off(request.headers, before)
            request.meshtrace_sent = before.taken_off()
        elif isinstance(request, requests.PreparedRequest):
            before = None
        else:
            # Not prepared, which is requests' own error to raise.
            return
        snapshot = CURRENT.get()
        if snapshot is None:
            notices.client_sent_without_context()
            return
        headers = request.headers
        sent = rules.decide(snapshot, request.url or "", headers, before)
        # First of all: what is added must be taken off again.
        _remember(request, sent)
        if sent.replaced:
            for name in sent.replaced:
                del headers[name]
        for name, value in sent.fields:
            headers[name] = value
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of requests")


def _take_off(headers: MutableMapping[str, Any], sent: Sent) -> None:
    """Leave the caller's own headers, but for what the caller has changed since."""
    # What is gone was taken away on purpose, as requests does with Authorization on a redirect to
    # another host: what it replaced does not come back.
    gone = {name for name, _ in sent.fields if name not in headers}
    for name, value in sent.fields:
        if headers.get(name) == value:
            del headers[name]
    for name, value in sent.replaced.items():
        if name.lower() not in gone:
            headers.setdefault(name, value)


def _remember(request: requests.PreparedRequest, sent: Sent) -> None:
    if type(request) is requests.PreparedRequest:
        request.__class__ = _RememberingRequest
    elif not isinstance(request, _RememberingRequest):
        kind: Any = type(request)
        request.__class__ = _remembering(kind)
    request.meshtrace_sent = sent  # type: ignore[attr-defined]  # its class has it now


@functools.cache
def _remembering(kind: Any) -> type[_RememberingRequest]:  # noqa: ANN401 - mypy: no Hashable
    return type(kind.__name__, (_RememberingRequest, kind), _members(kind))


@functools.cache
def _relaying(kind: Any) -> type[_RelayingSession]:  # noqa: ANN401 - mypy: no Hashable
    # Below the session's own class, whose `send` may choose another host.
    bases = (_RelayingSession,) if kind is requests.Session else (kind, _RelayingSession)
    return type(kind.__name__, bases, _members(kind))


def _members(kind: type) -> dict[str, Any]:
    return {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "meshtrace_kind": kind,
    }


def _blank(kind: Any, settings: Settings) -> requests.Session:  # noqa: ANN401 - mypy: no Hashable
    """Make a session without requests' state, for pickle to fill."""
    relaying = kind if issubclass(kind, _RelayingSession) else _relaying(kind)
    session: _RelayingSession = relaying.__new__(relaying)
    session.meshtrace_follow(settings)
    return session

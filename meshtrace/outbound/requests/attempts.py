"""
The attempts of one call, where they have spans.

The first ends when requests calls the hooks for its response. What is sent again below the session
is an attempt of its own: urllib3's retries (``HTTPAdapter(max_retries=...)``), and the rounds of an
auth that answers a challenge by the connection of the response (``HTTPDigestAuth``). All of them go
through urllib3's pools, where its room finds the call by the mark on the headers.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self

import requests

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.relay.inject import Sent

__all__ = ["Call", "unwatch"]


class Call:
    """
    A call that is on its way, and the span of its latest attempt.

    It marks the headers of the request, and is entered for each attempt that urllib3 makes.

    Args:
        request: What is sent.
        departures: Decides.
        hops: How many attempts there were before, in a chain of redirects.
        span: The first attempt's.

    Attributes:
        sent: What stands on the headers of the request.
        resent: How many attempts there were after the first.
        is_open: Whether it is still on its way.
    """

    def __init__(
        self,
        request: requests.PreparedRequest,
        departures: Departures,
        hops: int,
        span: Any,  # noqa: ANN401 - OpenTelemetry may be missing
    ) -> None:
        self.sent: Sent = NOTHING
        self.resent = 0
        self.is_open = True
        self._method = request.method or ""
        self._url = request.url or ""
        self._departures = departures
        self._hops = hops
        self._span = span
        self._error: BaseException | None = None
        self._has_begun = False
        self._unhook: Callable[[], None] | None = None

    @classmethod
    def of(cls, request: requests.PreparedRequest, departures: Departures) -> Self | None:
        """Begin the first attempt; None where it is to have no span."""
        hops = getattr(request, "meshtrace_sent", NOTHING).hops
        span = departures.attempt(request.method or "", request.url or "", hops)
        return None if span is None else cls(request, departures, hops, span)

    @contextmanager
    def until_answered(self, request: requests.PreparedRequest) -> Iterator[None]:
        """Go on until requests has called the hooks for the response."""
        token = _current.set(self)
        try:
            self._hook(request)
            _watch()
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("adding a hook to a call of requests")
        try:
            yield
        except BaseException as error:
            self._span.end(error)
            raise
        finally:
            _current.reset(token)
            self.unhook()
            self._span.end()
            self.is_open = False
            self._error = None

    def attempt(
        self,
        headers: Any,  # noqa: ANN401 - of any type
        before: Sent | None = None,
        ended: Any = None,  # noqa: ANN401 - urllib3's own
    ) -> tuple[Any, Sent]:
        """
        Make an attempt below the session: the first, which has begun, or one more.

        Args:
            headers: What it is to be sent with.
            before: What was put on them, where they are not those of the request.
            ended: What urllib3 has noted of the attempt before, where it makes that again.

        Returns:
            What it is sent with, a copy for all but the first, and what was put on it.
        """
        if not self._has_begun:
            self._has_begun = True
            return headers, self.sent
        if ended is not None:
            self._span.answered(ended.status)
            self._error = ended.error
        self._span.end(self._error)
        self._error = None
        self.resent += 1
        departures = self._departures
        span = departures.attempt(self._method, self._url, self._hops + self.resent)
        if span is not None:
            self._span = span
        headers = headers.copy()
        sent = departures.decide(headers, self._url, self.sent if before is None else before)
        put_on(headers, sent)
        headers.meshtrace_sent = self
        return headers, sent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What requests makes of it is what the span tells, unless there is one more attempt.
        self._error = error

    def answered(self, status: int | None, version: str | int | None = None) -> None:
        """
        End an attempt with the head of its response.

        Args:
            status: Its status code.
            version: The version of HTTP, as the library tells it.
        """
        self._span.answered(status, version)
        self._span.end()

    def unhook(self) -> None:
        """Give the request its own hooks back."""
        unhook, self._unhook = self._unhook, None
        if unhook is not None:
            unhook()

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # The headers that it marks may be pickled, and read where there is no meshtrace.
        return bool, (True,)

    def _hook(self, request: requests.PreparedRequest) -> None:
        hooks: Any = request.hooks
        # Sent twice at once, it has ours already.
        callers = hooks.callers if isinstance(hooks, _Hooks) else hooks
        request.hooks = _Hooks(callers)
        self._unhook = functools.partial(setattr, request, "hooks", callers)


class _Hooks(dict[str, Any]):
    """The hooks of a request that waits for its response; pickled, they are the caller's own."""

    def __init__(self, callers: dict[str, Any]) -> None:
        theirs = callers.get("response") or ()
        theirs = (theirs,) if callable(theirs) else theirs
        super().__init__({**callers, "response": [_answered, *theirs]})
        self.callers = callers

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.callers,)


_current: Final[ContextVar[Call | None]] = ContextVar("meshtrace.requests", default=None)
"""The call that waits for its response."""


def _answered(response: requests.Response, **_: object) -> None:
    call = _current.get()
    if call is not None:
        call.unhook()
        try:
            call.answered(response.status_code, getattr(response.raw, "version", None))
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("looking at a response of requests")


def _watch() -> None:
    from meshtrace.outbound import urllib3  # noqa: PLC0415 - for calls that have spans only

    urllib3.watch()


def unwatch() -> None:
    """Let urllib3 be as it was, unless it is patched itself."""
    if "meshtrace.outbound.urllib3" in sys.modules:
        from meshtrace.outbound import urllib3  # noqa: PLC0415 - as above

        urllib3.unwatch()

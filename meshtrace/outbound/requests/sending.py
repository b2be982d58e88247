"""One request on its way: what is decided for it, and when."""

from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final

import requests

from meshtrace import notices
from meshtrace.departure import NOTHING, Departures, put_on
from meshtrace.otel.written import others_write
from meshtrace.outbound.requests.attempts import Call
from meshtrace.outbound.requests.remembering import case_insensitive, remember
from meshtrace.relay.record import rehearsing
from meshtrace.replacing import Replacement

__all__ = ["is_watched", "last_look", "relay", "watched"]

Send = Callable[..., requests.Response]

_INSTRUMENTATION = "opentelemetry.instrumentation.requests"


def relay(request: object, departures: Departures, call: Call | None = None) -> None:
    """
    Decide what a request may have, and put it on.

    Args:
        request: The request; anything else is left alone.
        departures: Decides.
        call: Who makes the attempts of its call, if they have spans.
    """
    try:
        before = None
        if type(request) is not requests.PreparedRequest:
            if not isinstance(request, requests.PreparedRequest):
                return  # which is requests' own error to raise
            # Sent again, it is decided afresh.
            before = getattr(request, "meshtrace_sent", None)
        headers: Any = request.headers
        if type(headers) is dict:
            headers = case_insensitive(headers)
        sent = departures.decide(headers, request.url or "", before)
        if sent is not NOTHING:
            # First of all: what is added must be taken off again.
            remember(request, sent)
            # The room of urllib3, which is handed these very headers, sees that all is decided.
            headers.meshtrace_sent = True if call is None else call
            request.headers = headers
            put_on(headers, sent)
            if call is not None:
                call.sent = sent
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("adding headers to a call of requests")


def is_watched(departures: Departures) -> bool:
    """Tell whether there is more to do for a call than to `relay`."""
    return departures.rules.value.spans or others_write(_INSTRUMENTATION)


def watched(send: Send, departures: Departures, request: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own
    """
    Send a request in a span, and decide again beneath another tracer around ``send``.

    Args:
        send: What sends it.
        departures: Decides.
        request: The request.
        kwargs: What else *send* is given.
    """
    call = None
    if departures.rules.value.spans and isinstance(request, requests.PreparedRequest):
        call = Call.of(request, departures)
    # Redirects are followed inside, and have spans of their own.
    with nullcontext() if call is None else call.until_answered(request):
        relay(request, departures, call)
        if not others_write(_INSTRUMENTATION):
            return send(request, **kwargs)
        last_look.put()
        token = _sending.set((request, departures, call))
        try:
            return send(request, **kwargs)
        finally:
            _sending.reset(token)


def _looking_last(get_adapter: Callable[..., Any]) -> Callable[..., Any]:
    def look_and_get(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
        if (sending := _sending.get()) is not None:
            _sending.set(None)
            with rehearsing():
                relay(*sending)
        return get_adapter(*args, **kwargs)

    return look_and_get


_sending: Final[ContextVar[tuple[object, Departures, Call | None] | None]] = ContextVar(
    "sending", default=None
)
last_look: Final = Replacement(requests.Session, "get_adapter", _looking_last)
"""Where a session looks for what sends a request: after all that is around ``send``."""

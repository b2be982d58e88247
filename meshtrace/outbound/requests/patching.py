"""All sessions of a process at once."""

import functools
from collections.abc import Callable
from typing import Any

import requests

from meshtrace import notices
from meshtrace.departure import Departures
from meshtrace.outbound.requests.attempts import unwatch
from meshtrace.outbound.requests.sending import is_watched, last_look, relay, watched
from meshtrace.outbound.requests.sessions import RelayingSession
from meshtrace.replacing import Replacement
from meshtrace.settings import Settings

__all__ = ["patch", "unpatch"]

Method = Callable[..., Any]


def patch() -> None:
    """Make every session of the process add the current request's headers."""
    notices.client_ready("requests")
    _send.put()
    _prepare_request.put()


def unpatch() -> None:
    """Undo `patch`; where somebody has wrapped it since, it stays in place and does nothing."""
    _send.give_back()
    _prepare_request.give_back()
    last_look.give_back()
    unwatch()


def _around_send(original: Method) -> Method:
    departures = Departures("requests", Settings())

    def send(
        self: requests.Session,
        request: requests.PreparedRequest,
        **kwargs: Any,  # noqa: ANN401 - requests' own options
    ) -> requests.Response:
        if not isinstance(self, RelayingSession):
            if is_watched(departures):
                send_on = functools.partial(original, self)
                return watched(send_on, departures, request, **kwargs)
            relay(request, departures)
        response: requests.Response = original(self, request, **kwargs)
        return response

    return send


def _around_prepare_request(original: Method) -> Method:
    departures = Departures("requests", Settings())

    # A mock that was imported before `patch` sends by the method it found then, past ours; what it
    # is asked about are the headers of the request.
    def prepare_request(
        self: requests.Session, request: requests.Request
    ) -> requests.PreparedRequest:
        prepared: requests.PreparedRequest = original(self, request)
        if not (_send.is_there() or isinstance(self, RelayingSession)):
            relay(prepared, departures)
        return prepared

    return prepare_request


_send = Replacement(requests.Session, "send", _around_send)
_prepare_request = Replacement(requests.Session, "prepare_request", _around_prepare_request)

"""
What a request remembers of what it was given, so that it can be taken off again.

It does so in ``Request.extensions``, which is public, is made for such things, and is what a
redirect takes along. Pickle leaves it out: what was given is left out there, too.
"""

import weakref
from collections.abc import Callable
from typing import Any, Final

from meshtrace import notices
from meshtrace.departure import take_off
from meshtrace.relay.inject import Sent

__all__ = ["EXTENSION", "given", "pickled_as_made", "remember"]

EXTENSION: Final = "meshtrace"
"""The key in ``Request.extensions``."""

State = dict[str, Any]


class _Given:
    """What one request object was given."""

    def __init__(self, request: object, sent: Sent) -> None:
        self._request = weakref.ref(request)
        self._sent = sent

    def before(self, request: object) -> Sent:
        """Give what is to come off a request that has this: the same one, or one made from it."""
        return self._sent if self._request() is request else self._sent.next_hop()


def given(request: Any) -> Sent | None:  # noqa: ANN401 - of one of two libraries
    """
    Give what is to come off a request before it is decided on again.

    >>> import httpx
    >>> request = httpx.Request("GET", "http://reviews:9080/")
    >>> remember(request, Sent((("b3", "0"),)))
    >>> given(request).fields
    (('b3', '0'),)
    """
    remembered = request.extensions.get(EXTENSION)
    before: Sent | None = None if remembered is None else remembered.before(request)
    return before


def remember(request: Any, sent: Sent) -> None:  # noqa: ANN401 - of one of two libraries
    """Let a request remember what it is given."""
    # Always a new dict: older versions let a redirect share its request's.
    request.extensions = {**request.extensions, EXTENSION: _Given(request, sent)}


def pickled_as_made(getstate: Callable[[Any], State]) -> Callable[[Any], State]:
    """
    Have a request pickled as its caller made it.

    Args:
        getstate: The ``__getstate__`` of its class.
    """

    def getstate_of_callers(request: Any) -> State:  # noqa: ANN401 - of one of two libraries
        # A copy: without what it has while it is on its way.
        state = {**getstate(request)}
        state.pop("meshtrace_departures", None)
        try:
            sent = given(request)
            if sent is not None:
                headers = request.headers.copy()
                take_off(headers, sent)
                state["headers"] = headers
        except Exception:  # noqa: BLE001 - the request must be pickled
            notices.fault("pickling a request of httpx")
        return state

    return getstate_of_callers

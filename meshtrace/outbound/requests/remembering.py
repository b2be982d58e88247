"""
What a request remembers of what was added to it, so that it can be taken off again.

A request becomes one that remembers when it is sent: its class is changed in place, because the
object belongs to the caller.
"""

import contextlib
import copy
import functools
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import requests
from requests.structures import CaseInsensitiveDict

from meshtrace.departure import NOTHING, take_off
from meshtrace.relay.inject import Sent
from meshtrace.replacing import subclass

__all__ = ["RememberingRequest", "case_insensitive", "remember"]

R = TypeVar("R")


class RememberingRequest(requests.PreparedRequest):
    """A request that remembers what was added to it, also on copies."""

    meshtrace_kind: ClassVar[type[requests.PreparedRequest]] = requests.PreparedRequest
    meshtrace_sent: Sent = NOTHING

    def copy(self) -> requests.PreparedRequest:
        """Copy the request, which now follows a redirect."""
        following = super().copy()
        mark = getattr(self.headers, "meshtrace_sent", True)
        hop = self.meshtrace_sent.next_hop()
        hop.hops += getattr(mark, "resent", 0)
        remember(following, hop)
        # Some kinds of auth send a copy past the session, for which all is decided, too.
        _mark(following, mark)
        return following

    def __copy__(self) -> requests.PreparedRequest:
        """Copy the request, which may be sent in its place."""
        return self._meshtrace_twin(copy.copy)

    def __deepcopy__(self, memo: dict[int, Any]) -> requests.PreparedRequest:
        """Copy the request with all that it has."""
        # Nobody changes it.
        memo[id(self.meshtrace_sent)] = self.meshtrace_sent
        return self._meshtrace_twin(functools.partial(copy.deepcopy, memo=memo))

    def _meshtrace_twin(self, copied: Callable[[Any], Any]) -> requests.PreparedRequest:
        ours = type(self)
        # Its own class says how it is copied.
        self.__class__ = self.meshtrace_kind  # type: ignore[assignment]  # a class of requests'
        try:
            twin: requests.PreparedRequest = copied(self)
        finally:
            self.__class__ = ours
        with contextlib.suppress(AttributeError):
            # Else what is taken off the one would go from the other, too.
            twin.headers = self.headers.copy()
        remember(twin, self.meshtrace_sent)
        _mark(twin, getattr(self.headers, "meshtrace_sent", True))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """
        Pickle the request as its caller made it.

        Nothing of this context goes into another process, and nobody needs meshtrace to read it.
        """
        plain = self.meshtrace_kind.__new__(self.meshtrace_kind)
        plain.__dict__.update(self.__dict__, headers=self.headers.copy())
        take_off(plain.headers, plain.__dict__.pop("meshtrace_sent", NOTHING))
        return object.__new__, (self.meshtrace_kind,), plain.__getstate__()


def remember(request: requests.PreparedRequest, sent: Sent) -> None:
    """
    Let a request remember what it is given.

    >>> request = requests.Request("GET", "http://reviews:9080/").prepare()
    >>> remember(request, Sent((("b3", "0"),)))
    >>> request.meshtrace_sent.fields
    (('b3', '0'),)
    """
    if type(request) is requests.PreparedRequest:
        request.__class__ = RememberingRequest
    elif not isinstance(request, RememberingRequest):
        kind: Any = type(request)
        request.__class__ = _remembering(kind)
    request.meshtrace_sent = sent  # type: ignore[attr-defined]  # its class has it now


def case_insensitive(headers: Any) -> Any:  # noqa: ANN401 - somebody may have put anything there
    """
    Give headers of requests' own type for a plain dict, which can have no attribute.

    >>> case_insensitive({"B3": "0"})["b3"]
    '0'
    """
    return CaseInsensitiveDict(headers) if type(headers) is dict else headers


def _mark(request: requests.PreparedRequest, mark: object) -> None:
    with contextlib.suppress(AttributeError):
        request.headers = case_insensitive(request.headers)
        request.headers.meshtrace_sent = mark  # type: ignore[attr-defined]  # requests' own class


@functools.cache
def _remembering(kind: Any) -> type[RememberingRequest]:  # noqa: ANN401 - mypy: no Hashable
    made: type[RememberingRequest] = subclass(kind, RememberingRequest, kind, meshtrace_kind=kind)
    return made

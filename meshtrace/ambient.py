"""
Which request this code runs for.

The context is meshtrace's own ContextVar. OpenTelemetry's would not do: its extract starts from an
empty context and would lose ours, and a remote parent that we attached there would change the spans
of its instrumentations.
"""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from meshtrace import notices
from meshtrace.configuration import disabled
from meshtrace.context import TraceContext
from meshtrace.errors import ConfigurationError
from meshtrace.names import is_field_name, is_never_forwarded
from meshtrace.relay.rules import TRACE_NAMES
from meshtrace.relay.snapshot import Snapshot

__all__ = [
    "CURRENT",
    "Entered",
    "Stepwise",
    "current",
    "leave",
    "set_header",
]

P = ParamSpec("P")
T = TypeVar("T")

CURRENT: Final[ContextVar[Snapshot | None]] = ContextVar("meshtrace", default=None)
"""The request this code runs for; None outside any."""


class Entered(AbstractContextManager[None]):
    """
    Code that runs for one request, or for none.

    Args:
        snapshot: The request; None for none.

    >>> with Entered(None):
    ...     CURRENT.get() is None
    True
    """

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._tokens: list[Token[Snapshot | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(CURRENT.set(self._snapshot))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is GeneratorExit and CURRENT.get() is not self._snapshot:
            # A generator that nobody closed is collected while its thread runs for another request.
            self._tokens.pop()
            return
        # Several threads or tasks may be inside at once: each takes back its own.
        for token in reversed([*self._tokens]):
            if leave(token):
                self._tokens.remove(token)
                return
        # The steps of a body may run in a context each, which finds what the last one left.
        if self._snapshot is not None and CURRENT.get() is self._snapshot:
            before = self._tokens.pop().old_value
            if before is not Token.MISSING:
                CURRENT.set(before)
            elif kind is not GeneratorExit:
                CURRENT.set(None)


def leave(token: Token[Snapshot | None]) -> bool:
    """
    Undo one setting of the context.

    A coroutine or a generator may be closed from another context: there is nothing to undo there.

    Returns:
        Whether the token was of this context, and not used before.
    """
    try:
        CURRENT.reset(token)
    except (RuntimeError, ValueError):
        return False
    return True


def current() -> TraceContext:
    """
    Give the remote parent of the request this code runs for, and its request id.

    Nothing is relayed by what stands here; where the formats that came disagree, the setting
    ``parent`` chooses.

    Returns:
        An empty `TraceContext` outside any request.

    >>> current().trace_id is None
    True
    """
    snapshot = CURRENT.get()
    return TraceContext() if snapshot is None else snapshot.remote_parent()


def set_header(name: str, value: str) -> None:
    """
    Set a field of user data, such as ``end-user``, on the calls made for this request.

    It goes to hosts of the mesh. Threads and tasks of the same request see it, so a synchronous
    dependency may set it. A value that is too long or not visible ASCII is dropped with a warning;
    an empty one takes the field away. Outside any request, or when it has ended, there is nothing
    to set it for: one warning.

    Args:
        name: The header's name.
        value: The header's value.

    Raises:
        ConfigurationError: *name* is no header name, is never forwarded, or is a trace field,
            which Envoy makes and nobody else.

    >>> set_header("cookie", "session=1")
    Traceback (most recent call last):
        ...
    meshtrace.errors.ConfigurationError: set_header('cookie'): never forwarded
    """
    lower = name.lower()
    for refused, reason in (
        (not is_field_name(lower), "not a header name"),
        (is_never_forwarded(lower), "never forwarded"),
        (lower in TRACE_NAMES, "trace fields come from Envoy and are not made up"),
    ):
        if refused:
            raise ConfigurationError(f"set_header({name!r}): {reason}")
    snapshot = CURRENT.get()
    if snapshot is not None and not snapshot.ended:
        snapshot.set_own(lower, value)
    elif not disabled():
        notices.once(
            logging.WARNING,
            "set_header outside",
            "meshtrace: set_header(%r, ...) outside any request, or after it ended; not sent",
            name,
        )


class Stepwise:
    """
    Runs the steps of something lazy, such as a body that is streamed, in the request's context.

    Each step finds what was current when the last one ended; between the steps the outside finds
    its own. No token lives from one step to the next, so that the steps may run in different
    threads, and nothing else of the caller's context changes.

    Args:
        snapshot: What is current in the first step.

    >>> Stepwise(None).run(len, "abc")
    3
    """

    __slots__ = ("_inside",)

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._inside = snapshot

    def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one step."""
        token = CURRENT.set(self._inside)
        try:
            return step(*args, **kwargs)
        finally:
            self._inside = CURRENT.get()
            CURRENT.reset(token)

    def end(self) -> None:
        """Note that there are no more steps."""


def _forget_in_child() -> None:
    CURRENT.set(None)


if hasattr(os, "register_at_fork"):  # as Windows has not
    # A forked child serves other requests than the one in which it was made.
    os.register_at_fork(after_in_child=_forget_in_child)

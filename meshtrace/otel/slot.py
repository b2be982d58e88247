"""
OpenTelemetry's current span, while one request is served.

In an application without any instrumentation the spans made by hand become children of Envoy's
span, because the remote parent stands where they look for their parent.
"""

import logging
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context, attach, get_current

from meshtrace import notices
from meshtrace.ambient import Entered, Stepwise
from meshtrace.otel.remote import RemoteParent, remote_parent
from meshtrace.relay.snapshot import Snapshot

__all__ = [
    "SERVER_INSTRUMENTATIONS",
    "Function",
    "Joined",
    "Slot",
    "Steps",
    "enter",
    "is_ddtraces",
    "span_of",
]

P = ParamSpec("P")
T = TypeVar("T")
Function = Callable[..., Any]

SERVER_INSTRUMENTATIONS = tuple(
    f"opentelemetry.instrumentation.{name}"
    for name in (
        "aiohttp_server",
        "asgi",
        "django",
        "falcon",
        "fastapi",
        "flask",
        "grpc._server",
        "pyramid",
        "starlette",
        "tornado",
        "wsgi",
    )
)
"""
The server instrumentations. With a current span they make INTERNAL spans and no SERVER spans, and
inside of them a remote parent would hide theirs. That of gRPC is one of clients, too: it loads this
part of it where a server is instrumented.
"""


_HERE: ContextVar[None] = ContextVar("meshtrace.otel")
"""Tells by its tokens in which context something was begun."""

_EMPTY = Context()


class Slot:
    """
    A span in the place of the current one, and the way back.

    OpenTelemetry's ``detach`` logs an error where a request ends in another context than that in
    which it began, so what was there before is attached again instead.

    Args:
        span: What is current from now on; every other key of the context is kept.
        context: What to put it on; None is the current context.

    >>> slot = Slot(trace.INVALID_SPAN)
    >>> slot.leave(), slot.leave()
    (True, False)
    """

    __slots__ = ("_before", "_token")

    def __init__(self, span: trace.Span, context: Context | None = None) -> None:
        self._token: Token[None] | None = _HERE.set(None)
        self._before = get_current()
        attach(trace.set_span_in_context(span, self._before if context is None else context))

    def leave(self, *, end: bool = False) -> bool:
        """
        Go back.

        Args:
            end: Whether all has ended with it.

        Returns:
            False in another context than that in which it was made, where there is nothing to do.
        """
        if end:
            self.end()
        token = self._token
        try:
            if token is None:
                return False
            _HERE.reset(token)
        except (RuntimeError, ValueError):
            return False
        attach(self._before)
        # All of the request hangs from both, and this may be kept as long as a response is.
        self._token, self._before = None, _EMPTY
        return True

    def steps(self, snapshot: Snapshot | None) -> Stepwise:
        """Give what runs the steps of a lazy body, which go on where this context is now."""
        return Steps(snapshot)

    # What a span of the request itself has to do, and this has not: `meshtrace.otel.spans`.

    def around_asgi(self, app: Function) -> Function:
        """Give the ASGI application that is to be called."""
        return app

    def around_wsgi(self, app: Function) -> Function:
        """Give the WSGI application that is to be called."""
        return app

    def answered(self, status: int | None) -> None:
        """Note the status of the response."""

    def coded(self, code: Any) -> None:  # noqa: ANN401 - grpc may be missing
        """Note the ``grpc.StatusCode`` of the response."""

    def failed(self, error: BaseException) -> None:
        """Note what came out of the application."""

    def end(self) -> None:
        """Note that the request has ended, and its body."""


class Joined(Entered):
    """
    Code that runs for one request, whose remote parent is OpenTelemetry's current span in it.

    Args:
        snapshot: The request; None for none, and for nothing of OpenTelemetry's context.
    """

    def __init__(self, snapshot: Snapshot | None) -> None:
        super().__init__(snapshot)
        self._request = snapshot
        self._slots: list[Slot] = []

    def __enter__(self) -> None:
        super().__enter__()
        try:
            slot = None if is_ddtraces() else _put(self._request)
        except Exception:  # noqa: BLE001 - the code must run
            notices.fault("telling OpenTelemetry of the remote parent")
            slot = None
        if slot is not None:
            self._slots.append(slot)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Several threads or tasks may be inside at once: each takes back its own.
        for slot in reversed([*self._slots]):
            if slot.leave():
                self._slots.remove(slot)
                break
        super().__exit__(kind, error, traceback)


class Steps(Stepwise):
    """Runs steps in the request's context, OpenTelemetry's with it."""

    __slots__ = ("_context",)

    def __init__(self, snapshot: Snapshot | None) -> None:
        super().__init__(snapshot)
        self._context: Context = get_current()

    def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one step."""
        before = get_current()
        attach(self._context)
        try:
            return super().run(step, *args, **kwargs)
        finally:
            self._context = get_current()
            attach(before)


def enter(snapshot: Snapshot) -> Slot | None:
    """
    Let a request's remote parent be OpenTelemetry's current span.

    Where an earlier request has left something behind, such as a span that has ended, it goes, also
    when there is no parent to put there.

    Args:
        snapshot: The request.

    Returns:
        None where the current span stays as it is: an open span of the application's, a server
        instrumentation, ddtrace.
    """
    if is_ddtraces() or not sys.modules.keys().isdisjoint(SERVER_INSTRUMENTATIONS):
        return None
    return _put(snapshot)


def span_of(snapshot: Snapshot) -> trace.Span | None:
    """
    Give the span that meshtrace has made of a request, if it has.

    >>> from meshtrace.relay.rules import InboundRules
    >>> span_of(Snapshot([], InboundRules.of())) is None
    True
    """
    span: trace.Span | None = getattr(getattr(snapshot.origin, "serving", None), "span", None)
    return span


def _put(snapshot: Snapshot | None) -> Slot | None:
    if snapshot is None:
        # Baggage is the request's, too.
        return Slot(trace.INVALID_SPAN, Context())
    current = trace.get_current_span()
    found = current.get_span_context()
    left_behind = isinstance(current, RemoteParent) or getattr(current, "end_time", None)
    if found.is_valid and not found.is_remote and not left_behind:
        return None
    # The request's own span, where it has one, and this is another thread or task.
    parent = span_of(snapshot) or remote_parent(snapshot)
    if parent is not None:
        return Slot(parent)
    return Slot(trace.INVALID_SPAN) if left_behind else None


def is_ddtraces() -> bool:
    """
    Tell whether OpenTelemetry's context is ddtrace's, which is said once.

    >>> is_ddtraces()
    False
    """
    ddtraces = (
        os.environ.get("DD_TRACE_OTEL_ENABLED", "").lower() in ("1", "true")
        or os.environ.get("OTEL_PYTHON_CONTEXT") == "ddcontextvars_context"
    )
    if ddtraces:
        notices.once(
            logging.INFO,
            "ddtrace's context",
            "meshtrace: OpenTelemetry's context is ddtrace's here (DD_TRACE_OTEL_ENABLED): it is "
            "left alone, and spans made by hand hang from ddtrace's own",
        )
    return ddtraces

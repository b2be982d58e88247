"""
The CLIENT span of one attempt of one call.

It is current while the attempt's headers are decided, so that its ids go out, and ends when the
head of the response has arrived or the attempt has failed. A body that is read later is not in it.
"""

from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import get_current, set_value
from opentelemetry.trace import SpanKind, Status, StatusCode

from meshtrace import notices
from meshtrace.context import Sampling
from meshtrace.current import CURRENT
from meshtrace.otel.own import is_reported
from meshtrace.otel.remote import remote_parent
from meshtrace.otel.slot import Slot, span_of
from meshtrace.otel.spans.conventions import (
    ERROR_TYPE,
    RESEND_COUNT,
    STATUS_CODE,
    Attributes,
    client_attributes,
)
from meshtrace.otel.spans.rpc import add_code, of_call
from meshtrace.otel.spans.tracer import QUIET, failed, is_suppressed, tracer

__all__ = ["ClientSpan", "begin", "begin_rpc"]

_ERRORS = 400
"""From here on a status is an error for who has called."""

_VERSIONS: dict[str | int | None, str] = {0: "", 9: "0.9", 10: "1.0", 11: "1.1", 20: "2"}
"""As http.client and urllib3 tell them."""


class ClientSpan(Slot):
    """
    One attempt, and its span.

    Args:
        span: The span, which is current from now on, until the attempt has ended.
    """

    __slots__ = ("_code", "_hooks", "_open", "_span", "_told")

    def __init__(self, span: trace.Span) -> None:
        # Whatever is called beneath has its span.
        super().__init__(span, set_value(QUIET, True))  # noqa: FBT003 - a value
        self._span = span
        self._told: Attributes = {}
        self._open = True
        self._code: Any = None
        self._hooks: tuple[Any, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def answered(self, status: int | None, version: str | int | None = None) -> None:
        """
        Note the head of a response.

        Args:
            status: Its status code.
            version: The version of HTTP, such as ``1.1``, or 11, where the library tells it.
        """
        if status is not None:
            self._told[STATUS_CODE] = status
        version = _VERSIONS.get(version, version)
        if version:
            self._told["network.protocol.version"] = version

    def until_hook(self, request: Any) -> "_UntilHook":  # noqa: ANN401 - requests may be missing
        """
        Let the attempt last until requests calls the hooks for its response.

        Args:
            request: What is sent, whose own hooks come behind.
        """
        return _UntilHook(self, request)

    def hook(self, request: Any) -> None:  # noqa: ANN401 - as above
        """Put a hook before those of the request."""
        hooks = request.hooks
        theirs = hooks.get("response") or ()
        theirs = (theirs,) if callable(theirs) else theirs
        request.hooks = {**hooks, "response": [_answered, *theirs]}
        self._hooks = request, hooks

    def unhook(self) -> None:
        """Give the request its own hooks back."""
        if self._hooks is not None:
            request, hooks = self._hooks
            self._hooks = None
            request.hooks = hooks

    def coded(self, code: Any) -> None:  # noqa: ANN401 - grpc may be missing
        """Note the ``grpc.StatusCode`` with which a call has ended."""
        self._code = code

    def end(self, error: BaseException | None = None) -> None:
        """
        End the attempt; once.

        Args:
            error: What it has failed with.
        """
        self.leave()
        if self._open:
            self._open = False
            try:
                span = self._span
                if span.is_recording():
                    self._tell(span, error)
                span.end()
            except Exception:  # noqa: BLE001 - the call must go on
                notices.fault("ending the span of a call")

    def _tell(self, span: trace.Span, error: BaseException | None) -> None:
        told = self._told
        if error is not None:
            failed(span, error, told)
        if self._code is not None:
            add_code(span, self._code, told, served=False)
        elif error is None:
            status = told.get(STATUS_CODE)
            if isinstance(status, int) and status >= _ERRORS:
                told[ERROR_TYPE] = str(status)
                span.set_status(Status(StatusCode.ERROR))
        span.set_attributes(told)


class _UntilHook:
    __slots__ = ("_attempt", "_request", "_token")

    def __init__(self, attempt: ClientSpan, request: Any) -> None:  # noqa: ANN401 - requests may be missing
        self._attempt = attempt
        self._request = request

    def __enter__(self) -> None:
        self._token = _hooked.set(self._attempt)
        try:
            self._attempt.hook(self._request)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("adding a hook to a call of requests")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _hooked.reset(self._token)
        self._attempt.unhook()
        self._attempt.end(error)


_hooked: ContextVar[ClientSpan | None] = ContextVar("meshtrace.hooked", default=None)
"""The attempt of requests that waits for its response."""


def _answered(response: Any, **_: object) -> None:  # noqa: ANN401 - requests may be missing
    attempt = _hooked.get()
    if attempt is not None:
        attempt.answered(response.status_code, getattr(response.raw, "version", None))
        attempt.unhook()
        attempt.end()


def begin(method: str, url: str, resends: int = 0) -> ClientSpan | None:
    """
    Begin the span of one attempt over HTTP.

    Args:
        method: As it is sent.
        url: Where it goes, absolute.
        resends: How many attempts of the same call there were before.

    Returns:
        None where no span is to be made; see `begin_rpc`.
    """

    def known() -> tuple[str, Attributes]:
        name, attributes = client_attributes(method, url)
        if resends:
            attributes[RESEND_COUNT] = resends
        return name, attributes

    return _begin(known)


def begin_rpc(method: str | bytes, host: str | None) -> ClientSpan | None:
    """
    Begin the span of one call over gRPC.

    Args:
        method: As gRPC has it.
        host: Where it leads, where that is known.

    Returns:
        None where no span is to be made: there is no provider or no processor, an instrumentation
        has made one, or the mesh has decided against it without naming a trace.
    """
    return _begin(lambda: of_call(method, host))


def _begin(known: Callable[[], tuple[str, Attributes]]) -> ClientSpan | None:
    context = get_current()
    if is_suppressed(context):
        return None
    maker = tracer()
    if maker is None:
        return None
    if not trace.get_current_span(context).get_span_context().is_valid:
        # The request may have come here by a way of ours, which OpenTelemetry's context has not.
        parent = _of_request()
        if parent is None:
            return None
        context = trace.set_span_in_context(parent, context)
    name, attributes = known()
    span = maker.start_span(name, context, SpanKind.CLIENT, attributes)
    return ClientSpan(span) if is_reported(span) else None


def _of_request() -> trace.Span | None:
    snapshot = CURRENT.get()
    if snapshot is None:
        return trace.INVALID_SPAN
    span: trace.Span | None = span_of(snapshot) or remote_parent(snapshot)
    if span is None and snapshot.remote_parent().sampling is not Sampling.DENY:
        return trace.INVALID_SPAN
    return span

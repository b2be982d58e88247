"""
The CLIENT span of one attempt of one call.

It is current while the attempt's headers are decided, so that its ids go out, and ends when the
head of the response has arrived or the attempt has failed. A body that is read later is not in it.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from opentelemetry import trace
from opentelemetry.context import get_current, set_value
from opentelemetry.trace import SpanKind, Status, StatusCode

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.context import Sampling
from meshtrace.otel.own import AROUND, is_of_another_provider, is_reported
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
from meshtrace.otel.spans.tracer import QUIET, failed, is_silent, is_suppressed, tracer

__all__ = ["ClientSpan", "begin", "begin_rpc"]

_ERRORS = 400
"""From here on a status is an error for who has called."""

_VERSIONS: dict[str | int | None, str] = {0: "", 9: "0.9", 10: "1.0", 11: "1.1", 20: "2"}
"""As http.client and urllib3 tell them."""

_UNTOLD: Final = {
    "aiohttp": "opentelemetry.instrumentation.aiohttp_client",
    "grpc": "opentelemetry.instrumentation.grpc",
}
"""Instrumentations of a library that do not tell in the context that they have made a span."""


class ClientSpan(Slot):
    """
    One attempt, and its span.

    Args:
        span: The span, which is current from now on, until the attempt has ended.
        around: The span that is current already, if there is one of this process.
    """

    __slots__ = ("_code", "_open", "_span", "_told")

    def __init__(self, span: trace.Span, around: trace.Span | None = None) -> None:
        # Whatever is called beneath has its span.
        context = set_value(QUIET, True)  # noqa: FBT003 - a value
        super().__init__(span, context if around is None else set_value(AROUND, around, context))
        self._span = span
        self._told: Attributes = {}
        self._open = True
        self._code: Any = None

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


def begin(library: str, method: str, url: str, resends: int = 0) -> ClientSpan | None:
    """
    Begin the span of one attempt over HTTP.

    Args:
        library: What makes it, as `Departures` have it.
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

    return _begin(library, known)


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
    return _begin("grpc", lambda: of_call(method, host))


def _begin(library: str, known: Callable[[], tuple[str, Attributes]]) -> ClientSpan | None:
    context = get_current()
    around = trace.get_current_span(context)
    kind = getattr(around, "kind", None)
    is_others = is_of_another_provider(around)
    if is_others and kind is SpanKind.CLIENT:
        # A vendor's, for another backend.
        is_made = is_silent(context)
    else:
        is_made = is_suppressed(context) or (
            kind is SpanKind.CLIENT and _is_of_instrumentation(around, library)
        )
    if is_made:
        return None
    maker = tracer()
    if maker is None:
        return None
    found = around.get_span_context()
    if is_others or not found.is_valid:
        # The request may have come here by a way of ours, which OpenTelemetry's context has not.
        parent = _of_request()
        if parent is None:
            return None
        context = trace.set_span_in_context(parent, context)
    name, attributes = known()
    span = maker.start_span(name, context, SpanKind.CLIENT, attributes)
    if not is_reported(span):
        return None
    # Where the remote parent stands on a call, the caller has put it there.
    is_local = found.is_valid and not found.is_remote
    return ClientSpan(span, around if is_local else None)


def _is_of_instrumentation(span: trace.Span, library: str) -> bool:
    """Tell whether OpenTelemetry's instrumentation of the library has made a span."""
    scope = getattr(span, "instrumentation_scope", None)
    return span.is_recording() and getattr(scope, "name", "") == _UNTOLD.get(library)


def _of_request() -> trace.Span | None:
    snapshot = CURRENT.get()
    if snapshot is None:
        return trace.INVALID_SPAN
    span: trace.Span | None = span_of(snapshot) or remote_parent(snapshot)
    if span is None and snapshot.remote_parent().sampling is not Sampling.DENY:
        return trace.INVALID_SPAN
    return span

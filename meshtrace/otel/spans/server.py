"""
The SERVER span of one request, under Envoy's span, until its body has ended.

Where OpenTelemetry's own instrumentation of the server makes the spans, this one does not.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.context import get_current, set_value
from opentelemetry.trace import SpanKind, Status, StatusCode

from meshtrace import notices
from meshtrace.ambient import Stepwise
from meshtrace.context import Sampling
from meshtrace.otel import slot
from meshtrace.otel.own import is_reported
from meshtrace.otel.remote import remote_parent
from meshtrace.otel.slot import Function, Slot
from meshtrace.otel.spans.conventions import ERROR_TYPE, ROUTE, STATUS_CODE, Attributes
from meshtrace.otel.spans.others import is_made_by_another
from meshtrace.otel.spans.protocols import PROTOCOLS, Protocol
from meshtrace.otel.spans.rpc import add_code
from meshtrace.otel.spans.tracer import QUIET, failed, tracer
from meshtrace.relay.snapshot import Snapshot

__all__ = ["ServerSpan", "begin"]

P = ParamSpec("P")
T = TypeVar("T")
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_ERRORS = 500
"""From here on a status is an error of who serves."""

_SWITCHING_PROTOCOLS = 101
_FORBIDDEN = 403


class ServerSpan(Slot):
    """
    One request, and its span.

    Args:
        span: The span, which is current from now on, until the application has been left.
        protocol: How *request* is read.
        request: What the server knows of the request.
        method: What the span is called while no route is known.

    Attributes:
        span: As given.
    """

    __slots__ = (
        "_code",
        "_error",
        "_method",
        "_open",
        "_protocol",
        "_request",
        "_route",
        "_status",
        "span",
    )

    def __init__(self, span: trace.Span, protocol: Protocol, request: Any, method: str) -> None:  # noqa: ANN401 - of one of several kinds
        context = get_current()
        # A client in this very process may have called.
        super().__init__(span, set_value(QUIET, None, context) if QUIET in context else context)
        self.span = span
        self._protocol = protocol
        self._request = request
        self._method = method
        self._status: int | None = None
        self._route: str | None = None
        self._error: Exception | None = None
        self._code: Any = None
        self._open = True

    def known_as(self, protocol: str, request: Any) -> None:  # noqa: ANN401 - of one of several kinds
        """Note that a framework further inside knows the request, too, and its route."""
        self._protocol = PROTOCOLS[protocol]
        self._request = request

    def answered(self, status: int | None) -> None:
        """Note the status of the response."""
        self._status = status

    def coded(self, code: Any) -> None:  # noqa: ANN401 - grpc may be missing
        """Note the ``grpc.StatusCode`` of the response."""
        self._code = code

    def failed(self, error: BaseException) -> None:
        """Note what came out of the application; that who called has gone is no fault of it."""
        if self._error is None and isinstance(error, Exception):
            self._error = error

    def around_asgi(self, app: Function) -> Function:
        """Give an application that gets a ``send`` of ours, and whose errors are noted."""

        async def serve(scope: object, receive: object, send: Send) -> None:
            try:
                await app(scope, receive, self._sending(send))
            except BaseException as error:
                self.failed(error)
                raise

        return serve

    def around_wsgi(self, app: Function) -> Function:
        """Give the same, with a ``start_response`` of ours."""

        def serve(environ: object, start_response: Function) -> Any:  # noqa: ANN401 - WSGI's own
            try:
                return app(environ, self._starting(start_response))
            except BaseException as error:
                self.failed(error)
                raise

        return serve

    def _starting(self, start_response: Function) -> Function:
        """Give a ``start_response`` that notes the status."""

        def start(status: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on as it came
            try:
                self._status = int(status[:3])
                # Flask has forgotten it when the body has ended.
                self._route = self._protocol.route(self._request)
            except Exception:  # noqa: BLE001 - which is the application's affair
                notices.fault("reading the status of a response")
            return start_response(status, *args, **kwargs)

        return start

    def _sending(self, send: Send) -> Send:
        """Give a ``send`` that notes the status, and ends the span with the body."""

        async def watched(message: Message) -> None:
            kind = message.get("type")
            if kind in ("http.response.start", "websocket.http.response.start"):
                self._status = message.get("status")
            elif kind == "websocket.accept":
                self._status = _SWITCHING_PROTOCOLS
            elif kind == "websocket.close" and self._status is None:
                self._status = _FORBIDDEN
            await send(message)
            if kind == "http.response.body" and not message.get("more_body"):
                self.end()

        return watched

    def steps(self, snapshot: Snapshot | None) -> Stepwise:
        """Give what runs the steps of a lazy body, with whose end the span ends."""
        return _Steps(snapshot, self)

    def end(self) -> None:
        """End the span; once."""
        if self._open:
            self._open = False
            try:
                span = self.span
                if span.is_recording():
                    self._tell(span)
                span.end()
            except Exception:  # noqa: BLE001 - the request must be served
                notices.fault("ending the span of a request")
            # It holds the snapshot, which holds this.
            self._request = None

    def _tell(self, span: trace.Span) -> None:
        told: Attributes = {}
        status = self._status
        if status is not None:
            told[STATUS_CODE] = status
        if self._error is not None:
            failed(span, self._error, told)
        if self._code is not None:
            add_code(span, self._code, told, served=True, failed=self._error is not None)
        elif self._error is None and status is not None and status >= _ERRORS:
            told[ERROR_TYPE] = str(status)
            span.set_status(Status(StatusCode.ERROR))
        route = self._protocol.route(self._request) or self._route
        if route:
            told[ROUTE] = route
            span.update_name(f"{self._method} {route}")
        span.set_attributes(told)


class _Steps(slot.Steps):
    """Runs the steps of a body, and notes what comes out of them."""

    __slots__ = ("_serving",)

    def __init__(self, snapshot: Snapshot | None, serving: ServerSpan) -> None:
        super().__init__(snapshot)
        self._serving = serving

    def run(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one step."""
        try:
            return super().run(step, *args, **kwargs)
        except StopIteration:
            raise
        except BaseException as error:
            self._serving.failed(error)
            raise

    def end(self) -> None:
        """Note that the body has ended."""
        self._serving.end()


def begin(
    snapshot: Snapshot,
    protocol: str,
    request: Any,  # noqa: ANN401 - of one of several kinds
    within: object = None,
) -> Slot | None:
    """
    Begin the span of a request.

    Args:
        snapshot: What the request brought.
        protocol: What *request* is, of `PROTOCOLS`.
        request: What the server knows of it.
        within: The application that is going to be called, if it may make the span itself.

    Returns:
        A `ServerSpan`; something less where no span is to be made, and None where OpenTelemetry's
        current span stays as it is.
    """
    if slot.span_of(snapshot) is not None:
        # It arrived further out.
        return slot.enter(snapshot)
    parent = remote_parent(snapshot)
    maker = None if is_made_by_another(parent, request, within) else tracer()
    if maker is None:
        return slot.enter(snapshot)
    if parent is None and snapshot.remote_parent().sampling is Sampling.DENY:
        # No trace is named, and none is to be made.
        return Slot(trace.INVALID_SPAN)
    reading = PROTOCOLS[protocol]
    name, attributes = reading.begin(request)
    context = trace.set_span_in_context(parent or trace.INVALID_SPAN)
    span = maker.start_span(name, context, SpanKind.SERVER, attributes)
    if not is_reported(span):
        return slot.enter(snapshot)
    snapshot.serving = serving = ServerSpan(span, reading, request, name)
    return serving

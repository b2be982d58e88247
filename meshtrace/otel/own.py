"""Spans of the application's own: which of them may stand on the wire, and which already do."""

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context

from meshtrace import notices
from meshtrace.otel.written import LOW_64_BITS, written_for

__all__ = ["LOW_64_BITS", "is_reported", "span_going_out", "written_for_current_span"]


def span_going_out(context: Context | None = None) -> trace.SpanContext | None:
    """
    Give the current span of the application's own, if it may be a parent on the wire.

    It is valid, not remote, and sampled: one that has ended was reported, one that was dropped
    never is. A span of no provider, or of one without any processor, is reported by nobody.

    Args:
        context: Where to look; None is the current context.

    >>> span_going_out() is None
    True
    """
    span = trace.get_current_span(context)
    found = span.get_span_context()
    if (
        not found.is_valid
        or found.is_remote
        or not found.trace_flags & trace.TraceFlags.SAMPLED
        or isinstance(span, trace.NonRecordingSpan)
        or not is_reported(span)
    ):
        return None
    return found


def is_reported(span: trace.Span) -> bool:
    """
    Tell whether a span's provider has a processor; one without is said once.

    >>> is_reported(trace.INVALID_SPAN)
    True
    """
    # The SDK has no public way to ask for a provider's processors; a span has them by these names
    # since 1.0. Whatever has no such attributes is another SDK's span, and is taken to be reported.
    processors = getattr(getattr(span, "_span_processor", None), "_span_processors", None)
    if processors != ():
        return True
    notices.once(
        logging.WARNING,
        "no span processor",
        "meshtrace: OpenTelemetry's tracer provider has no span processor, so nobody would see its "
        "spans: what came in goes out without them. "
        "Give it one: provider.add_span_processor(BatchSpanProcessor(exporter))",
    )
    return False


def written_for_current_span(carrier: Mapping[Any, Any]) -> tuple[Any, ...]:
    """
    Tell which headers of a call name the current span: an instrumentation wrote them.

    Args:
        carrier: The headers.

    Returns:
        The names as they are spelled, of whole formats.

    >>> written_for_current_span({"B3": "0"})
    ()
    """
    current = trace.get_current_span().get_span_context()
    return written_for(carrier, current.trace_id, current.span_id) if current.is_valid else ()

"""Spans of the application's own: which of them may stand on the wire, and which already do."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, create_key, get_current

from meshtrace import notices
from meshtrace.otel.written import LOW_64_BITS, written_for

__all__ = [
    "AROUND",
    "LOW_64_BITS",
    "is_of_another_provider",
    "is_reported",
    "span_going_out",
    "written_for_current_span",
]

AROUND: Final = create_key("meshtrace-around")
"""
The key in OpenTelemetry's context of the span that is around one of meshtrace's own: what has made
it may have written its ids onto the call.
"""


def span_going_out(
    context: Context | None = None, *, of_any_provider: bool = True
) -> trace.SpanContext | None:
    """
    Give the current span of the application's own, if it may be a parent on the wire.

    It is valid, not remote, and sampled: one that has ended was reported, one that was dropped
    never is. A span of no provider, or of one without any processor, is reported by nobody.

    Args:
        context: Where to look; None is the current context.
        of_any_provider: Whether it may be of another provider than the one that is set.

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
        or not (of_any_provider or not is_of_another_provider(span))
    ):
        return None
    return found


def is_of_another_provider(span: trace.Span) -> bool:
    """
    Tell whether a span is of another tracer provider than the one that the application has set.

    An SDK that a library brings along for another backend has one of its own.

    >>> is_of_another_provider(trace.INVALID_SPAN)
    False
    """
    resource = getattr(span, "resource", None)
    if resource is None:
        return False
    provider = trace.get_tracer_provider()
    # A provider hands its resource to its spans, as it is; one that is not the SDK's may have none.
    own = getattr(provider, "resource", None)
    if own is None:
        return isinstance(provider, trace.ProxyTracerProvider)
    return own is not resource


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

    Where that is a span of meshtrace's own, they may name the one around it instead.

    Args:
        carrier: The headers.

    Returns:
        The names as they are spelled, of whole formats.

    >>> written_for_current_span({"B3": "0"})
    ()
    """
    context = get_current()
    around: Any = context.get(AROUND)
    names: tuple[Any, ...] = ()
    for span in (trace.get_current_span(context), around):
        if span is not None and not names:
            found = span.get_span_context()
            names = written_for(carrier, found.trace_id, found.span_id)
    return names

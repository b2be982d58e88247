"""What makes the spans: a tracer of the provider that the application has set, at any time."""

import contextlib
import logging
import sys
from typing import Final

from opentelemetry import context as api
from opentelemetry import trace
from opentelemetry.context import Context

from meshtrace import notices
from meshtrace.otel.slot import is_ddtraces
from meshtrace.otel.spans.conventions import SCHEMA, error_type

__all__ = ["QUIET", "failed", "is_silent", "is_suppressed", "tracer"]

QUIET: Final[str] = getattr(
    api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"
)
"""
The key in OpenTelemetry's context that keeps instrumentations from making a span for a call that
has one already. It has no public name, and before version 1.23 of the API no key of its own.
"""

_SILENT: Final[tuple[str, ...]] = (
    getattr(api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
    "suppress_instrumentation",
)
_SUPPRESSED: Final = (QUIET, *_SILENT)

_RECORDED = "meshtrace_recorded"
"""Marks an exception that stands in a span already."""

_known: tuple[object, trace.Tracer | None] = (None, None)


def tracer() -> trace.Tracer | None:
    """
    Give the tracer of the provider that is set now; None while there is none.

    Nor is there one where OpenTelemetry is ddtrace's: its spans of all that would be twice.
    """
    global _known  # noqa: PLW0603 - a process has one provider
    provider = trace.get_tracer_provider()
    known = _known
    if provider is not known[0]:
        if isinstance(provider, trace.ProxyTracerProvider):
            notices.once(
                logging.WARNING,
                "no tracer provider",
                "meshtrace: spans are on, but no tracer provider is set, so none are made yet: "
                "call opentelemetry.trace.set_tracer_provider(provider)",
            )
            return None
        ddtraces = "ddtrace" in sys.modules and is_ddtraces()
        made = None if ddtraces else provider.get_tracer("meshtrace", None, SCHEMA)
        known = _known = (provider, made)
    return known[1]


def is_suppressed(context: Context) -> bool:
    """
    Tell whether no span is to be made for a call.

    An instrumentation has made one, or `is_silent`.
    """
    return any(map(context.get, _SUPPRESSED))


def is_silent(context: Context) -> bool:
    """
    Tell whether nothing at all is to be seen of what is done.

    An exporter sends spans away, for one.
    """
    return any(map(context.get, _SILENT))


def failed(span: trace.Span, error: BaseException, attributes: dict[str, str | int]) -> None:
    """
    Tell of an exception in a span: the event once for each exception, whatever it goes through.

    Args:
        span: One that records.
        error: What was raised.
        attributes: Where the kind of error is to be noted.
    """
    attributes["error.type"] = error_type(error)
    if not getattr(error, _RECORDED, False):
        span.record_exception(error)
        # A class may forbid it.
        with contextlib.suppress(Exception):
            setattr(error, _RECORDED, True)
    span.set_status(trace.Status(trace.StatusCode.ERROR, str(error)))

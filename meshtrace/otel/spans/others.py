"""Who else makes the SERVER span of a request: then meshtrace makes none."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from meshtrace import notices
from meshtrace.otel import slot
from meshtrace.otel.own import is_of_another_provider

__all__ = ["is_made_by_another"]

_DEEPEST: Final = 20
"""So many middlewares are looked through for an application."""


def is_made_by_another(parent: trace.Span | None, request: Any, within: object) -> bool:  # noqa: ANN401 - of one of several kinds
    """
    Tell whether a SERVER span of a request is made already, or will be.

    Args:
        parent: The request's remote parent.
        request: What the server knows of the request.
        within: The application that is going to be called, if it may make one.
    """
    if not sys.modules.keys().isdisjoint(slot.SERVER_INSTRUMENTATIONS):
        loaded = sys.modules.keys() & slot.SERVER_INSTRUMENTATIONS
        notices.once(
            logging.INFO,
            "spans of an instrumentation",
            "meshtrace: the spans of requests are left to OpenTelemetry's instrumentation: %s",
            ", ".join(sorted(loaded)),
        )
        return True
    current: Any = trace.get_current_span()
    if getattr(current, "kind", None) is SpanKind.SERVER and current.is_recording():
        return not is_of_another_provider(current) and _is_of_trace(current, parent)
    fastapi = sys.modules.get("fastapi") if "fastapi.telemetry" in sys.modules else None
    app = None if fastapi is None else _found(fastapi.FastAPI, within)
    return app is not None and _is_made_by_fastapi(app, request, parent)


def _is_of_trace(span: trace.Span, parent: trace.Span | None) -> bool:
    # One of another trace has not understood what came.
    trace_id = span.get_span_context().trace_id
    return parent is None or parent.get_span_context().trace_id == trace_id


def _found(kind: type, within: object) -> object | None:
    """Look for an application among middlewares around it."""
    for _ in range(_DEEPEST):
        if isinstance(within, kind):
            return within
        within = getattr(within, "app", None)
    return None


def _is_made_by_fastapi(app: object, scope: Mapping[str, Any], parent: trace.Span | None) -> bool:
    """Tell whether FastAPI will: from 0.165 on it does so, outside of its own middlewares."""
    # There is no public way to ask for what it was told.
    told = getattr(app, "_telemetry", None)
    if not isinstance(told, Mapping) or not told.get("tracing"):
        return False
    is_ours = told.get("tracer_provider") in (None, trace.get_tracer_provider())
    return is_ours and _is_of_trace(_understood(scope), parent)


def _understood(scope: Mapping[str, Any]) -> trace.Span:
    """Give the remote parent that OpenTelemetry's propagator finds."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return trace.get_current_span(propagate.extract(headers, Context()))

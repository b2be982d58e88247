"""Headers of a call that a tracer wrote for a span of its own, and the caller did not."""

import sys
from collections.abc import Mapping
from typing import Any

from meshtrace import notices
from meshtrace.formats import b3, vendor, w3c
from meshtrace.relay.inject import lower

__all__ = ["LOW_64_BITS", "others_write", "written_by_ddtrace", "written_for"]

_FIRST_FIELDS = frozenset({"traceparent", "b3", "x-b3-traceid", "x-datadog-trace-id"})
LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def others_write(instrumentation: str) -> bool:
    """
    Tell whether another tracer, beneath ours, may write headers onto the calls of a library.

    Args:
        instrumentation: The module in which OpenTelemetry instruments the library.

    >>> others_write("opentelemetry.instrumentation.nobody")
    False
    """
    modules = sys.modules
    return instrumentation in modules or "ddtrace" in modules


def written_for(carrier: Mapping[Any, Any], trace_id: int, span_id: int) -> tuple[Any, ...]:
    """
    Tell which headers of a call name one span.

    Args:
        carrier: The headers.
        trace_id: The span's trace, 0 for none.
        span_id: The span.

    Returns:
        The names as they are spelled, of whole formats.

    >>> written_for({"B3": "000000000000000a-000000000000000b"}, 10, 11)
    ('B3',)
    """
    present = {lower(name): name for name in carrier}
    if not trace_id or _FIRST_FIELDS.isdisjoint(present):
        return ()

    def value(name: str) -> str:
        found = carrier[present[name]] if name in present else ""
        return (str(found, "latin-1") if isinstance(found, bytes) else str(found)).lower()

    ids = (f"{trace_id:032x}", f"{span_id:016x}")
    single = value("b3").split("-")
    written: list[str] = []
    if value("traceparent")[3:52] == "-".join(ids):
        written += w3c.FIELDS
    if (single[0].zfill(32), *single[1:2]) == ids:
        written.append("b3")
    if (value("x-b3-traceid").zfill(32), value("x-b3-spanid")) == ids:
        written += b3.MULTI_FIELDS
    datadog = (str(trace_id & LOW_64_BITS), str(span_id))
    if (value("x-datadog-trace-id"), value("x-datadog-parent-id")) == datadog:
        written += vendor.DATADOG_FIELDS
    return tuple(present[name] for name in written if name in present)


def written_by_ddtrace(carrier: Mapping[Any, Any]) -> tuple[tuple[Any, ...], int]:
    """
    Tell which headers of a call name ddtrace's current span, and the trace of that.

    Args:
        carrier: The headers.

    >>> written_by_ddtrace({"b3": "0"})
    ((), 0)
    """
    ddtrace = sys.modules.get("ddtrace.trace")
    if ddtrace is None:
        return (), 0
    try:
        span = ddtrace.tracer.current_span()
        if span is None:
            return (), 0
        return written_for(carrier, span.trace_id, span.span_id), span.trace_id
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("asking ddtrace for its current span")
        return (), 0

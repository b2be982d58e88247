"""Which of the formats that came names the remote parent, where they disagree."""

from typing import Literal

from meshtrace.context import TraceContext
from meshtrace.formats import b3, w3c
from meshtrace.relay.judge import Accepted

__all__ = ["remote_parent"]

_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def remote_parent(
    accepted: Accepted, prefer: Literal["auto", "w3c", "b3"] = "auto"
) -> TraceContext:
    """
    Read the remote parent out of the accepted fields.

    Where the formats agree on the trace, B3 is read: it knows the parent span, debug, and the width
    Envoy reports. Where they disagree, one of them is an outside client's that Envoy let through:
    W3C is believed if ``x-datadog-trace-id`` agrees with it or ``tracestate`` came empty (Envoy's
    Datadog and OpenTelemetry tracers write these), else B3, Istio's default.

    Args:
        accepted: The fields of one request.
        prefer: ``"w3c"`` or ``"b3"`` settles every disagreement.

    >>> remote_parent(Accepted({"b3": "463ac35c9f6413ad-a2fb4a1d1a96d312-1"})).trace_id
    '463ac35c9f6413ad'
    """
    from_w3c = _from_w3c(accepted)
    from_b3 = _from_b3(accepted.ids)
    if from_b3.trace_id is None:
        parent = from_w3c or from_b3
    elif from_w3c is None or from_b3.trace_id.zfill(32) == from_w3c.trace_id:
        parent = from_b3
    elif prefer == "auto":
        parent = from_w3c if _w3c_is_alive(from_w3c, accepted) else from_b3
    else:
        parent = from_w3c if prefer == "w3c" else from_b3
    return parent.of_request(accepted.ids.get("x-request-id"))


def _from_w3c(accepted: Accepted) -> TraceContext | None:
    value = accepted.ids.get("traceparent") or accepted.future_traceparent
    return w3c.parse_traceparent(value) if value else None


def _from_b3(ids: dict[str, str]) -> TraceContext:
    if "b3" in ids:
        return b3.parse_b3(ids["b3"])
    return b3.parse_b3_multi(ids)


def _w3c_is_alive(context: TraceContext, accepted: Accepted) -> bool:
    if accepted.empty_tracestate:
        return True
    trace_id = int(context.trace_id or "0", 16)
    return accepted.ids.get("x-datadog-trace-id") == str(trace_id & _LOW_64_BITS)

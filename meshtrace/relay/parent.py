"""Which of the formats that came names the remote parent, where they disagree."""

from typing import Literal

from meshtrace.context import Sampling, TraceContext
from meshtrace.formats import b3, w3c
from meshtrace.relay.judge import Accepted

__all__ = ["chosen", "remote_parent"]

_LOW_64_BITS = 0xFFFF_FFFF_FFFF_FFFF


def remote_parent(
    accepted: Accepted, prefer: Literal["auto", "w3c", "b3"] = "auto"
) -> TraceContext:
    """
    Read the remote parent out of the accepted fields.

    Where the formats agree, B3 is read: it knows the parent span, debug, and the width Envoy
    reports; what it leaves open, W3C may have decided. Where they disagree, on the trace or on the
    span of one trace, one of them is not Envoy's: it let through what a client sent. W3C is
    believed if ``x-datadog-trace-id`` agrees with it or ``tracestate`` came empty (Envoy's Datadog
    and OpenTelemetry tracers write these), else B3, Istio's default.

    Args:
        accepted: The fields of one request.
        prefer: ``"w3c"`` or ``"b3"`` settles every disagreement.

    >>> remote_parent(Accepted({"b3": "463ac35c9f6413ad-a2fb4a1d1a96d312-1"})).trace_id
    '463ac35c9f6413ad'
    """
    parent, _ = chosen(accepted, prefer)
    return parent.of_request(accepted.ids.get("x-request-id"))


def chosen(
    accepted: Accepted, prefer: Literal["auto", "w3c", "b3"] = "auto"
) -> tuple[TraceContext, str]:
    """
    Choose the remote parent, and say why it is that one.

    Args:
        accepted: The fields of one request.
        prefer: As `remote_parent` takes it.

    >>> chosen(Accepted({"b3": "463ac35c9f6413ad-a2fb4a1d1a96d312-1"}))[1]
    'B3 alone names a trace'
    """
    from_w3c = _from_w3c(accepted)
    from_b3 = _from_b3(accepted.ids)
    if from_w3c is None:
        named = "no format" if from_b3.trace_id is None else "B3 alone"
        return from_b3, f"{named} names a trace"
    if from_b3.trace_id is None:
        return from_w3c, "W3C alone names a trace"
    is_one_trace = from_b3.trace_id.zfill(32) == from_w3c.trace_id
    if is_one_trace and from_b3.span_id == from_w3c.span_id:
        return _both(from_b3, from_w3c), "B3 and W3C agree"
    if prefer == "auto":
        w3c_is_alive, why = _w3c_is_alive(from_w3c, accepted)
    else:
        w3c_is_alive, why = prefer == "w3c", f"the setting parent={prefer} decides"
    if not is_one_trace:
        return (from_w3c if w3c_is_alive else from_b3), f"B3 and W3C disagree: {why}"
    parent = _still_debug(from_w3c, from_b3) if w3c_is_alive else _both(from_b3, from_w3c)
    return parent, f"B3 and W3C disagree on the span: {why}"


def _from_w3c(accepted: Accepted) -> TraceContext | None:
    value = accepted.ids.get("traceparent") or accepted.future_traceparent
    return w3c.parse_traceparent(value) if value else None


def _from_b3(ids: dict[str, str]) -> TraceContext:
    if "b3" in ids:
        return b3.parse_b3(ids["b3"])
    return b3.parse_b3_multi(ids)


def _both(from_b3: TraceContext, from_w3c: TraceContext) -> TraceContext:
    known = from_b3.__getstate__()
    # Of W3C's two decisions, the one against the trace may stand for none at all.
    if Sampling.DEFER is from_b3.sampling and Sampling.ACCEPT is from_w3c.sampling:
        known["sampling"] = Sampling.ACCEPT
    return TraceContext(**{**known, "random": from_w3c.random})


def _still_debug(from_w3c: TraceContext, from_b3: TraceContext) -> TraceContext:
    if not (Sampling.DEBUG is from_b3.sampling and Sampling.ACCEPT is from_w3c.sampling):
        return from_w3c
    return TraceContext(**{**from_w3c.__getstate__(), "sampling": Sampling.DEBUG})


def _w3c_is_alive(context: TraceContext, accepted: Accepted) -> tuple[bool, str]:
    if accepted.empty_tracestate:
        return True, "W3C is Envoy's, because tracestate came empty"
    trace_id = int(context.trace_id or "0", 16)
    if accepted.ids.get("x-datadog-trace-id") == str(trace_id & _LOW_64_BITS):
        return True, "W3C is Envoy's, because x-datadog-trace-id agrees with it"
    return False, "B3 is Envoy's, because nothing shows that W3C is"

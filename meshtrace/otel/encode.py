"""
A span's ids in the formats that came.

Each format that came and is of the span's trace gets the span's id in the place of Envoy's; the
others go on as they came. Nothing that did not come is added, and a format in which the mesh has
decided against the trace keeps that, ids and all: the application's sampler does not overrule it.

Datadog's `x-datadog-parent-id` is written along with ``traceparent``. Envoy's Datadog tracer, 1.40,
given the span in ``traceparent`` and its own old span in ``x-datadog-parent-id``, believes
``traceparent`` only while ``x-datadog-tags`` has the trace id's upper half, which hosts outside the
mesh do not get; given it in both, it nests every call. ``tracestate``, whose ``dd`` member names
the old span, too, may stay as it came.
"""

from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from meshtrace.context import Sampling, TraceContext
from meshtrace.formats import b3, w3c
from meshtrace.otel.own import LOW_64_BITS
from meshtrace.otel.tracestate import tracestate_of
from meshtrace.policy import Share
from meshtrace.relay.judge import Accepted

__all__ = ["with_span"]

_WITH_IDS = ("traceparent", "x-b3-traceid", "x-datadog-trace-id")

_RANDOM = 2
"""The flag of W3C Trace Context level 2, for which older versions of the API have no name."""


def with_span(
    fields: dict[str, str],
    accepted: Accepted,
    span: SpanContext,
    share: Share,
    root_formats: tuple[str, ...],
) -> dict[str, str]:
    """
    Put a span's ids into the fields of one call.

    Args:
        fields: What a host with this share would get of what came.
        accepted: All that came.
        span: A span of the application's own.
        share: What the host may have.
        root_formats: How the span goes out where no trace came.

    Returns:
        The fields, changed.
    """
    if Share.IDS not in share:
        return fields
    if _no_trace_came(accepted):
        return _root(fields, span, share, root_formats)
    _write_w3c(fields, accepted, span, share)
    _write_datadog(fields, accepted, span)
    idless = _no_ids_came(accepted)
    single = b3.parse_b3(fields["b3"]) if "b3" in fields else None
    if single is not None and _may_stand_in(span, single, idless=idless):
        fields["b3"] = b3.format_b3(_in_place_of(single, span))
    multi = b3.parse_b3_multi(fields)
    if multi and _may_stand_in(span, multi, idless=idless):
        _write_b3_multi(fields, multi, span)
    return fields


def _no_trace_came(accepted: Accepted) -> bool:
    return (
        not accepted.vendor_data
        and accepted.ids.keys() <= {"x-request-id"}
        and accepted.future_traceparent is None
    )


def _no_ids_came(accepted: Accepted) -> bool:
    ids = accepted.ids
    return (
        ids.keys().isdisjoint(_WITH_IDS)
        and len(ids.get("b3", "")) <= 1
        and accepted.future_traceparent is None
    )


def _root(
    fields: dict[str, str], span: SpanContext, share: Share, formats: tuple[str, ...]
) -> dict[str, str]:
    if "w3c" in formats:
        fields["traceparent"] = _traceparent(span, span.trace_flags & _RANDOM)
        text = tracestate_of(span.trace_state, "")
        if text and Share.VENDOR_DATA in share:
            fields["tracestate"] = text
    context = set_span_in_context(NonRecordingSpan(span), Context())
    if "b3" in formats:
        B3MultiFormat().inject(fields, context)
    if "b3-single" in formats:
        B3SingleFormat().inject(fields, context)
    return fields


def _traceparent(span: SpanContext, random: int) -> str:
    flags = TraceFlags.SAMPLED | random
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{flags:02x}"


def _write_w3c(fields: dict[str, str], accepted: Accepted, span: SpanContext, share: Share) -> None:
    # One of a future version is not relayed, but may be the span's parent.
    text = accepted.ids.get("traceparent") or accepted.future_traceparent
    if text is None:
        return
    came = w3c.parse_traceparent(text)
    if not _may_stand_in(span, came, idless=False):
        return
    fields["traceparent"] = _traceparent(span, came.random << 1)
    if Share.VENDOR_DATA in share:
        tracestate = tracestate_of(span.trace_state, fields.pop("tracestate", ""))
        if tracestate:
            fields["tracestate"] = tracestate


def _write_b3_multi(fields: dict[str, str], came: TraceContext, span: SpanContext) -> None:
    fields.pop("x-b3-parentspanid", None)
    ids = b3.format_b3_multi(_in_place_of(came, span))
    if came.sampling is not Sampling.DEFER:
        # Said as it was said: `true` stays `true`, and so do flags beside a decision.
        ids = {name: ids[name] for name in ("x-b3-traceid", "x-b3-spanid")}
    fields.update(ids)


def _write_datadog(fields: dict[str, str], accepted: Accepted, span: SpanContext) -> None:
    if fields.get("x-datadog-trace-id") != str(span.trace_id & LOW_64_BITS):
        return
    tags = accepted.vendor_data.get("x-datadog-tags", "").split(",")
    upper = [tag.partition("=")[2] for tag in tags if tag.startswith("_dd.p.tid=")]
    priority = fields.get("x-datadog-sampling-priority", "1")
    if priority.startswith(("-", "0")) or upper not in ([], [f"{span.trace_id >> 64:016x}"]):
        return
    fields["x-datadog-parent-id"] = str(span.span_id)


def _may_stand_in(span: SpanContext, came: TraceContext, *, idless: bool) -> bool:
    """
    Tell whether the span takes the place of what came in one format.

    A decision without ids is of the span's trace where no ids came in any format.
    """
    if came.sampling is Sampling.DENY:
        return False
    return idless if came.trace_id is None else int(came.trace_id, 16) == span.trace_id


def _in_place_of(came: TraceContext, span: SpanContext) -> TraceContext:
    width = len(came.trace_id or f"{span.trace_id:032x}")
    return TraceContext(
        trace_id=f"{span.trace_id:032x}"[-width:],
        span_id=f"{span.span_id:016x}",
        sampling=Sampling.DEBUG if came.sampling is Sampling.DEBUG else Sampling.ACCEPT,
    )

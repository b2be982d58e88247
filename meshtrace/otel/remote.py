"""The remote parent of a request, as OpenTelemetry knows one."""

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from meshtrace.formats import w3c
from meshtrace.otel.plain import plain_parent
from meshtrace.otel.tracestate import RelayedTraceState
from meshtrace.relay.snapshot import Snapshot

__all__ = ["RemoteParent", "remote_parent"]

_FLAGS = {flags: TraceFlags(flags) for flags in (1, 3)}


class RemoteParent(NonRecordingSpan):
    """Envoy's span, in the place of OpenTelemetry's current span."""


def remote_parent(snapshot: Snapshot) -> RemoteParent | None:
    """
    Give the remote parent of a request, if it has one.

    A decision that was put off is not sampled here: a span that is recorded would decide for it.

    >>> from meshtrace.relay.rules import InboundRules
    >>> remote_parent(Snapshot([("b3", "0")], InboundRules.of())) is None
    True
    """
    came = snapshot.lasting()
    found = plain_parent(came) if came else None
    if found is not None:
        trace_id, span_id, flags = found
        return RemoteParent(
            SpanContext(
                int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_FLAGS[flags]
            )
        )
    parent = snapshot.remote_parent()
    if parent.trace_id is None or parent.span_id is None:
        return None
    accepted = snapshot.accepted
    tracestate = accepted.vendor_data.get("tracestate")
    if tracestate is not None:
        beside = w3c.parse_traceparent(accepted.ids["traceparent"])
        # One that belongs to another trace stays with it.
        if beside.trace_id != parent.trace_id.zfill(32):
            tracestate = None
    return RemoteParent(
        SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(parent.trace_flags),
            trace_state=RelayedTraceState(text=tracestate) if tracestate else None,
        )
    )

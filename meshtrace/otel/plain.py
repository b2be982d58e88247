"""
The common case: ids of one trace, sampled, in ``traceparent``, in ``x-b3-*``, or in both.

All else is left to `meshtrace.otel.encode` and `meshtrace.relay.parent`, which come to the same
for this; here nothing is parsed, because what is plain has been judged to be good.
"""

from opentelemetry.trace import SpanContext

from meshtrace.relay.snapshot import Pairs

__all__ = ["plain_parent", "plainly_with_span"]

_FLAGS = {"01": 1, "03": 3}


def plain_parent(pairs: Pairs) -> tuple[str, str, int] | None:
    """
    Give the remote parent, if it is a plain one: its trace id, its span id and its flags.

    Args:
        pairs: All that came, all of it good.

    >>> plain_parent((("traceparent", f"00-{'a' * 32}-{'b' * 16}-03"),)) == ("a" * 32, "b" * 16, 3)
    True
    """
    trace_id = span_id = None
    flags = 1
    b3_trace_id = b3_span_id = sampled = None
    for name, value in pairs:
        if name == "traceparent":
            trace_id, span_id = value[3:35], value[36:52]
            flags = _FLAGS.get(value[53:], 0)
        elif name == "x-b3-traceid":
            b3_trace_id = value
        elif name == "x-b3-spanid":
            b3_span_id = value
        elif name == "x-b3-sampled":
            sampled = value
        elif name not in ("x-request-id", "x-b3-parentspanid"):
            return None
    if b3_trace_id is not None:
        ids = (b3_trace_id, b3_span_id)
        if sampled != "1" or (trace_id, span_id) not in ((None, None), ids):
            return None
        trace_id, span_id = ids
    if trace_id is None or span_id is None or not flags:
        return None
    return trace_id, span_id, flags


def plainly_with_span(pairs: Pairs, span: SpanContext) -> Pairs | None:
    """
    Put a span's ids into all that came, if that is plain, and the span of its trace.

    A span with a ``tracestate`` of its own is not plain.

    Args:
        pairs: All that came, all of it good.
        span: A span of the application's own.

    >>> span = SpanContext(10, 11, is_remote=False)
    >>> came = (("x-b3-traceid", f"{10:032x}"), ("x-b3-spanid", "b" * 16), ("x-b3-sampled", "1"))
    >>> plainly_with_span(came, span)[1]
    ('x-b3-spanid', '000000000000000b')
    """
    parent = plain_parent(pairs)
    trace_id = f"{span.trace_id:032x}"
    if parent is None or parent[0] != trace_id or span.trace_state:
        return None
    span_id = f"{span.span_id:016x}"
    fields = []
    for pair in pairs:
        name, value = pair
        if name == "traceparent":
            fields.append((name, f"00-{trace_id}-{span_id}-{value[53:]}"))
        elif name == "x-b3-spanid":
            fields.append((name, span_id))
        elif name != "x-b3-parentspanid":
            fields.append(pair)
    return tuple(fields)

"""What an Envoy would read from a set of headers: the parent of the span that it makes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from meshtrace.context import Sampling, TraceContext
from meshtrace.errors import MalformedHeaderError
from meshtrace.formats import b3, w3c

__all__ = ["Parent", "names_of", "read"]

_SW8_PARTS = 8


class Parent(NamedTuple):
    """
    What a call says about the trace.

    Attributes:
        trace: The trace id; empty when there is a decision only.
        span: The span id, likewise.
        sampling: The decision.
    """

    trace: str
    span: str
    sampling: Sampling

    def is_of(self, other: "Parent") -> bool:
        """
        Tell whether two parents are of one trace; a trace id of 64 bits may have been padded.

        >>> short = Parent("463ac35c9f6413ad", "a2fb4a1d1a96d312", Sampling.ACCEPT)
        >>> short.is_of(short._replace(trace="0" * 16 + short.trace))
        True
        """
        return self.trace.endswith(other.trace) or other.trace.endswith(self.trace)


def read(formats: tuple[str, ...], fields: Mapping[str, str]) -> Parent | None:
    """
    Read what an Envoy would read.

    Args:
        formats: The formats it knows, the one it prefers first.
        fields: Names in lower case to values.

    Returns:
        The parent, or None where there is nothing to read.

    Raises:
        MalformedHeaderError: What is there is malformed.

    >>> read(("b3",), {"b3": "0"})
    Parent(trace='', span='', sampling=<Sampling.DENY: 'deny'>)
    """
    for name in formats:
        parent = _READERS[name](fields)
        if parent is not None:
            return parent
    return None


def names_of(formats: tuple[str, ...]) -> frozenset[str]:
    """
    Give the names of the headers that are read for these formats.

    >>> sorted(names_of(("w3c",)))
    ['traceparent', 'tracestate']
    """
    return frozenset().union(*(_NAMES[name] for name in formats))


def _b3(fields: Mapping[str, str]) -> Parent | None:
    if "b3" in fields:
        return _parent(b3.parse_b3(fields["b3"]))
    if ("x-b3-traceid" in fields) is not ("x-b3-spanid" in fields):
        # One id without the other is no error to Envoy: it starts a new trace.
        return None
    return _parent(b3.parse_b3_multi(fields))


def _w3c(fields: Mapping[str, str]) -> Parent | None:
    value = fields.get("traceparent")
    if value is None:
        return None
    if not w3c.is_traceparent(value):
        raise MalformedHeaderError("traceparent", "Envoy does not take it")
    return _parent(w3c.parse_traceparent(value))


def _datadog(fields: Mapping[str, str]) -> Parent | None:
    numbers = [fields.get(name, "") for name in ("x-datadog-trace-id", "x-datadog-parent-id")]
    if not all(number.isdecimal() for number in numbers):
        return None
    trace, span = (f"{int(number):016x}" for number in numbers)
    decision = fields.get("x-datadog-sampling-priority", "")
    sampling = {"1": Sampling.ACCEPT, "2": Sampling.ACCEPT, "": Sampling.DEFER}
    return Parent(trace, span, sampling.get(decision, Sampling.DENY))


def _sw8(fields: Mapping[str, str]) -> Parent | None:
    parts = fields.get("sw8", "").split("-")
    if len(parts) != _SW8_PARTS:
        return None
    return Parent(parts[1], parts[2], Sampling.ACCEPT if parts[0] == "1" else Sampling.DENY)


def _parent(context: TraceContext) -> Parent | None:
    if not context:
        return None
    return Parent(context.trace_id or "", context.span_id or "", context.sampling)


_READERS: dict[str, Callable[[Mapping[str, str]], Parent | None]] = {
    "b3": _b3,
    "w3c": _w3c,
    "datadog": _datadog,
    "sw8": _sw8,
}
_NAMES = {
    "b3": frozenset(b3.FIELDS),
    "w3c": frozenset(w3c.FIELDS),
    "datadog": frozenset(
        {"x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-sampling-priority"}
    ),
    "sw8": frozenset({"sw8"}),
}

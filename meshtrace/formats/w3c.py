"""
W3C Trace Context: the fields ``traceparent`` and ``tracestate``.

    traceparent  00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01
                 version - trace id - span id (the specification's "parent-id") - flags
    tracestate   dd=s:1;p:e457b5a2e4d86bd1,congo=t61rcWkgMzE

Source: https://www.w3.org/TR/trace-context-2/, sections 3.2 and 3.3.
"""

import re

from meshtrace.context import Sampling, TraceContext
from meshtrace.errors import MalformedHeaderError

__all__ = [
    "FIELDS",
    "MAX_MEMBERS",
    "TRACEPARENT",
    "format_traceparent",
    "format_tracestate",
    "is_traceparent",
    "is_tracestate",
    "parse_traceparent",
    "parse_tracestate",
]

FIELDS = ("traceparent", "tracestate")

MAX_MEMBERS = 32

_HEX = "[0-9a-fA-F]"
_VERSION = rf"(?![fF]{{2}}){_HEX}{{2}}"
_TRACE_ID = rf"(?!0{{32}}){_HEX}{{32}}"
_SPAN_ID = rf"(?!0{{16}}){_HEX}{{16}}"
_FLAGS = rf"{_HEX}{{2}}"
TRACEPARENT = f"{_VERSION}-{_TRACE_ID}-{_SPAN_ID}-{_FLAGS}"
"""A regular expression for a ``traceparent`` of 55 characters, without groups."""

is_traceparent = re.compile(TRACEPARENT).fullmatch
"""
Whether a ``traceparent`` may be relayed: exactly 55 characters, because Envoy's OpenTelemetry
tracer makes no span for a longer one.
"""

_traceparent = re.compile(
    f"{_VERSION}-({_TRACE_ID})-({_SPAN_ID})-({_FLAGS})(-.*)?", re.DOTALL
).fullmatch
_member = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
).fullmatch


def parse_traceparent(value: str) -> TraceContext:
    """
    Read one ``traceparent`` value.

    Upper case is read as lower case, as Envoy does. A longer value of a version after 00 is read by
    its first 55 characters (section 4, "Versioning of traceparent"). Flags other than *sampled* and
    *random* have no meaning yet and are not kept.

    Args:
        value: The header's text, already stripped.

    Raises:
        MalformedHeaderError: *value* is no ``traceparent``.

    >>> parse_traceparent("00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01").sampling
    <Sampling.ACCEPT: 'accept'>
    >>> parse_traceparent("00-80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-01")
    Traceback (most recent call last):
        ...
    meshtrace.errors.MalformedHeaderError: traceparent: not traceparent's four fields, or a zero id
    """
    match = _traceparent(value)
    if match is None or (match[4] and value.startswith("00")):
        raise MalformedHeaderError("traceparent", "not traceparent's four fields, or a zero id")
    flags = int(match[3], 16)
    return TraceContext(
        trace_id=match[1].lower(),
        span_id=match[2].lower(),
        sampling=Sampling.ACCEPT if flags & 1 else Sampling.DENY,
        random=bool(flags & 2),
    )


def format_traceparent(context: TraceContext) -> str:
    """
    Write a ``traceparent`` of version 00.

    A trace id of 16 digits is padded with zeros on the left, as Envoy's Zipkin tracer does. An
    undecided context is written as not sampled: the format has no third state.

    Raises:
        ValueError: *context* has no ids.

    >>> format_traceparent(TraceContext(trace_id="463ac35c9f6413ad", span_id="a2fb4a1d1a96d312"))
    '00-0000000000000000463ac35c9f6413ad-a2fb4a1d1a96d312-00'
    """
    if context.trace_id is None:
        raise ValueError("traceparent needs a trace id and a span id")
    return f"00-{context.trace_id:0>32}-{context.span_id}-{context.trace_flags:02x}"


def parse_tracestate(value: str) -> tuple[tuple[str, str], ...]:
    """
    Read a ``tracestate`` value, several lines of it joined with ``,``.

    Empty members are allowed and left out; keys may repeat. The order is kept.

    Returns:
        The members, as (key, value) pairs.

    Raises:
        MalformedHeaderError: A member is not ``key=value`` of level 2's grammar, or there are more
            than 32.

    >>> parse_tracestate("dd=s:1;p:e457, ,congo=t61rcWkgMzE")
    (('dd', 's:1;p:e457'), ('congo', 't61rcWkgMzE'))
    >>> parse_tracestate("")
    ()
    """
    members = []
    for text in value.split(","):
        if stripped := text.strip(" \t"):
            match = _member(stripped)
            if match is None:
                raise MalformedHeaderError("tracestate", "a member is not key=value")
            members.append((match[1], match[2]))
    if len(members) > MAX_MEMBERS:
        raise MalformedHeaderError("tracestate", f"more than {MAX_MEMBERS} members")
    return tuple(members)


def is_tracestate(value: str) -> bool:
    """
    Tell whether a ``tracestate`` may be relayed as it came.

    >>> is_tracestate("congo=t61rcWkgMzE"), is_tracestate("no member")
    (True, False)
    """
    try:
        parse_tracestate(value)
    except MalformedHeaderError:
        return False
    return True


def format_tracestate(members: tuple[tuple[str, str], ...]) -> str:
    """
    Write a ``tracestate``.

    Raises:
        MalformedHeaderError: *members* would not be read back as they are.

    >>> format_tracestate((("dd", "s:1"), ("congo", "t61")))
    'dd=s:1,congo=t61'
    """
    value = ",".join(f"{key}={text}" for key, text in members)
    if parse_tracestate(value) != tuple(members):
        raise MalformedHeaderError("tracestate", "a member cannot be written")
    return value

"""
B3: one grammar, two spellings.

    b3                   80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90
                         trace id - span id [- decision [- parent span id]]
    b3                   0 (deny), 1 (accept) or d (debug): a decision without ids
    x-b3-traceid         80f198ee56343ba864fe8b2a57d3eff7, or its right 16 digits
    x-b3-spanid          e457b5a2e4d86bd1
    x-b3-parentspanid    05e3ac9a4f6e3b90
    x-b3-sampled         1 or 0 (lenient: true, false; Envoy takes d for 0)
    x-b3-flags           1 for debug

A missing decision is a state of its own, *defer*. Source:
https://github.com/openzipkin/b3-propagation, and what Envoy 1.40 was seen to do.

OpenTelemetry's B3 propagator is not used to read or write what came: it turns defer into 0 or 1,
loses a decision without ids, debug and the parent span id, and pads 64 bit ids.
"""

import re
from collections.abc import Mapping

from meshtrace.context import Sampling, TraceContext
from meshtrace.errors import MalformedHeaderError

__all__ = [
    "FIELDS",
    "MULTI_FIELDS",
    "SINGLE",
    "SPAN_ID",
    "TRACE_ID",
    "format_b3",
    "format_b3_multi",
    "is_stale",
    "parse_b3",
    "parse_b3_multi",
    "relayable_b3",
    "relayable_b3_multi",
]

MULTI_FIELDS = (
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
)
FIELDS = ("b3", *MULTI_FIELDS)

TRACE_ID = r"(?!0+\b)[0-9a-fA-F]{16}(?:[0-9a-fA-F]{16})?"
SPAN_ID = r"(?!0+\b)[0-9a-fA-F]{16}"
_IDS = f"{TRACE_ID}-{SPAN_ID}"
SINGLE = f"[01d]|{_IDS}(?:-[01d](?:-{SPAN_ID})?)?"

_ids = re.compile(_IDS).fullmatch
_span_id = re.compile(SPAN_ID).fullmatch
_single = re.compile(SINGLE).fullmatch
_single_with_bad_parent = re.compile(rf"({_IDS}-[01d])-.*", re.DOTALL).fullmatch

_SINGLE_DECISIONS = {"0": Sampling.DENY, "1": Sampling.ACCEPT, "d": Sampling.DEBUG}
_MULTI_DECISIONS = {
    "0": Sampling.DENY,
    "1": Sampling.ACCEPT,
    "false": Sampling.DENY,
    "true": Sampling.ACCEPT,
    # `d` belongs to the other spelling; every Envoy reads it as 0 here.
    "d": Sampling.DENY,
}
_LETTERS = {Sampling.DENY: "0", Sampling.ACCEPT: "1", Sampling.DEBUG: "d"}


def relayable_b3(value: str) -> str:
    """
    Give the part of one ``b3`` value that may be sent on.

    That is all of it, but for a bad parent span id, which is cut off.

    Args:
        value: The header's text, already stripped.

    Raises:
        MalformedHeaderError: *value* is not B3.

    >>> relayable_b3("463ac35c9f6413ad-a2fb4a1d1a96d312-1-nonsense")
    '463ac35c9f6413ad-a2fb4a1d1a96d312-1'
    """
    if _single(value):
        return value
    if match := _single_with_bad_parent(value):
        return match[1]
    raise MalformedHeaderError("b3", "neither traceid-spanid[-decision[-parent]] nor a decision")


def parse_b3(value: str) -> TraceContext:
    """
    Read one ``b3`` header value.

    A decision may travel without ids (``0``, ``1``, ``d``); the result then has a *sampling* and no
    ids. A missing decision is `Sampling.DEFER`, never a guess. Ids keep the width they came with; a
    bad parent span id is left out.

    Args:
        value: The header's text, already stripped.

    Raises:
        MalformedHeaderError: *value* is not B3. Extraction never lets this out: a bad header must
            not fail a request.

    >>> parse_b3("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1").sampling
    <Sampling.DEFER: 'defer'>
    >>> parse_b3("0").trace_id is None
    True
    """
    parts = relayable_b3(value).split("-")
    if len(parts) == 1:
        return TraceContext(sampling=_SINGLE_DECISIONS[value])
    trace_id, span_id, decision, parent = [*parts, None, None][:4]
    return TraceContext(
        trace_id=_lower(trace_id),
        span_id=_lower(span_id),
        parent_span_id=_lower(parent),
        sampling=_SINGLE_DECISIONS[decision] if decision else Sampling.DEFER,
    )


def format_b3(context: TraceContext) -> str:
    """
    Write one ``b3`` value.

    The spelling has no place for a parent span id without a decision: an undecided context is
    written without its parent.

    Raises:
        ValueError: *context* has neither ids nor a decision: there is nothing to write.

    >>> format_b3(TraceContext(sampling=Sampling.DENY))
    '0'
    """
    letter = _LETTERS.get(context.sampling)
    if context.trace_id is None:
        if letter is None:
            raise ValueError("b3 needs ids or a decision")
        return letter
    value = f"{context.trace_id}-{context.span_id}"
    if letter:
        value += f"-{letter}"
        if context.parent_span_id:
            value += f"-{context.parent_span_id}"
    return value


def relayable_b3_multi(carrier: Mapping[str, str]) -> dict[str, str]:
    """
    Give those of the ``x-b3-*`` fields that may be sent on, each as it came.

    A bad parent span id is left out alone, as is an ``x-b3-flags`` other than ``0`` and ``1``
    (which says nothing).

    Args:
        carrier: Names in lower case to values, already stripped; other names are not looked at.

    Raises:
        MalformedHeaderError: The ids or the decision are not B3, or one id came without the other.

    >>> relayable_b3_multi({"x-b3-sampled": "1", "x-b3-parentspanid": ""})
    {'x-b3-sampled': '1'}
    """
    fields = {name: carrier[name] for name in MULTI_FIELDS if name in carrier}
    with_ids = "x-b3-traceid" in fields
    if with_ids is not ("x-b3-spanid" in fields):
        raise MalformedHeaderError("x-b3-*", "a trace id and a span id come together")
    if with_ids and not _ids(f"{fields['x-b3-traceid']}-{fields['x-b3-spanid']}"):
        raise MalformedHeaderError(
            "x-b3-*", "the trace id is not 16 or 32 hex digits or the span id not 16, or all zero"
        )
    if "x-b3-sampled" in fields and fields["x-b3-sampled"].lower() not in _MULTI_DECISIONS:
        raise MalformedHeaderError("x-b3-sampled", "not 0, 1, true or false")
    if "x-b3-parentspanid" in fields and not (with_ids and _span_id(fields["x-b3-parentspanid"])):
        del fields["x-b3-parentspanid"]
    if "x-b3-flags" in fields and fields["x-b3-flags"] not in ("0", "1"):
        del fields["x-b3-flags"]
    return fields


def parse_b3_multi(carrier: Mapping[str, str]) -> TraceContext:
    """
    Read the ``x-b3-*`` fields.

    ``x-b3-flags: 1`` is debug whatever ``x-b3-sampled`` says, as the specification has it (Envoy
    does not read the flags).

    Args:
        carrier: Names in lower case to values, already stripped; other names are not looked at.

    Raises:
        MalformedHeaderError: As in `relayable_b3_multi`.

    >>> parse_b3_multi({"x-b3-sampled": "0"}).sampling
    <Sampling.DENY: 'deny'>
    """
    fields = relayable_b3_multi(carrier)
    sampling = Sampling.DEFER
    if fields.get("x-b3-flags") == "1":
        sampling = Sampling.DEBUG
    elif "x-b3-sampled" in fields:
        sampling = _MULTI_DECISIONS[fields["x-b3-sampled"].lower()]
    return TraceContext(
        trace_id=_lower(fields.get("x-b3-traceid")),
        span_id=_lower(fields.get("x-b3-spanid")),
        parent_span_id=_lower(fields.get("x-b3-parentspanid")),
        sampling=sampling,
    )


def format_b3_multi(context: TraceContext) -> dict[str, str]:
    """
    Write the ``x-b3-*`` fields; debug is written as flags alone, which imply the decision.

    >>> format_b3_multi(TraceContext(sampling=Sampling.DEBUG))
    {'x-b3-flags': '1'}
    """
    values = {
        "x-b3-traceid": context.trace_id,
        "x-b3-spanid": context.span_id,
        "x-b3-parentspanid": context.parent_span_id,
        "x-b3-sampled": {Sampling.DENY: "0", Sampling.ACCEPT: "1"}.get(context.sampling),
        "x-b3-flags": "1" if context.sampling is Sampling.DEBUG else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def is_stale(single: str, multi: Mapping[str, str]) -> bool:
    """
    Tell whether a ``b3`` is an outside client's, beside live ``x-b3-*``.

    Envoy before 1.40 refreshes ``x-b3-*`` alone, and reads ``b3`` first, so relaying it would hang
    every hop from the client's span, or split the trace. It is stale when ``x-b3-*`` has ids and
    ``b3`` has none, or when ``b3`` names the parent of the span that ``x-b3-*`` names.

    Args:
        single: A good ``b3`` value.
        multi: Good ``x-b3-*`` fields.

    >>> multi = {"x-b3-traceid": "463ac35c9f6413ad", "x-b3-parentspanid": "a2fb4a1d1a96d312"}
    >>> is_stale("463ac35c9f6413ad-a2fb4a1d1a96d312-1", multi)
    True
    """
    if "x-b3-traceid" not in multi:
        return False
    trace_id, _, rest = single.lower().partition("-")
    if not rest:
        return True
    return (
        trace_id.zfill(32) == multi["x-b3-traceid"].lower().zfill(32)
        and rest[:16] == multi.get("x-b3-parentspanid", "").lower()
    )


def _lower(text: str | None) -> str | None:
    return text.lower() if text is not None else None

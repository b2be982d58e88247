"""
Which of the fields that came are relayed, format by format.

Each format is judged on its own, and a malformed one is dropped whole: Envoy makes no span for a
request whose own header is malformed, and passes the bad value on, so that one bad value costs
every later hop; without it the next sidecar starts afresh.
"""

from collections.abc import Sequence

from meshtrace.errors import MalformedHeaderError
from meshtrace.formats import b3, w3c
from meshtrace.formats.baggage import select_members
from meshtrace.formats.vendor import is_visible
from meshtrace.relay.rules import ID_NAMES, InboundRules, format_of

__all__ = ["Accepted", "code_of", "judge", "sorted_out"]

_JOINED = frozenset({"tracestate", "baggage"})
"""Lists: several lines of one are one list (RFC 9110, section 5.3)."""

_B3_MULTI = frozenset(b3.MULTI_FIELDS)
_STALE = "stale: Envoy refreshed x-b3-* only"
_NOT_TAKEN = "vendor data, which is not taken here"
_TOO_LONG = "too long"
_TOO_LONG_FOR_ENVOY = "longer than Envoy takes"
_TOO_MUCH = "more than all of it may be"
_NO_MEMBER = "no member was asked for, or none fits"
_CODES = {
    _STALE: "stale",
    _NOT_TAKEN: "not-trusted",
    _NO_MEMBER: "not-forwarded",
    **dict.fromkeys((_TOO_LONG, _TOO_LONG_FOR_ENVOY, _TOO_MUCH), "too-large"),
}
_DIFFERING = "\0"
"""Stands for lines of one field that differ: malformed in every format."""


class Accepted:
    """
    The fields of one request that may be relayed, each as it came.

    Args:
        ids: Names in lower case to values: the fields that any host may have.

    Attributes:
        ids: As given.
        vendor_data: For hosts of the mesh.
        user_data: For hosts of the mesh; what the application sets itself is not here.
        authorization: For hosts named one by one.
        dropped: The names of what came and is not relayed, to the reason in words.
        future_traceparent: A ``traceparent`` longer than Envoy takes: a parent, but not relayed.
        empty_tracestate: Whether ``tracestate`` came empty, as Envoy's OpenTelemetry tracer has it.
    """

    __slots__ = (
        "authorization",
        "dropped",
        "empty_tracestate",
        "future_traceparent",
        "ids",
        "user_data",
        "vendor_data",
    )

    def __init__(self, ids: dict[str, str]) -> None:
        self.ids = ids
        self.vendor_data: dict[str, str] = {}
        self.user_data: dict[str, str] = {}
        self.authorization: str | None = None
        self.dropped: dict[str, str] = {}
        self.future_traceparent: str | None = None
        self.empty_tracestate = False

    def lasting(self) -> tuple[tuple[str, str], ...] | None:
        """
        Give what a host of the mesh may have, if that is all that came, and no user data.

        >>> Accepted({"b3": "0"}).lasting()
        (('b3', '0'),)
        """
        if self.user_data or self.authorization or self.dropped:
            return None
        return (*self.ids.items(), *self.vendor_data.items())


def judge(pairs: Sequence[tuple[str, str]], rules: InboundRules) -> Accepted:
    """
    Judge the fields that were picked from one request.

    Args:
        pairs: Names in lower case and values, in the order in which they came; a name may repeat.
        rules: The settings under which the request came.

    >>> judge([("b3", "0"), ("traceparent", "?")], InboundRules.of()).ids
    {'b3': '0'}
    """
    accepted = Accepted({})
    fields = dict(pairs)
    if len(fields) != len(pairs):
        fields = _one_line_per_name(pairs, accepted.dropped)
    b3_fields = {}
    for name, value in fields.items():
        if name in _B3_MULTI:
            b3_fields[name] = value
        elif name == "traceparent":
            _judge_traceparent(value, accepted)
        elif name == "b3":
            _judge_b3(value, accepted)
        elif name == "baggage":
            _judge_baggage(value, accepted, rules)
        elif name != "tracestate":
            _judge_opaque(name, value, accepted, rules)
    if b3_fields:
        _judge_b3_multi(b3_fields, accepted)
    if "tracestate" in fields:
        _judge_tracestate(fields["tracestate"], accepted, rules)
    _fit(accepted, rules)
    return accepted


def sorted_out(pairs: Sequence[tuple[str, str]]) -> Accepted:
    """
    Give ids and vendor data that are known to be good.

    Args:
        pairs: Names in lower case and values; a ``tracestate`` may be empty.

    >>> sorted_out([("b3", "0"), ("sw8", "1")]).vendor_data
    {'sw8': '1'}
    """
    accepted = Accepted({})
    for name, value in pairs:
        if name in ID_NAMES:
            accepted.ids[name] = value
        elif value:
            accepted.vendor_data[name] = value
        else:
            accepted.empty_tracestate = True
    return accepted


def code_of(reason: str) -> str:
    """
    Give the code for a reason why a field that came is not relayed.

    >>> code_of("too long"), code_of("not hex")
    ('too-large', 'malformed')
    """
    return _CODES.get(reason, "malformed")


def _one_line_per_name(pairs: Sequence[tuple[str, str]], dropped: dict[str, str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif name in _JOINED:
            fields[name] = ",".join(filter(None, (fields[name], value)))
        elif fields[name] != value:
            fields[name] = _DIFFERING
            dropped[name] = "came in lines that differ"
    return fields


def _judge_traceparent(value: str, accepted: Accepted) -> None:
    if w3c.is_traceparent(value):
        accepted.ids["traceparent"] = value
        return
    try:
        w3c.parse_traceparent(value)
    except MalformedHeaderError as error:
        accepted.dropped.setdefault("traceparent", error.reason)
    else:
        accepted.future_traceparent = value
        accepted.dropped["traceparent"] = _TOO_LONG_FOR_ENVOY


def _judge_tracestate(value: str, accepted: Accepted, rules: InboundRules) -> None:
    if not value:
        accepted.empty_tracestate = True
    elif "tracestate" not in rules.vendor_names:
        accepted.dropped["tracestate"] = _NOT_TAKEN
    elif "traceparent" not in accepted.ids:
        accepted.dropped["tracestate"] = "no good traceparent beside it"
    elif len(value) > rules.limits.field:
        accepted.dropped["tracestate"] = _TOO_LONG
    elif not w3c.is_tracestate(value):
        accepted.dropped["tracestate"] = "a member is not key=value, or there are too many"
    else:
        accepted.vendor_data["tracestate"] = value


def _judge_b3(value: str, accepted: Accepted) -> None:
    try:
        accepted.ids["b3"] = b3.relayable_b3(value)
    except MalformedHeaderError as error:
        accepted.dropped.setdefault("b3", error.reason)


def _judge_b3_multi(fields: dict[str, str], accepted: Accepted) -> None:
    try:
        relayable = b3.relayable_b3_multi(fields)
    except MalformedHeaderError as error:
        for name in fields:
            accepted.dropped.setdefault(name, error.reason)
        return
    if len(relayable) != len(fields):
        for name in fields.keys() - relayable.keys():
            accepted.dropped.setdefault(name, "malformed by itself")
    single = accepted.ids.get("b3")
    if single is not None and b3.is_stale(single, relayable):
        del accepted.ids["b3"]
        accepted.dropped["b3"] = _STALE
    accepted.ids.update(relayable)


def _judge_baggage(value: str, accepted: Accepted, rules: InboundRules) -> None:
    if not is_visible(value):
        accepted.dropped["baggage"] = "empty, or not visible ASCII"
        return
    limits = rules.limits
    kept = select_members(
        value, rules.baggage_keys, members=limits.baggage_members, size=limits.baggage
    )
    if kept:
        accepted.user_data["baggage"] = kept
    else:
        accepted.dropped["baggage"] = _NO_MEMBER


def _judge_opaque(name: str, value: str, accepted: Accepted, rules: InboundRules) -> None:
    limits = rules.limits
    if not is_visible(value):
        accepted.dropped.setdefault(name, "empty, or not visible ASCII")
    elif len(value) > (limits.request_id if name == "x-request-id" else limits.field):
        accepted.dropped[name] = _TOO_LONG
    elif name in ID_NAMES:
        accepted.ids[name] = value
    elif name in rules.vendor_names:
        accepted.vendor_data[name] = value
    elif name == "authorization":
        accepted.authorization = value
    else:
        accepted.user_data[name] = value


def _fit(accepted: Accepted, rules: InboundRules) -> None:
    """
    Leave out user data, then vendor data, then ids, until the rest fits.

    The longest goes first, with its whole format.
    """
    if not (accepted.vendor_data or accepted.user_data or rules.ids_may_not_fit):
        return
    kinds = (accepted.user_data, accepted.vendor_data, accepted.ids)
    length = sum(len(name) + len(value) for kind in kinds for name, value in kind.items())
    for kind in kinds:
        while kind and length > rules.limits.total:
            _, longest = max((len(value), name) for name, value in kind.items())
            for name in format_of(longest) & kind.keys():
                length -= len(name) + len(kind.pop(name))
                accepted.dropped[name] = _TOO_MUCH

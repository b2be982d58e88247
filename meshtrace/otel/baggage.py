"""Baggage that the application has changed with OpenTelemetry's baggage API."""

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from meshtrace.formats.baggage import select_members
from meshtrace.relay.snapshot import Snapshot

__all__ = ["baggage_is_set", "changed_baggage"]

_PROPAGATOR = W3CBaggagePropagator()


def baggage_is_set() -> bool:
    """Tell whether OpenTelemetry's current context has baggage at all."""
    return bool(baggage.get_all())


def changed_baggage(snapshot: Snapshot) -> str | None:
    """
    Give the ``baggage`` of a call, if the application has changed it and it may be forwarded.

    Args:
        snapshot: The request for which the call is made.

    Returns:
        OpenTelemetry's own spelling of the members that the setting ``forward`` names; None where
        nothing was changed: then what came goes out as it came.
    """
    rules = snapshot.rules
    if snapshot.ended or "baggage" not in rules.names:
        return None
    keys = rules.baggage_keys
    now = {key: value for key, value in baggage.get_all().items() if keys is None or key in keys}
    came = snapshot.user_data.get("baggage", "")
    read = dict(baggage.get_all(_PROPAGATOR.extract({"baggage": came}, Context())))
    if not now or now == read:
        return None
    context = Context()
    for key, value in now.items():
        context = baggage.set_baggage(key, value, context)
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    # Where no member that came is in OpenTelemetry's context, nobody has read them there: they go
    # on beside what was set.
    unread = came if read.keys().isdisjoint(now) else ""
    spelled = ",".join(filter(None, (carrier.get("baggage"), unread)))
    limits = rules.limits
    return select_members(spelled, None, members=limits.baggage_members, size=limits.baggage)

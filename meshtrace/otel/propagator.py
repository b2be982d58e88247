"""
OpenTelemetry's own instrumentations, with every format of the mesh, and nothing lost.

    opentelemetry.propagate.set_global_textmap(MeshPropagator())
    OTEL_PROPAGATORS=meshtrace opentelemetry-instrument ...
"""

from collections.abc import Sequence
from typing import Unpack

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import set_span_in_context

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.configuration import Following, disabled, join_by_default
from meshtrace.otel.encode import with_span
from meshtrace.otel.own import span_going_out
from meshtrace.otel.remote import remote_parent
from meshtrace.policy import Share
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import ID_NAMES, InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

__all__ = ["MeshPropagator"]

_SNAPSHOT = create_key("meshtrace")
_SHARE = Share.IDS | Share.VENDOR_DATA


class MeshPropagator(TextMapPropagator):
    """
    Extracts what the mesh sends, and injects the same, with the current span's ids in it.

    That is ``own_spans="join"``: making one implies it for all of meshtrace, where the setting says
    nothing. A propagator is not told which host a call goes to, so it writes ids and vendor data,
    and never user data or baggage. It never raises.

    Args:
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`; those that act where a request arrives.

    Raises:
        ConfigurationError: An option is not valid.

    >>> propagator = MeshPropagator()
    >>> context = propagator.extract({"X-B3-Sampled": "0"})
    >>> carrier = {}
    >>> propagator.inject(carrier, context)
    >>> carrier
    {'x-b3-sampled': '0'}
    """

    def __init__(self, settings: Settings | None = None, **options: Unpack[Options]) -> None:
        own = Settings.of(settings, options)
        self._off = disabled()
        if not self._off:
            join_by_default()
        self._rules = Following(InboundRules, own)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """
        Give a context with the remote parent, and with all that is to be injected again.

        Args:
            carrier: The headers of a request, as *getter* knows them.
            context: What to add to; None is an empty context.
            getter: Reads *carrier*; names are found in any case, if it can list them.
        """
        found = Context() if context is None else context
        if self._off:
            return found
        try:
            rules = self._rules.value
            snapshot = from_carrier(_pairs(carrier, getter, rules), rules)
            found = set_value(_SNAPSHOT, snapshot, found)
            parent = remote_parent(snapshot)
            return found if parent is None else set_span_in_context(parent, found)
        except Exception:  # noqa: BLE001 - the request must be served
            notices.fault("extracting for OpenTelemetry")
            return found

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """
        Write what came, and the ids of the context's span in each format that is of its trace.

        Args:
            carrier: The headers of a call, as *setter* knows them.
            context: Where to look; None is the current context.
            setter: Writes to *carrier*.
        """
        if self._off:
            return
        try:
            for name, value in self._fields(context).items():
                setter.set(carrier, name, value)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("injecting for OpenTelemetry")

    def _fields(self, context: Context | None) -> dict[str, str]:
        rules = self._rules.value
        snapshot = get_value(_SNAPSHOT, context)
        if not isinstance(snapshot, Snapshot):
            snapshot = CURRENT.get() or Snapshot([], rules)
        fields = snapshot.fields(_SHARE)
        span = span_going_out(context)
        if span is None:
            return fields
        return with_span(fields, snapshot.accepted, span, _SHARE, rules.settings.root_formats)

    @property
    def fields(self) -> set[str]:
        """The names that `inject` may write."""
        rules = self._rules.value
        return {*(rules.names & ID_NAMES), *rules.vendor_names}


def _pairs(
    carrier: CarrierT, getter: Getter[CarrierT], rules: InboundRules
) -> Sequence[tuple[str, str]]:
    names = rules.names & ID_NAMES | rules.vendor_names
    listed = {str(key).lower(): key for key in getter.keys(carrier)}
    spelled = {name: listed[name] for name in names & listed.keys()}
    if not spelled and "host" not in listed:
        # Not every getter can list the headers that there are.
        spelled = {name: name for name in names}
    return [
        (name, value) for name, key in spelled.items() for value in getter.get(carrier, key) or ()
    ]

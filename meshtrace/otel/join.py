"""
Join: a sampled span of the application's own stands between Envoy's spans, parent to child.

That is ``own_spans="join"``. In every case that `meshtrace.otel.encode` does not name, what came is
relayed.
"""

from collections.abc import Mapping

from opentelemetry.trace import SpanContext

from meshtrace.otel.baggage import baggage_is_set, changed_baggage
from meshtrace.otel.encode import with_span
from meshtrace.otel.own import span_going_out
from meshtrace.otel.plain import plainly_with_span
from meshtrace.otel.rules import RelayingRules
from meshtrace.policy import Share
from meshtrace.relay.inject import Sent
from meshtrace.relay.record import OUTSIDE
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Settings

__all__ = ["JoiningRules"]


class JoiningRules(RelayingRules):
    """
    Decides what a call may have, where spans of the application's own may be its parent.

    A call outside any request is one to which nothing came: a span that is current there goes out.

    Args:
        own: The settings of one client; the rest is filled in.

    >>> rules = JoiningRules(Settings())
    """

    def __init__(self, own: Settings) -> None:
        super().__init__(own)
        self.without_request = Snapshot([], InboundRules(own))
        self.without_request.note_in(OUTSIDE)

    def decide(
        self,
        snapshot: Snapshot,
        url: str | None,
        carrier: Mapping[str, str],
        before: Sent | None = None,
    ) -> Sent:
        """Decide what to add to one call; see `meshtrace.relay.inject.OutboundRules.decide`."""
        if baggage_is_set():
            return self._decide_with_care(snapshot, url, carrier, before)
        span = self._going_out()
        if span is None:
            return super().decide(snapshot, url, carrier, before)
        came = snapshot.lasting()
        if came:
            sent = super().decide(snapshot, url, carrier, before)
            # Another thread that judged the request, too, may have left a tuple of its own.
            if sent.fields != came:
                return sent
            # All of it may go, which was decided without a look at spans.
            fields = plainly_with_span(came, span)
            if fields is not None:
                return Sent(fields)
        return self._decide_with_care(snapshot, url, carrier, before)

    def _going_out(self) -> SpanContext | None:
        # Where meshtrace makes spans, those of the same provider are known where they go.
        return span_going_out(of_any_provider=not self.spans)

    def _fields(self, snapshot: Snapshot, share: Share) -> dict[str, str]:
        fields = snapshot.fields(share)
        span = self._going_out()
        if span is not None:
            formats = self.settings.root_formats
            fields = with_span(fields, snapshot.accepted, span, share, formats)
        if Share.USER_DATA in share:
            baggage = changed_baggage(snapshot)
            if baggage:
                fields["baggage"] = baggage
        return fields

"""
Which rules calls go out by. Nothing of OpenTelemetry is loaded here.

Another tracer that is installed in the process, such as an instrumentation of OpenTelemetry, writes
headers of its own onto the calls of a client: the ids of a span that the mesh never sees, unless it
was told so.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.otel.written import LOW_64_BITS, written_by_ddtrace
from meshtrace.relay.inject import OutboundRules, Sent
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Settings

__all__ = ["RelayingRules", "outbound_rules"]

_JOIN = (
    "what came in goes out instead. To have these spans in the mesh's trace, "
    "say MESHTRACE_OWN_SPANS=join."
)
_LET_STAND = (
    "what came in goes out instead. To let its headers stand, say MESHTRACE_OWN_SPANS=join."
)
_NO_SPANS = (
    "meshtrace's own span goes out instead. To let its headers stand, say MESHTRACE_SPANS=0 and "
    "MESHTRACE_OWN_SPANS=join."
)


def outbound_rules(own: Settings, library: str = "headers()") -> OutboundRules:
    """
    Give the rules of one client.

    Args:
        own: Its settings; the rest is filled in.
        library: What makes the calls, for `meshtrace.explain`.

    >>> outbound_rules(Settings()).__class__.__name__
    'RelayingRules'
    """
    rules: OutboundRules = RelayingRules(own)
    if rules.settings.own_spans == "join":
        from meshtrace.otel.join import JoiningRules  # noqa: PLC0415 - loads OpenTelemetry

        rules = JoiningRules(own)
    rules.library = library
    return rules


class RelayingRules(OutboundRules):
    """
    Relays what came, whatever spans are made in the process.

    Where another tracer has written its span's ids onto a call, they give way: on the wire they
    would be a parent that nobody in the mesh reports. Sentry's ``baggage`` goes beside what came.
    The caller's own headers stay.
    """

    def _decide_with_care(
        self, snapshot: Snapshot, url: str | None, carrier: Mapping[str, str], before: Sent | None
    ) -> Sent:
        decide = super()._decide_with_care
        if "sentry_sdk" not in sys.modules:
            return decide(snapshot, url, carrier, before)
        from meshtrace.otel import sentry  # noqa: PLC0415 - loads http.client

        theirs = sentry.baggage_on(carrier)
        if theirs:
            carrier = {name: carrier[name] for name in carrier if name not in theirs}
        sent = decide(snapshot, url, carrier, before)
        sentry.go_beside(sent, theirs, self.library)
        return sent

    def not_the_callers(self, carrier: Mapping[Any, Any]) -> tuple[Any, ...]:
        """Tell which headers of a call a tracer wrote for the span that is current."""
        relays = self.settings.own_spans == "relay"
        names: tuple[Any, ...] = ()
        if "opentelemetry.trace" in sys.modules:
            from meshtrace.otel.own import written_for_current_span  # noqa: PLC0415 - see above

            names = written_for_current_span(carrier)
            if names and relays:
                _say("an OpenTelemetry instrumentation", _JOIN)
        if not names:
            names, trace_id = written_by_ddtrace(carrier)
            if not names or (not (relays or self.spans) and _is_of_the_mesh(trace_id)):
                # Asked to join, its headers stand as they are: nobody else knows its spans.
                return ()
            _say("ddtrace", _NO_SPANS if self.spans else _LET_STAND)
        return names


def _is_of_the_mesh(trace_id: int) -> bool:
    snapshot = CURRENT.get()
    came = None if snapshot is None else snapshot.remote_parent().trace_id
    return came is None or (int(came, 16) ^ trace_id) & LOW_64_BITS == 0


def _say(tracer: str, instead: str) -> None:
    notices.once(
        logging.INFO,
        ("another tracer's headers", tracer),
        "meshtrace: %s wrote the ids of a span of this process onto a call; %s",
        tracer,
        instead,
    )

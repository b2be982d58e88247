"""What every outbound room does the same way: decide, put on, and take off again."""

import functools
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.configuration import Following, disabled
from meshtrace.otel.rules import outbound_rules
from meshtrace.relay.inject import OutboundRules, Sent
from meshtrace.relay.record import OUTSIDE, Call, host_and_port
from meshtrace.settings import Settings

if TYPE_CHECKING:
    from meshtrace.otel.spans.client import ClientSpan

__all__ = ["NOTHING", "Departures", "headers", "put_on", "take_off"]

NOTHING = Sent(())
"""What a call was given when it was given nothing."""

_UNDER_TEST = "http://testserver"
"""Whom Starlette's test client calls: the application itself, whose middleware has yet to run."""


class Departures:
    """
    The calls that one client makes, or all clients of a patched library.

    Args:
        library: What it is called, in messages.
        own: The settings of the client; the rest is filled in.

    Attributes:
        off: Whether ``MESHTRACE_DISABLED`` was set when this was made.
        rules: What decides, by the settings of this moment.

    >>> Departures("requests", Settings()).decide({}, "http://reviews:9080/").fields
    ()
    """

    def __init__(self, library: str, own: Settings) -> None:
        self.library = library
        self.off = disabled()
        self.rules = Following(functools.partial(outbound_rules, library=library), own)

    def decide(
        self, carrier: MutableMapping[str, Any], url: str | None, before: Sent | None = None
    ) -> Sent:
        """
        Decide what one attempt may have, on the caller's headers alone; never raises.

        What it gives is to be remembered on the library's request object, and then `put_on`.

        Args:
            carrier: The call's headers, names compared without case; what *before* added comes off.
            url: Where the attempt goes; None is judged as a host outside the mesh.
            before: What the same request object, or the hop before a redirect, was given.
        """
        if self.off:
            return NOTHING
        try:
            rules = self.rules.value
            if before is not None:
                # Known by what they are now: they may have been written over ours.
                others = {name: carrier[name] for name in rules.not_the_callers(carrier)}
                take_off(carrier, before)
                for name, value in others.items():
                    if carrier.get(name) == value:
                        del carrier[name]
            snapshot = CURRENT.get()
            if snapshot is not None:
                return rules.decide(snapshot, url, carrier, before)
            return _outside(rules, url, carrier, before)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault(f"adding headers to a call of {self.library}")
            return NOTHING if before is None else before.taken_off()

    def attempt(self, method: str, url: str, resends: int = 0) -> "ClientSpan | None":
        """
        Begin the span of one attempt, which is current from now on, so that its ids go out.

        To be asked only where ``rules.value.spans`` says so, before `decide`. What it gives is a
        context manager, to be entered at once and left with the head of the response.

        Args:
            method: As it is sent.
            url: Where it goes, absolute.
            resends: How many attempts of the same call there were before.
        """
        if self.off:
            return None
        try:
            from meshtrace.otel.spans.client import begin  # noqa: PLC0415 - loads OpenTelemetry

            return begin(self.library, method, url, resends)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault(f"making a span for a call of {self.library}")
            return None

    def attempt_rpc(self, method: str | bytes, host: str | None) -> "ClientSpan | None":
        """
        Do the same for a call over gRPC.

        Args:
            method: As gRPC has it, ``/package.Service/Method``.
            host: Where it leads, where that is known.
        """
        if self.off:
            return None
        try:
            from meshtrace.otel.spans.client import begin_rpc  # noqa: PLC0415 - loads OpenTelemetry

            return begin_rpc(method, host)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault(f"making a span for a call of {self.library}")
            return None


def headers(url: str | None = None) -> dict[str, str]:
    """
    Give the headers to put on one call, for a client that meshtrace does not know.

    Args:
        url: Where the call goes, absolute. Without it the host cannot be judged, and gets what a
            host outside the mesh gets.

    Returns:
        A new dict, names in lower case; empty outside any request.

    >>> headers("http://reviews:9080/reviews/0")
    {}
    """
    notices.client_ready("headers()")
    if disabled():
        return {}
    rules = _outbound_rules().value
    # A URL object of some client's is as good as its text.
    text = None if url is None else str(url)
    snapshot = CURRENT.get() or rules.without_request
    if snapshot is None:
        _explain(rules, text)
        return {}
    return rules.fields(snapshot, text)


def _outside(
    rules: OutboundRules, url: str | None, carrier: MutableMapping[str, Any], before: Sent | None
) -> Sent:
    """Decide for a call outside any request."""
    if rules.without_request is None:
        _explain(rules, url)
        sent = NOTHING if before is None else before.taken_off()
    else:
        sent = rules.decide(rules.without_request, url, carrier, before)
    if not sent.fields and not (url or "").startswith(_UNDER_TEST):
        notices.client_sent_without_context()
    return sent


def _explain(rules: OutboundRules, url: str | None) -> None:
    """Keep that a call was made for no request, where the setting ``explain`` asks for it."""
    if rules.settings.explain:
        OUTSIDE.note(Call(rules.library, host_and_port(url), withheld=(("", "no-context"),)))


@functools.cache
def _outbound_rules() -> Following[OutboundRules]:
    return Following(outbound_rules, Settings())


def put_on(carrier: MutableMapping[str, Any], sent: Sent) -> None:
    """
    Write what was decided to a call's headers.

    >>> carrier = {}
    >>> put_on(carrier, Sent((("b3", "0"),)))
    >>> carrier
    {'b3': '0'}
    """
    if sent.dropped or sent.replaced:
        for name in (*sent.dropped, *sent.replaced):
            del carrier[name]
    put = carrier.__setitem__
    for name, value in sent.fields:
        put(name, value)


def take_off(carrier: MutableMapping[str, Any], sent: Sent) -> None:
    """
    Leave the caller's own headers, but for what the caller has changed since.

    >>> carrier = {"b3": "0", "accept": "*/*"}
    >>> take_off(carrier, Sent((("b3", "0"),)))
    >>> carrier
    {'accept': '*/*'}
    """
    # What is gone was taken away on purpose, as requests does with Authorization on a redirect to
    # another host: what it replaced does not come back.
    gone = {name for name, _ in sent.fields if name not in carrier}
    for name, value in sent.fields:
        if carrier.get(name) == value:
            del carrier[name]
    for name, value in sent.replaced.items():
        if name.lower() not in gone:
            carrier.setdefault(name, value)

"""
Headers out: which of a request's fields one call may have.

The host is judged, and the caller wins by whole formats. What was added is remembered, so that a
request object that is sent again, or redirected, is decided afresh on the caller's headers alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from meshtrace.configuration import resolve
from meshtrace.formats.baggage import select_members
from meshtrace.policy import HostPolicy, Share, say_withheld
from meshtrace.relay.reasons import Reasons, note
from meshtrace.relay.request_ids import look_at_call
from meshtrace.relay.rules import Forward, format_of
from meshtrace.relay.snapshot import Pairs, Snapshot
from meshtrace.settings import Settings

__all__ = ["OutboundRules", "Sent", "lower"]


_MESH = Share.MESH
_HOST = {"host"}
_OUTSIDE = "http://outside.invalid"


class Sent:
    """
    What one call was given, to be kept on that call's request object.

    Args:
        fields: What to add, or what was added: names in lower case and values.

    Attributes:
        fields: As given.
        replaced: The caller's own headers that had to go (``on_conflict="replace"``), as spelled.
        dropped: The names, as spelled, of headers that somebody else wrote and that had to go; they
            are never given back.
        outside: Whether the call goes to a host that is not of the mesh.
        redirected: Whether the call follows a redirect.
        left_mesh: Whether a call before it in its chain of redirects went outside the mesh.
        hops: How many calls there were before it in that chain.
    """

    replaced: Mapping[str, str] = MappingProxyType({})
    dropped: tuple[Any, ...] = ()
    outside = False
    redirected = False
    left_mesh = False
    hops = 0

    def __init__(self, fields: Pairs) -> None:
        self.fields = fields

    def next_hop(self) -> "Sent":
        """Give what is remembered of this call on the request that follows its redirect."""
        hop = Sent(self.fields)
        hop.replaced = self.replaced
        hop.redirected = True
        hop.hops = self.hops + 1
        hop.left_mesh = self.left_mesh or self.outside
        return hop

    def taken_off(self) -> "Sent":
        """Give what is remembered once the fields are off again: the place in a redirect chain."""
        sent = Sent(())
        sent.redirected = self.redirected
        sent.left_mesh = self.left_mesh
        sent.hops = self.hops
        return sent


class OutboundRules:
    """
    Decides what a call may have, under one set of settings.

    Args:
        own: The settings of one client; the rest is filled in.

    Attributes:
        library: What makes the calls, for `meshtrace.explain`.
        spans: Whether a span is made for each attempt of a call.
        without_request: What a call outside any request is made for; None is for nothing.

    >>> rules = OutboundRules(Settings())
    """

    library = "headers()"
    without_request: Snapshot | None = None

    def __init__(self, own: Settings) -> None:
        settings = self.settings = resolve(own)
        self.spans = settings.spans
        self.policy = HostPolicy(settings)
        self._replace = settings.on_conflict == "replace"
        # A client's own list narrows what it sends; elsewhere, what the middleware took in is what
        # goes out.
        self._forward = Forward(own.forward) if "forward" in own.given else None

    def decide(
        self,
        snapshot: Snapshot,
        url: str | None,
        carrier: Mapping[str, str],
        before: Sent | None = None,
    ) -> Sent:
        """
        Decide what to add to one call.

        Args:
            snapshot: The request for which the call is made.
            url: Where the call goes; None is judged as a host outside the mesh.
            carrier: The caller's own headers; not changed here.
            before: What was remembered of the same request object, already taken off *carrier*.
        """
        fields = snapshot.lasting()
        policy = self.policy
        if fields is not None and before is None and url and policy.judge(url).share is _MESH:
            try:
                claimed = snapshot.rules.claimed.intersection(map(str.lower, carrier))
                # Some clients always name the host they call.
                if not claimed or (
                    claimed == _HOST and policy.judge(f"//{carrier['host']}").share is _MESH
                ):
                    return Sent(fields)
            except (KeyError, TypeError):
                # Names in bytes, or a carrier in which names have their case.
                pass
        return self._decide_with_care(snapshot, url, carrier, before)

    def fields(self, snapshot: Snapshot, url: str | None) -> dict[str, str]:
        """
        Give the fields for a call whose request is not at hand.

        Args:
            snapshot: The request for which the call is made.
            url: Where the call goes; None is judged as a host outside the mesh.
        """
        return dict(self.decide(snapshot, url, {}).fields)

    def _decide_with_care(
        self, snapshot: Snapshot, url: str | None, carrier: Mapping[str, str], before: Sent | None
    ) -> Sent:
        sent = Sent(())
        sent.dropped = self.not_the_callers(carrier)
        present = {lower(name): name for name in carrier if name not in sent.dropped}
        strictest = self.policy.judge(url or "")
        share = self.policy.share(_OUTSIDE) if url is None else strictest.share
        if "host" in present:
            named = self.policy.judge(f"//{carrier[present['host']]}")
            if share not in named.share:
                strictest = named
            share &= named.share
        sent.outside = Share.VENDOR_DATA not in share
        if before is not None and before.redirected:
            sent.redirected = True
            sent.left_mesh = before.left_mesh
            sent.hops = before.hops
            share &= ~Share.AUTHORIZATION
            if before.left_mesh:
                share &= ~Share.USER_DATA
        fields = self._narrowed(snapshot, self._fields(snapshot, share))
        clashing = [name for name in fields if not format_of(name).isdisjoint(present)]
        if "x-request-id" in clashing:
            look_at_call(carrier[present["x-request-id"]], fields["x-request-id"])
        if not clashing:
            sent.fields = tuple(fields.items())
        elif self._replace:
            taken = present.keys() & frozenset[str]().union(*map(format_of, clashing))
            sent.replaced = {present[name]: carrier[present[name]] for name in taken}
            sent.fields = tuple(fields.items())
        else:
            sent.fields = tuple(pair for pair in fields.items() if pair[0] not in clashing)
        if sent.outside and not strictest.denied:
            withheld = self._withheld(snapshot, fields, present)
            say_withheld(strictest.host, withheld, self.policy.mesh_hosts)
        if snapshot.rules.explains:
            given = {} if strictest.denied else self._fields(snapshot, share)
            reasons = Reasons(snapshot, share, given, fields, sent, denied=strictest.denied)
            note(snapshot.record, self.library, url, sent, reasons)
        return sent

    def _withheld(
        self, snapshot: Snapshot, fields: Mapping[str, str], present: Iterable[str]
    ) -> Iterator[str]:
        """Yield the fields that the same call would get if it went to a host of the mesh."""
        wanted = self._narrowed(snapshot, snapshot.fields(_MESH)).keys() - fields.keys()
        for name in wanted:
            if format_of(name).isdisjoint(present):
                yield name

    def _fields(self, snapshot: Snapshot, share: Share) -> dict[str, str]:
        """Give what a host with this share gets."""
        return snapshot.fields(share)

    def not_the_callers(self, carrier: Mapping[Any, Any]) -> tuple[Any, ...]:  # noqa: ARG002 - there is nobody else
        """
        Tell which headers of a call the caller has not set, as they are spelled.

        Args:
            carrier: The headers, without ours.
        """
        return ()

    def _narrowed(self, snapshot: Snapshot, fields: Mapping[str, str]) -> Mapping[str, str]:
        forward = self._forward
        if forward is None:
            return fields
        user_data = {"baggage", *snapshot.user_data}
        narrowed = {}
        for name, value in fields.items():
            if name not in user_data or name.startswith(forward.prefixes):
                narrowed[name] = value
            elif name == "baggage" and forward.baggage_keys is not None:
                if kept := select_members(value, forward.baggage_keys):
                    narrowed[name] = kept
            elif name in forward.names:
                narrowed[name] = value
        return narrowed


def lower(name: str | bytes) -> str:
    """
    Give a name in lower case; some clients take names in bytes.

    >>> lower(b"Traceparent")
    'traceparent'
    """
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()

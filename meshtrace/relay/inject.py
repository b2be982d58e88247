"""
Headers out: which of a request's fields one call may have.

The host is judged, and the caller wins by whole formats. What was added is remembered, so that a
request object that is sent again, or redirected, is decided afresh on the caller's headers alone.
"""

from collections.abc import Mapping
from types import MappingProxyType

from meshtrace.configuration import resolve
from meshtrace.formats.baggage import select_members
from meshtrace.policy import HostPolicy, Share, say_withheld
from meshtrace.relay.rules import Forward, format_of
from meshtrace.relay.snapshot import Pairs, Snapshot
from meshtrace.settings import Settings

__all__ = ["OutboundRules", "Sent"]


_MESH = Share.MESH
_OUTSIDE = "http://outside.invalid"


class Sent:
    """
    What one call was given, to be kept on that call's request object.

    Args:
        fields: What to add, or what was added: names in lower case and values.

    Attributes:
        fields: As given.
        replaced: The caller's own headers that had to go (``on_conflict="replace"``), as spelled.
        outside: Whether the call goes to a host that is not of the mesh.
        redirected: Whether the call follows a redirect.
        left_mesh: Whether a call before it in its chain of redirects went outside the mesh.
    """

    replaced: Mapping[str, str] = MappingProxyType({})
    outside = False
    redirected = False
    left_mesh = False

    def __init__(self, fields: Pairs) -> None:
        self.fields = fields

    def next_hop(self) -> "Sent":
        """Give what is remembered of this call on the request that follows its redirect."""
        hop = Sent(self.fields)
        hop.replaced = self.replaced
        hop.redirected = True
        hop.left_mesh = self.left_mesh or self.outside
        return hop

    def taken_off(self) -> "Sent":
        """Give what is remembered once the fields are off again: the place in a redirect chain."""
        sent = Sent(())
        sent.redirected = self.redirected
        sent.left_mesh = self.left_mesh
        return sent


class OutboundRules:
    """
    Decides what a call may have, under one set of settings.

    Args:
        own: The settings of one client; the rest is filled in.

    >>> rules = OutboundRules(Settings())
    """

    def __init__(self, own: Settings) -> None:
        settings = resolve(own)
        self.policy = HostPolicy(settings)
        self._replace = settings.on_conflict == "replace"
        # A client's own list narrows what it sends; elsewhere, what the middleware took in is what
        # goes out.
        self._forward = Forward(own.forward) if "forward" in own.given else None

    def decide(
        self,
        snapshot: Snapshot,
        url: str,
        carrier: Mapping[str, str],
        before: Sent | None = None,
    ) -> Sent:
        """
        Decide what to add to one call.

        Args:
            snapshot: The request for which the call is made.
            url: Where the call goes.
            carrier: The caller's own headers; not changed here.
            before: What was remembered of the same request object, already taken off *carrier*.
        """
        only_ids = snapshot.only_ids()
        if only_ids is not None and before is None and self.policy.share(url) is _MESH:
            try:
                untouched = snapshot.rules.claimed.isdisjoint(map(str.lower, carrier))
            except TypeError:
                # Some clients take names in bytes.
                untouched = False
            if untouched:
                return Sent(only_ids)
        return self._decide_with_care(snapshot, url, carrier, before)

    def fields(self, snapshot: Snapshot, url: str | None) -> dict[str, str]:
        """
        Give the fields for a call whose request is not at hand.

        Args:
            snapshot: The request for which the call is made.
            url: Where the call goes; None is judged as a host outside the mesh.
        """
        sent = self._decide_with_care(snapshot, url, {}, None)
        return dict(sent.fields)

    def _decide_with_care(
        self, snapshot: Snapshot, url: str | None, carrier: Mapping[str, str], before: Sent | None
    ) -> Sent:
        present = {_lower(name): name for name in carrier}
        strictest = url or ""
        share = self.policy.share(_OUTSIDE if url is None else url)
        if "host" in present:
            named = f"//{carrier[present['host']]}"
            if share not in self.policy.share(named):
                strictest = named
            share &= self.policy.share(named)
        sent = Sent(())
        sent.outside = Share.VENDOR_DATA not in share
        if before is not None and before.redirected:
            sent.redirected = True
            sent.left_mesh = before.left_mesh
            share &= ~Share.AUTHORIZATION
            if before.left_mesh:
                share &= ~Share.USER_DATA
        fields = self._narrowed(snapshot, snapshot.fields(share))
        clashes = {name: format_of(name) & present.keys() for name in fields}
        if self._replace:
            taken = set().union(*clashes.values())
            sent.replaced = {present[name]: carrier[present[name]] for name in taken}
            sent.fields = tuple(fields.items())
        else:
            sent.fields = tuple(pair for pair in fields.items() if not clashes[pair[0]])
        if sent.outside:
            wanted = self._narrowed(snapshot, snapshot.fields(_MESH)).keys() - fields.keys()
            withheld = [name for name in wanted if format_of(name).isdisjoint(present)]
            if withheld and not self.policy.denies(strictest):
                say_withheld(strictest, withheld, self.policy.mesh_hosts)
        return sent

    def _narrowed(self, snapshot: Snapshot, fields: Mapping[str, str]) -> Mapping[str, str]:
        user_data = snapshot.user_data
        forward = self._forward
        if forward is None or not user_data:
            return fields
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


def _lower(name: str | bytes) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()

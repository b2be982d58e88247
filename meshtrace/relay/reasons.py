"""
Why one call did not get a field: the reason codes of `meshtrace.explain`.

``denied``: the host is on the deny list. ``not-traced-host``: ids do not go there
(``trace_hosts``). ``not-mesh-host``: vendor data and user data do not. ``not-authorized-host``:
``authorization`` does not. ``redirect-stripped``: a redirect led away. ``already-set``: the caller
set a field of the same format. ``not-forwarded``: the client's own ``forward`` leaves it out.
``ended``: the request, and its user data with it, is over. ``joined``: a span of the application's
own stands there.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from meshtrace import notices
from meshtrace.policy import Share
from meshtrace.relay.record import Call, Record, host_and_port
from meshtrace.relay.snapshot import Snapshot

if TYPE_CHECKING:
    from meshtrace.relay.inject import Sent

__all__ = ["Reasons", "note"]

_OTHER_HOST = {
    Share.IDS: "not-traced-host",
    Share.VENDOR_DATA: "not-mesh-host",
    Share.USER_DATA: "not-mesh-host",
    Share.AUTHORIZATION: "not-authorized-host",
}


class Reasons:
    """
    What one decision was made on.

    Args:
        snapshot: The request.
        share: What the host may have, redirects counted.
        given: What of the request a host with this share gets.
        fields: What of that the client's own settings leave.
        sent: What was decided.
        denied: Whether the host is on the deny list.
    """

    def __init__(  # noqa: PLR0913 - a decision is made on as much
        self,
        snapshot: Snapshot,
        share: Share,
        given: Mapping[str, str],
        fields: Mapping[str, str],
        sent: "Sent",
        *,
        denied: bool,
    ) -> None:
        self._snapshot = snapshot
        self._share = share
        self._given = given
        self._fields = fields
        self._sent = sent
        self._denied = denied

    def withheld(self) -> tuple[tuple[str, str], ...]:
        """Give the names of the fields that were not sent, each with the reason code."""
        sent = {name for name, _ in self._sent.fields}
        everything = self._snapshot.everything()
        return tuple(
            (name, self._reason(name, kind))
            for name, kind in everything.items()
            if name not in sent
        )

    def _reason(self, name: str, kind: Share) -> str:
        if self._denied:
            return "denied"
        if name in self._fields:
            return "already-set"
        if kind not in self._share:
            return self._of_another_host(kind)
        if name in self._given:
            return "not-forwarded"
        if name == "tracestate" and "traceparent" not in self._given:
            return _OTHER_HOST[Share.IDS]
        return "ended" if self._snapshot.ended and kind is not Share.IDS else "joined"

    def _of_another_host(self, kind: Share) -> str:
        stripped = (kind is Share.USER_DATA and self._sent.left_mesh) or (
            kind is Share.AUTHORIZATION and self._sent.redirected
        )
        return "redirect-stripped" if stripped else _OTHER_HOST[kind]


def note(record: Record, client: str, url: str | None, sent: "Sent", reasons: Reasons) -> None:
    """
    Keep what was decided about a call; never raises.

    Args:
        record: Where to.
        client: What makes the call.
        url: Where it goes.
        sent: What was decided.
        reasons: What it was decided on.
    """
    try:
        call = Call(
            client,
            host_and_port(url),
            sent=tuple(name for name, _ in sent.fields),
            withheld=reasons.withheld(),
            replaced=tuple(map(_text, (*sent.dropped, *sent.replaced))),
            redirected=sent.redirected,
        )
        record.note(call)
    except Exception:  # noqa: BLE001 - the call must go on, with its headers
        notices.fault("explaining a call")


def _text(name: str | bytes) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()

"""What one request carries through the process."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from meshtrace import notices
from meshtrace.context import TraceContext
from meshtrace.formats.vendor import is_visible
from meshtrace.policy import Share
from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.parent import remote_parent
from meshtrace.relay.rules import InboundRules

__all__ = ["Pairs", "Snapshot"]

logger = logging.getLogger("meshtrace")

Pairs = tuple[tuple[str, str], ...]
"""Names in lower case and values."""


class Snapshot:
    """
    The fields one request brought, judged when first asked for, and what the application set.

    Every thread and task of the request shares it: what came never changes, and what the
    application sets goes into a cell that all of them see.

    Args:
        picked: What the carrier had under the names to pick, as (name, value) pairs.
        rules: The settings under which the request came.

    >>> Snapshot([("b3", "0")], InboundRules.of()).fields(Share.MESH)
    {'b3': '0'}
    """

    __slots__ = ("_accepted", "_own", "_picked", "_plain", "rules")

    _accepted: Accepted | None
    _plain: Pairs | None

    def __init__(self, picked: Sequence[Any], rules: InboundRules) -> None:
        self._picked: Sequence[Any] | None = picked
        self._own: dict[str, str] | None = None
        self.rules = rules

    @property
    def accepted(self) -> Accepted:
        """What of it may be relayed."""
        plain = self._judged()
        # Read once, too: a slower thread may put its None here meanwhile.
        accepted = self._accepted
        if accepted is None:
            accepted = self._accepted = Accepted(dict(plain or ()))
        return accepted

    def only_ids(self) -> Pairs | None:
        """Give everything that may be sent, if that is nothing but ids of a common shape."""
        plain = self._plain if self._picked is None else self._judged()
        return None if self._own else plain

    def _judged(self) -> Pairs | None:
        # Read once: another thread may finish judging, and let go of what was picked, meanwhile.
        picked = self._picked
        if picked is None:
            return self._plain
        plain = accepted = None
        try:
            plain = self._glance(picked)
            if plain is None:
                accepted = judge(self._pairs(picked), self.rules)
                if accepted.dropped:
                    logger.debug("meshtrace: not relayed: %s", accepted.dropped)
        except Exception:  # noqa: BLE001 - a fault of ours must not fail the application's call
            notices.fault("judging the headers of a request")
            accepted = Accepted({})
        self._plain = plain
        self._accepted = accepted
        self._picked = None
        return plain

    def _glance(self, picked: Sequence[Any]) -> Pairs | None:
        """Give the fields if their shape is a common one and all of it is good."""
        names = tuple(name for name, _ in picked)
        shape = self.rules.shapes.of(names, str)
        return tuple(picked) if shape.matches("\n".join(value for _, value in picked)) else None

    def _pairs(self, picked: Sequence[Any]) -> Sequence[tuple[str, str]]:
        """Give what was picked as names in lower case and values."""
        return picked

    def fields(self, share: Share) -> dict[str, str]:
        """
        Give the fields of one share.

        Args:
            share: What the host may have.
        """
        accepted = self.accepted
        fields = dict(accepted.ids) if Share.IDS in share else {}
        if Share.VENDOR_DATA in share:
            fields.update(accepted.vendor_data)
            if "traceparent" not in fields:
                fields.pop("tracestate", None)
        if Share.USER_DATA in share:
            fields.update(self.user_data)
        if Share.AUTHORIZATION in share and accepted.authorization:
            fields["authorization"] = accepted.authorization
        return fields

    @property
    def user_data(self) -> Mapping[str, str]:
        """The user data that came, under what the application set."""
        came = self.accepted.user_data
        if not self._own:
            return came
        return {name: value for name, value in {**came, **self._own}.items() if value}

    def set_own(self, name: str, value: object) -> None:
        """
        Set a field of user data for the calls of this request; one that cannot be sent is dropped.

        Args:
            name: A name in lower case that may be forwarded.
            value: Visible ASCII; empty takes the field away.
        """
        text = value if isinstance(value, str) and len(value) <= self.rules.limits.field else "\0"
        if text and not is_visible(text):
            notices.once(
                logging.WARNING,
                ("set_header", name),
                "meshtrace: set_header(%r, ...): the value is too long or not visible ASCII",
                name,
            )
            text = ""
        self._own = {**(self._own or {}), name: text}

    def remote_parent(self) -> TraceContext:
        """Give the remote parent, by the setting ``parent``."""
        return remote_parent(self.accepted, self.rules.settings.parent)

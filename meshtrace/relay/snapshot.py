"""What one request carries through the process."""

import logging
from collections.abc import Sequence

from meshtrace import notices
from meshtrace.context import TraceContext
from meshtrace.formats.vendor import is_visible
from meshtrace.policy import Share
from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.parent import remote_parent
from meshtrace.relay.rules import InboundRules

__all__ = ["Snapshot"]

logger = logging.getLogger("meshtrace")


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

    __slots__ = ("_accepted", "_own", "_picked", "_shared", "rules")

    def __init__(self, picked: Sequence[tuple[str, str]], rules: InboundRules) -> None:
        self._picked: Sequence[tuple[str, str]] | None = picked
        self._accepted: Accepted | None = None
        self._own: dict[str, str] | None = None
        self._shared: dict[Share, dict[str, str]] = {}
        self.rules = rules

    @property
    def accepted(self) -> Accepted:
        """What of it may be relayed."""
        # Read once: another thread may finish judging, and let go of what was picked, between two
        # reads.
        picked = self._picked
        if picked is not None:
            try:
                self._accepted = judge(self._pairs(picked), self.rules)
            except Exception:  # noqa: BLE001 - a fault of ours must not fail the application's call
                notices.fault("judging the headers of a request")
                self._accepted = Accepted()
            self._picked = None
            if self._accepted.dropped:
                logger.debug("meshtrace: not relayed: %s", self._accepted.dropped)
        return self._accepted  # type: ignore[return-value]  # judged above, or by another thread before it let go

    def _pairs(self, picked: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        return picked

    def fields(self, share: Share) -> dict[str, str]:
        """
        Give the fields of one share; the caller must not change the result.

        Args:
            share: What the host may have.
        """
        # The dict is held here, because `set_own` in another thread puts a new one in its place.
        cache = self._shared
        shared = cache.get(share)
        if shared is None:
            accepted = self.accepted
            shared = {}
            if Share.IDS in share:
                shared.update(accepted.ids)
            if Share.VENDOR_DATA in share:
                shared.update(accepted.vendor_data)
            if Share.USER_DATA in share:
                shared.update(self.user_data)
            if Share.AUTHORIZATION in share and accepted.authorization:
                shared["authorization"] = accepted.authorization
            cache[share] = shared
        return shared

    @property
    def user_data(self) -> dict[str, str]:
        """The user data that came, under what the application set."""
        came = self.accepted.user_data
        if not self._own:
            return came
        return {name: value for name, value in {**came, **self._own}.items() if value}

    def set_own(self, name: str, value: str) -> None:
        """
        Set a field of user data for the calls of this request; one that cannot be sent is dropped.

        Args:
            name: A name in lower case that may be forwarded.
            value: Visible ASCII; empty takes the field away.
        """
        fits = isinstance(value, str) and len(value) <= self.rules.limits.field
        if not fits or (value and not is_visible(value)):
            notices.once(
                logging.WARNING,
                ("set_header", name),
                "meshtrace: set_header(%r, ...): the value is too long or not visible ASCII",
                name,
            )
            value = ""
        self._own = {**(self._own or {}), name: value}
        self._shared = {}

    def remote_parent(self) -> TraceContext:
        """Give the remote parent, by the setting ``parent``."""
        return remote_parent(self.accepted, self.rules.settings.parent)

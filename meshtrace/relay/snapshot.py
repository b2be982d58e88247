"""What one request carries through the process."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshtrace import notices
from meshtrace.context import TraceContext
from meshtrace.formats.vendor import is_visible
from meshtrace.policy import Share
from meshtrace.relay.judge import Accepted, judge, sorted_out
from meshtrace.relay.parent import remote_parent
from meshtrace.relay.record import Record
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.shapes import Shape

__all__ = ["Kept", "Pairs", "Seen", "Snapshot"]

logger = logging.getLogger("meshtrace")

_first_call = threading.Lock()

_IDS, _VENDOR_DATA, _USER_DATA, _AUTHORIZATION = (
    int(share) for share in (Share.IDS, Share.VENDOR_DATA, Share.USER_DATA, Share.AUTHORIZATION)
)

Pairs = tuple[tuple[str, str], ...]
"""Names in lower case and values."""

Seen = tuple[Shape, Sequence[str]]
"""A common shape and its values, all of them good."""


class Snapshot:
    """
    The fields one request brought, judged when first asked for, and what the application set.

    Every thread and task of the request shares it: what came never changes, and what the
    application sets goes into a cell that all of them see. What runs on after the request keeps
    the ids and the vendor data; user data ends with it, but for code that has the request `Kept`.

    Args:
        picked: What the carrier had under the names to pick, as (name, value) pairs.
        rules: The settings under which the request came.

    Attributes:
        rules: As given.
        ended: Whether the request has ended; set by the room in which it arrived.
        lengths: The characters of each field that came, where the setting ``explain`` is on.
        left_out: The trace fields that came and were not picked, where that is on.
        serving: What looks after OpenTelemetry's span of it, where meshtrace has made one.

    >>> Snapshot([("b3", "0")], InboundRules.of()).fields(Share.MESH)
    {'b3': '0'}
    """

    __slots__ = (
        "_accepted",
        "_lasting",
        "_own",
        "_parent",
        "_picked",
        "_record",
        "ended",
        "left_out",
        "lengths",
        "rules",
        "serving",
    )

    left_out: frozenset[str]
    lengths: dict[str, int]
    serving: Any
    _record: Record
    _accepted: Accepted | None
    _parent: TraceContext
    _lasting: Pairs | None

    def __init__(self, picked: Sequence[Any], rules: InboundRules) -> None:
        self._picked: Sequence[Any] | None = picked
        self._own: dict[str, str] | None = None
        self.ended = False
        self.rules = rules

    @property
    def accepted(self) -> Accepted:
        """What of it may be relayed."""
        lasting = self._judged()
        # Read once, too: a slower thread may put its None here meanwhile.
        accepted = self._accepted
        if accepted is None:
            accepted = self._accepted = Accepted(dict(lasting or ()))
        return accepted

    def lasting(self) -> Pairs | None:
        """Give what a host of the mesh may have, if that is all that came, and no user data."""
        lasting = self._lasting if self._picked is None else self._judged()
        return None if self._own else lasting

    def _judged(self) -> Pairs | None:
        # Read once: another thread may finish judging, and let go of what was picked, meanwhile.
        picked = self._picked
        if picked is None:
            return self._lasting
        lasting = accepted = None
        try:
            seen = self._glance(picked)
            if seen is not None:
                shape, values = seen
                lasting = (*zip(shape.names, values),)  # noqa: B905 - a value a name
                if not shape.ids_only:
                    accepted = sorted_out(lasting)
                    lasting = accepted.lasting()
            else:
                pairs = self._pairs(picked)
                accepted = judge(pairs, self.rules)
                if self.rules.explains:
                    self._measure(pairs)
                else:
                    lasting = accepted.lasting()
        except Exception:  # noqa: BLE001 - a fault of ours must not fail the application's call
            notices.fault("judging the headers of a request")
            lasting, accepted = None, Accepted({})
        self._lasting = lasting
        self._accepted = accepted
        self._picked = None
        if accepted is not None and accepted.dropped:
            # At the very end: the log's line may ask for the ids of the request itself.
            logger.debug("meshtrace: not relayed: %s", accepted.dropped)
        return lasting

    def _measure(self, pairs: Iterable[tuple[str, str]]) -> None:
        lengths: dict[str, int] = {}
        for name, value in pairs:
            lengths[name] = lengths.get(name, 0) + len(value)
        self.lengths = lengths

    def _glance(self, picked: Sequence[Any]) -> Seen | None:
        """Give the shape and the values, if the shape is a common one and all of it is good."""
        shape = self.rules.shapes.of(tuple(name for name, _ in picked), str)
        values = [value for _, value in picked]
        return (shape, values) if shape and shape.matches("\n".join(values)) else None

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
        # As plain numbers, because an enum takes ten times as long to look into.
        has = int(share)
        fields = dict(accepted.ids) if has & _IDS else {}
        if has & _VENDOR_DATA:
            fields.update(accepted.vendor_data)
            if "traceparent" not in fields:
                fields.pop("tracestate", None)
        if has & _USER_DATA:
            fields.update(self.user_data)
        if has & _AUTHORIZATION and accepted.authorization and not self.ended:
            fields["authorization"] = accepted.authorization
        return fields

    @property
    def user_data(self) -> Mapping[str, str]:
        """The user data that came, under what the application set; none once it has ended."""
        return {} if self.ended else self._all_user_data()

    def _all_user_data(self) -> Mapping[str, str]:
        came = self.accepted.user_data
        if not self._own:
            return came
        return {name: value for name, value in {**came, **self._own}.items() if value}

    @property
    def origin(self) -> "Snapshot":
        """The request itself, for who has it kept."""
        return self

    def set_here(self) -> frozenset[str]:
        """Give the names that the application has set."""
        return frozenset(self._own or ())

    def everything(self) -> dict[str, Share]:
        """Give the names of all that may be sent to somebody, each with the share it is in."""
        accepted = self.accepted
        return {
            **dict.fromkeys(accepted.ids, Share.IDS),
            **dict.fromkeys(accepted.vendor_data, Share.VENDOR_DATA),
            **dict.fromkeys(self._all_user_data(), Share.USER_DATA),
            **({"authorization": Share.AUTHORIZATION} if accepted.authorization else {}),
        }

    @property
    def record(self) -> Record:
        """What became of the calls made for it, where the setting ``explain`` is on."""
        with _first_call:
            if not hasattr(self, "_record"):
                self._record = Record()
            return self._record

    def note_in(self, record: Record) -> None:
        """Let the calls made for it be noted in a record that others have, too."""
        self._record = record

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
        try:
            return self._parent
        except AttributeError:
            # Once a request: each line of the log asks for it.
            self._parent = remote_parent(self.accepted, self.rules.settings.parent)
            return self._parent


class Kept(Snapshot):
    """
    A request for code that was handed it on purpose: user data stays, also when it has ended.

    Args:
        request: The request; what is set here is set there.

    >>> request = Snapshot([("end-user", "jason")], InboundRules.of(forward="end-user"))
    >>> kept = Kept(request)
    >>> request.ended = True
    >>> request.fields(Share.MESH), kept.fields(Share.MESH)
    ({}, {'end-user': 'jason'})
    """

    __slots__ = ("_request",)

    def __init__(self, request: Snapshot) -> None:
        # A chain of jobs, each of which carries the next, holds one request, and not one another.
        self._request = request.origin
        self.ended = False
        self.rules = request.rules

    @property
    def accepted(self) -> Accepted:
        """What of it may be relayed."""
        return self._request.accepted

    def lasting(self) -> Pairs | None:
        """Give what a host of the mesh may have, if that is all that came, and no user data."""
        return self._request.lasting()

    @property
    def origin(self) -> Snapshot:
        """The request itself."""
        return self._request.origin

    @property
    def record(self) -> Record:
        """What became of the calls made for the request."""
        return self._request.record

    def set_here(self) -> frozenset[str]:
        """Give the names that the application has set."""
        return self._request.set_here()

    def _all_user_data(self) -> Mapping[str, str]:
        return self._request._all_user_data()  # noqa: SLF001 - one class

    def remote_parent(self) -> TraceContext:
        """Give the remote parent, by the setting ``parent``."""
        return self._request.remote_parent()

    def set_own(self, name: str, value: object) -> None:
        """Set a field of user data for the calls of the request."""
        self._request.set_own(name, value)

"""
What came with the current request, how it was judged, and what became of the calls made for it.

Ids are shown as they came. Of all else, names and lengths are; a value never is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.clients import patched
from meshtrace.configuration import disabled, resolve, sources
from meshtrace.context import TraceContext
from meshtrace.policy import Share
from meshtrace.relay.judge import code_of
from meshtrace.relay.parent import chosen
from meshtrace.relay.record import OUTSIDE, Call
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Settings
from meshtrace.values import Value

__all__ = ["Came", "Explanation", "explain"]

_CLASSES = {
    Share.IDS: "id",
    Share.VENDOR_DATA: "vendor data",
    Share.USER_DATA: "user data",
    Share.AUTHORIZATION: "authorization",
}
_HOW_TO_RECORD = "set MESHTRACE_EXPLAIN=1, or say meshtrace.configure(explain=True)"
_HOW_TO_FOLLOW = (
    "if one of them was this request's: in a thread, a task or a queue, write meshtrace.carry()"
)
_SHOWN = 5


class Came(Value):
    """
    One field of the request.

    Attributes:
        name: In lower case.
        kind: ``id``, ``vendor data``, ``user data`` or ``authorization``; empty for what is not
            relayed.
        value: As it came, of an id that is relayed; else None.
        length: In characters, of all its lines; None where nobody kept it.
        code: Why it is not relayed: ``malformed``, ``too-large``, ``stale``, ``not-trusted``,
            ``not-forwarded`` or ``ended``; empty for what is.
        reason: The same in words.
    """

    __slots__ = ("code", "kind", "length", "name", "reason", "value")

    name: str
    kind: str
    value: str | None
    length: int | None
    code: str
    reason: str

    def __init__(  # noqa: PLR0913 - what there is to say, by name
        self,
        name: str,
        *,
        kind: str = "",
        value: str | None = None,
        length: int | None = None,
        code: str = "",
        reason: str = "",
    ) -> None:
        self.hold(name=name, kind=kind, value=value, length=length, code=code, reason=reason)

    def __str__(self) -> str:
        """Say it in one line."""
        known = "" if self.length is None else f" ({self.length} characters)"
        shown = known if self.value is None else f": {self.value}"
        if self.code:
            return f"{self.name}{shown}: not relayed, {self.code}: {self.reason}"
        return f"{self.name} [{self.kind}]{shown}"


class Explanation(Value):
    """
    What `explain` tells; as text, it is made to be read.

    Attributes:
        in_request: Whether this code runs for a request.
        ended: Whether that request has ended: its user data is not sent any more.
        came: What the request brought.
        set_here: The names of the fields that the application has set by `set_header`.
        parent: The remote parent, by the setting ``parent``.
        why_parent: Why it is that one.
        calls: What was sent where and what was not, call by call; outside any request, the calls
            made for none. Only the last hundred are kept, and none without the setting ``explain``.
        number_of_calls: How many there were in all.
        lost: Of the calls of the whole process that were made for no request, the last ones that
            got no headers.
        recorded: Whether calls are kept.
        patched: The libraries that `patch` has patched, or will when they are loaded.
        ready: The clients that were wrapped, patched or asked for, since the process began.
        settings: What is in force where the request came in: each setting with its value and where
            it comes from: ``code``, ``configure()``, a variable, ``default``, or ``implied`` by
            another setting.
        disabled: Whether ``MESHTRACE_DISABLED`` is set.
    """

    __slots__ = (
        "calls",
        "came",
        "disabled",
        "ended",
        "in_request",
        "lost",
        "number_of_calls",
        "parent",
        "patched",
        "ready",
        "recorded",
        "set_here",
        "settings",
        "why_parent",
    )

    in_request: bool
    ended: bool
    came: tuple[Came, ...]
    set_here: tuple[str, ...]
    parent: TraceContext
    why_parent: str
    calls: tuple[Call, ...]
    number_of_calls: int
    lost: tuple[Call, ...]
    recorded: bool
    patched: tuple[str, ...]
    ready: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    disabled: bool

    def __init__(self, snapshot: Snapshot | None) -> None:
        own = Settings() if snapshot is None else snapshot.rules.own
        settings = resolve(own)
        record = OUTSIDE if snapshot is None else snapshot.record
        came: tuple[Came, ...] = ()
        parent, why = TraceContext(), "no request"
        if snapshot is not None:
            came = (*_came(snapshot),)
            parent = snapshot.remote_parent()
            _, why = chosen(snapshot.accepted, settings.parent)
        where = sources(own)
        self.hold(
            in_request=snapshot is not None,
            ended=snapshot is not None and snapshot.ended,
            came=came,
            set_here=() if snapshot is None else tuple(snapshot.set_here()),
            parent=parent,
            why_parent=why,
            calls=tuple(record.calls),
            number_of_calls=record.number,
            lost=tuple(call for call in OUTSIDE.calls if not call.sent),
            recorded=settings.explain if snapshot is None else snapshot.rules.explains,
            patched=patched(),
            ready=notices.ready(),
            settings=tuple(
                (name, _shown(getattr(settings, name)), where[name]) for name in sorted(where)
            ),
            disabled=disabled(),
        )

    def as_dict(self) -> dict[str, Any]:
        """
        Give all of it as JSON takes it.

        >>> explain().as_dict()["in_request"]
        False
        """
        parent = {**self.parent.__getstate__(), "sampling": self.parent.sampling.value}
        return {
            **self.__getstate__(),
            "came": [one.__getstate__() for one in self.came],
            "set_here": [*self.set_here],
            "parent": parent,
            "calls": [_as_dict(call) for call in self.calls],
            "lost": [_as_dict(call) for call in self.lost],
            "patched": [*self.patched],
            "ready": [*self.ready],
            "settings": {
                name: {"value": value, "from": where} for name, value, where in self.settings
            },
        }

    def __str__(self) -> str:
        """Say it in lines."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.disabled:
            yield "meshtrace is off: MESHTRACE_DISABLED is set"
        if self.in_request:
            yield "what came" + (" (the request has ended)" if self.ended else "")
            yield from (f"  {one}" for one in self.came or ("no trace headers",))
            if self.set_here:
                yield f"  set by the application: {', '.join(self.set_here)}"
            yield "remote parent"
            parent = self.parent
            ids = f"trace {parent.trace_id or '-'}, span {parent.span_id or '-'}"
            yield f"  {ids}, {parent.sampling.value}: {self.why_parent}"
            yield "calls made for it"
        else:
            yield "this code runs for no request (no-context): its calls get no headers"
            yield "calls made for no request, in the whole process"
        yield from self._of_calls()
        if self.in_request and self.lost:
            yield "calls lost: made for no request, in the whole process, and so without headers"
            yield from (f"  {call.client} to {call.host}" for call in self.lost[-_SHOWN:])
            yield f"  {_HOW_TO_FOLLOW}"
        yield "clients"
        yield f"  patched: {', '.join(self.patched) or 'none'}"
        yield f"  ready, wrapped ones too: {', '.join(self.ready) or 'none'}"
        yield "settings"
        for name, value, where in self.settings:
            if where != "default":
                yield f"  {name} = {value}   [{where}]"
        yield "  all others are at their defaults"

    def _of_calls(self) -> Iterator[str]:
        if not self.recorded:
            yield f"  not recorded: {_HOW_TO_RECORD}"
            return
        before = self.number_of_calls - len(self.calls)
        if before:
            yield f"  {before} earlier"
        yield from (f"  {call}" for call in self.calls or ("none",))


def explain() -> Explanation:
    """
    Explain what becomes of the trace headers, for the request this code runs for.

    What came and how it was judged is always told. What became of each call is kept where the
    setting ``explain`` is on, for requests that come in from then on; each call is then one line in
    the log, too, at level DEBUG. Values of user data are never shown.

    Returns:
        An explanation to print; ``as_dict()`` is made for JSON.

    >>> from meshtrace.handover import use
    >>> with use({"b3": "0", "traceparent": "?"}):
    ...     for field in explain().came:
    ...         print(field)
    b3 [id]: 0
    traceparent: not relayed, malformed: not traceparent's four fields, or a zero id
    """
    return Explanation(CURRENT.get())


def _came(snapshot: Snapshot) -> Iterator[Came]:
    accepted = snapshot.accepted
    lengths: Mapping[str, int] = getattr(snapshot.origin, "lengths", {})
    relayed = {
        **accepted.ids,
        **accepted.vendor_data,
        **accepted.user_data,
        **({"authorization": accepted.authorization} if accepted.authorization else {}),
    }
    kinds = {name: _CLASSES[share] for name, share in snapshot.everything().items()}
    for name, value in relayed.items():
        over = snapshot.ended and kinds.get(name) in {"user data", "authorization"}
        yield Came(
            name,
            kind=kinds.get(name, "user data"),
            value=value if name in accepted.ids else None,
            length=lengths.get(name, len(value)),
            code="ended" if over else "",
            reason="user data goes no further than its request" if over else "",
        )
    for name, reason in accepted.dropped.items():
        yield Came(name, length=lengths.get(name), code=code_of(reason), reason=reason)
    if accepted.empty_tracestate:
        yield Came("tracestate", length=0, code="not-forwarded", reason="empty, as Envoy made it")
    incoming = snapshot.rules.settings.incoming
    for name in sorted(getattr(snapshot.origin, "left_out", ())):
        if incoming == "trust":
            yield Came(name, code="not-forwarded", reason="no setting asks for it")
        else:
            yield Came(name, code="not-trusted", reason=f"incoming={incoming}")


def _as_dict(call: Call) -> dict[str, Any]:
    return {
        **call.__getstate__(),
        "sent": [*call.sent],
        "replaced": [*call.replaced],
        "withheld": [{"name": name, "reason": reason} for name, reason in call.withheld],
    }


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

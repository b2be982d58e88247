"""What came beside what went: the difference, and what may be behind it."""

from collections.abc import Iterator, Mapping, Sequence

from meshtrace import notices
from meshtrace.configuration import resolve
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.record import rehearsing
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Settings
from meshtrace.testing.recorder import Outgoing

__all__ = ["difference", "says"]


def difference(call: Outgoing, also: Sequence[str] = ()) -> dict[str, str]:
    """
    Compare what a call left with to what the request brought.

    Where spans of the application's own join, they must be of the request's trace.

    Args:
        call: The call.
        also: Names that must be among its headers, too.

    Returns:
        The names that did not go on as they came, each with ``lost``, ``changed`` or ``missing``.
    """
    came = call.came or {}
    found = {
        name: "changed" if name in call.headers else "lost"
        for name, value in came.items()
        if call.headers.get(name) != value
    }
    if resolve(Settings()).own_spans == "join" and _trace_id(came) == _trace_id(call.headers):
        found = {name: verdict for name, verdict in found.items() if name == "x-request-id"}
    return {**found, **{name: "missing" for name in also if name not in call.headers}}


def says(call: Outgoing, found: dict[str, str], *, was_read: bool) -> str:
    """
    Say what a call lost, as a table, and what may be behind it.

    Args:
        call: The call.
        found: What `difference` gave; not empty.
        was_read: Whether anything of meshtrace read a request with ids while the test ran.
    """
    came = call.came or {}
    names = [*came, *(name for name in found if name not in came)]
    rows = [("header", "came", "went", "")]
    rows += [
        (name, came.get(name, "-"), call.headers.get(name, "-"), found.get(name, "kept"))
        for name in names
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    table = ("  ".join(("", *row)).rstrip() for row in cells)
    verdicts = " and ".join(sorted(set(found.values())))
    return "\n".join(
        (
            f"the hop to {call.host} did not pass on what came: headers {verdicts}",
            f"  {call!r}",
            *table,
            *(f"  {hint}" for hint in _hints(call, found, was_read=was_read)),
        )
    )


def _hints(call: Outgoing, found: dict[str, str], *, was_read: bool) -> Iterator[str]:
    if not was_read:
        yield (
            "No middleware read the request: add the one for the framework (README), "
            "or wrap the application."
        )
    elif not call.within:
        yield (
            "The call was made outside of the request's context, as in a thread or a task that "
            "did not take it along: meshtrace.carry(function), or meshtrace.patch()."
        )
    elif call.client not in notices.ready():
        yield (
            f"{call.client} is neither wrapped nor patched: meshtrace.patch() at start-up, "
            "or meshtrace.wrap(client)."
        )
    if "changed" in found.values():
        yield "Something else writes these headers: the application by hand, or another tracer."


def _trace_id(headers: Mapping[str, str]) -> str | None:
    with rehearsing():
        trace_id = from_carrier(headers, InboundRules(Settings())).remote_parent().trace_id
    return trace_id and trace_id.zfill(32)

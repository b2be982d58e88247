"""What became of each header: what came beside what went, byte for byte."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from meshtrace.checker.probes import Probe
from meshtrace.formats.b3 import FIELDS as B3_FIELDS
from meshtrace.formats.vendor import DATA_FIELDS, ID_FIELDS
from meshtrace.formats.w3c import FIELDS as W3C_FIELDS

__all__ = ["FIELDS", "Row", "Verdict", "compare"]

Verdict = Literal["kept", "lost", "changed", "invented", "doubled", "mixed"]

FIELDS = ("x-request-id", *B3_FIELDS, *W3C_FIELDS, *ID_FIELDS[1:], *DATA_FIELDS)
"""The headers that are looked at, in the order of the report."""


@dataclass(frozen=True)
class Row:
    """
    One header of one call.

    Attributes:
        name: In lower case.
        came: What the request brought, or None.
        went: What the call carries, several lines joined with a line feed, or None.
        verdict: What became of it.
        remark: Why that may be right all the same; empty when there is nothing to say.
    """

    name: str
    came: str | None
    went: str | None
    verdict: Verdict
    remark: str = ""


def compare(
    probe: Probe, went: Iterable[tuple[str, str]], is_foreign: Callable[[str], bool]
) -> list[Row]:
    """
    Compare the trace headers of a request with those of a call that was made for it.

    Args:
        probe: The request.
        went: The call's headers, in order; names may repeat.
        is_foreign: Tells whether a value belongs to another request.

    >>> probe = Probe("example", (("x-request-id", "a"), ("b3", "0")))
    >>> [row.verdict for row in compare(probe, [("X-Request-Id", "a")], lambda _: False)]
    ['kept', 'lost']
    """
    came = dict(probe.fields)
    lines: dict[str, list[str]] = {}
    for name, value in went:
        lines.setdefault(name.lower(), []).append(value)
    return [
        _row(probe, name, came.get(name) or None, lines.get(name, []), is_foreign)
        for name in FIELDS
        # An empty tracestate says nothing: it may go on, or not.
        if came.get(name) or any(lines.get(name, []))
    ]


def _row(
    probe: Probe,
    name: str,
    came: str | None,
    lines: list[str],
    is_foreign: Callable[[str], bool],
) -> Row:
    remark = ""
    if name in probe.malformed:
        remark = "must not go on"
    elif name in probe.stale:
        remark = "stale: may go on, or not"
    return Row(name, came, "\n".join(lines) or None, _verdict(came, lines, is_foreign), remark)


def _verdict(came: str | None, lines: list[str], is_foreign: Callable[[str], bool]) -> Verdict:
    if not any(lines):
        return "lost"
    if any(is_foreign(line) for line in lines):
        return "mixed"
    if came is None:
        return "invented"
    if lines == [came]:
        return "kept"
    # A server or a proxy between folds two lines into one.
    parts = [part.strip() for line in lines for part in line.split(",")]
    if len(parts) > 1 and parts.count(came) > 1:
        return "doubled"
    return "doubled" if len(lines) > 1 else "changed"

"""
The common case at one glance.

A mesh sends the same few sets of fields over and over: the set that one tracer makes, all of it
good. Such a set, a *shape*, is judged by one regular expression over all its values together. A
shape has ids only, in their plainest spelling; whatever does not match is left to
`meshtrace.relay.judge`, which alone decides what is good.
"""

import re
from collections.abc import Callable, Hashable
from typing import NamedTuple

from meshtrace.formats import b3, vendor, w3c
from meshtrace.settings import Limits

__all__ = ["Shapes"]

_MOST = 64
"""Outside clients can make up shapes; those of the mesh are few, and come first."""

_PLAIN = {
    "traceparent": w3c.TRACEPARENT,
    "b3": b3.SINGLE,
    "x-b3-traceid": b3.TRACE_ID,
    "x-b3-spanid": b3.SPAN_ID,
    "x-b3-parentspanid": b3.SPAN_ID,
    "x-b3-sampled": "[01]",
    "x-b3-flags": "[01]",
    **dict.fromkeys(vendor.DATADOG_IDS, "-?[0-9]{1,20}"),
    # Without commas: in an environ, one may stand between two lines.
    "x-request-id": r"[!-+\x2d-~]{1,128}",
}
_ROOMY = Limits(request_id=128, field=21, total=1024)
"""What is plain is within these limits; under narrower ones nothing is."""


class _Shape(NamedTuple):
    names: tuple[str, ...]
    matches: Callable[[str], object]


_NOT_PLAIN = _Shape((), lambda _: None)


class Shapes:
    r"""
    The shapes seen under one set of limits.

    Args:
        limits: The limits that apply.

    >>> Shapes(Limits()).names(("B3", "X-Request-Id"), "0\nabc", str.lower)
    ('b3', 'x-request-id')
    """

    def __init__(self, limits: Limits) -> None:
        roomy = (
            limits.request_id >= _ROOMY.request_id
            and limits.field >= _ROOMY.field
            and limits.total >= _ROOMY.total
        )
        self._plain = _PLAIN if roomy else {}
        self._shapes: dict[tuple[Hashable, ...], _Shape] = {}

    def names(
        self, spelled: tuple[Hashable, ...], text: str, name_of: Callable[..., str | None]
    ) -> tuple[str, ...] | None:
        """
        Give the names in lower case if all the values are plain and good; else judge one by one.

        Args:
            spelled: The names, as their carrier spells them.
            text: The values in the same order, joined with line feeds.
            name_of: Gives the name in lower case for a spelled one.
        """
        shape = self._shapes.get(spelled)
        if shape is None:
            shape = self._learn(spelled, name_of)
        return shape.names if shape.matches(text) else None

    def _learn(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> _Shape:
        if len(self._shapes) >= _MOST:
            return _NOT_PLAIN
        names = tuple(name_of(name) or "" for name in spelled)
        shape = _NOT_PLAIN
        if self._is_plain(names):
            pattern = "\n".join(f"(?:{self._plain[name]})" for name in names)
            shape = _Shape(names, re.compile(pattern).fullmatch)
        self._shapes[spelled] = shape
        return shape

    def _is_plain(self, names: tuple[str, ...]) -> bool:
        present = set(names)
        with_ids = "x-b3-traceid" in present
        return (
            len(present) == len(names)
            and present <= self._plain.keys()
            and with_ids == ("x-b3-spanid" in present)
            and (with_ids or "x-b3-parentspanid" not in present)
            # Which of the two spellings is alive takes a closer look.
            and not (with_ids and "b3" in present)
        )

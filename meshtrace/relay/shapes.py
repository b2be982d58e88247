"""
The common case at one glance.

A mesh sends the same few sets of fields over and over: the set that one tracer makes, all of it
good. Such a set, a *shape*, is judged by one regular expression over all its values together. A
shape has ids only, in their plainest spelling; whatever does not match is left to
`meshtrace.relay.judge`, which alone decides what is good.
"""

import re
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from meshtrace.formats import b3, vendor, w3c
from meshtrace.settings import Limits

__all__ = ["EnvironShape", "Shape", "Shapeless", "Shapes"]

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


class Shape(NamedTuple):
    """
    One set of fields, in one order.

    Attributes:
        names: The names in lower case.
        matches: Tells whether all the values, joined with line feeds, are plain and good.
    """

    names: tuple[str, ...]
    matches: Callable[[str], object]


class EnvironShape(NamedTuple):
    """
    One set of fields, as a WSGI environ has them.

    Attributes:
        keys: The environ's keys.
        absent: The keys that would be picked, and are not there.
        take: Gives the values of *keys*; raises KeyError when one is missing.
        shape: How the values are judged.
    """

    keys: tuple[str, ...]
    absent: frozenset[str]
    take: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    shape: Shape


_NOT_PLAIN = Shape((), lambda _: None)


class Shapes:
    r"""
    The shapes seen under one set of limits.

    Args:
        limits: The limits that apply.

    >>> shape = Shapes(Limits()).of(("B3", "X-Request-Id"), str.lower)
    >>> shape.names, bool(shape.matches("0\nabc"))
    (('b3', 'x-request-id'), True)
    """

    nothing: tuple[()] | None = ()
    """What is sent where nothing came; None where that is no common case."""

    def __init__(self, limits: Limits) -> None:
        roomy = (
            limits.request_id >= _ROOMY.request_id
            and limits.field >= _ROOMY.field
            and limits.total >= _ROOMY.total
        )
        self._plain = _PLAIN if roomy else {}
        self._shapes: dict[tuple[Hashable, ...], Shape] = {}
        self._environ_shapes: dict[tuple[str, ...], EnvironShape] = {}

    def of(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> Shape:
        """
        Give the shape of some fields.

        Args:
            spelled: Their names in the order in which they came, as their carrier spells them.
            name_of: Gives the name in lower case for a spelled one.
        """
        shape = self._shapes.get(spelled)
        return self._learn(spelled, name_of) if shape is None else shape

    def of_environ(
        self, environ: Container[str], all_keys: Iterable[str], name_of: Callable[..., str | None]
    ) -> EnvironShape:
        """
        Give the shape of what is to be picked from a WSGI environ.

        Args:
            environ: The environ.
            all_keys: The keys to pick.
            name_of: Gives the name in lower case for a key.
        """
        keys = tuple(key for key in all_keys if key in environ)
        known = self._environ_shapes.get(keys)
        if known is None:
            known = EnvironShape(
                keys,
                frozenset(all_keys).difference(keys),
                itemgetter(*keys) if len(keys) > 1 else _taking(keys),
                self.of(keys, name_of),
            )
            if len(self._environ_shapes) < _MOST:
                self._environ_shapes[keys] = known
        return known

    def _learn(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> Shape:
        if len(self._shapes) >= _MOST:
            return _NOT_PLAIN
        names = tuple(name_of(name) or "" for name in spelled)
        shape = _NOT_PLAIN
        if self._is_plain(names):
            pattern = "\n".join(f"(?:{self._plain[name]})" for name in names)
            shape = Shape(names, re.compile(pattern).fullmatch)
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


class Shapeless(Shapes):
    """No case is common where each is to be explained."""

    nothing = None

    def of(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> Shape:  # noqa: ARG002 - as it is called
        """Give the shape of some fields: none that anything matches."""
        return _NOT_PLAIN


def _taking(keys: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Do what `itemgetter` does, which gives no tuple for fewer than two keys."""
    return lambda environ: tuple(environ[key] for key in keys)

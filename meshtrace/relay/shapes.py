"""
The common case at one glance.

A mesh sends the same few sets of fields over and over: the set that one tracer makes, all of it
good. Such a set, a *shape*, is judged by one regular expression over all its values together. A
shape has ids and vendor data in their plainest spelling; whatever does not match is left to
`meshtrace.relay.judge`, which alone decides what is good.
"""

import re
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Any

from meshtrace.formats import b3, vendor, w3c
from meshtrace.settings import Limits
from meshtrace.values import Value

__all__ = ["EnvironShape", "Shape", "Shapeless", "Shapes"]

_MOST = 64
"""Outside clients can make up shapes; those of the mesh are few, and come first."""

# Without commas: in an environ, one may stand between two lines.
_OPAQUE = r"[!-+\x2d-~]"
_MEMBER = r"[a-z0-9][a-z0-9_*/@\x2d]{0,63}=[!-+\x2d-<>-~]{1,128}"

_PLAIN = {
    "traceparent": w3c.TRACEPARENT,
    # As Envoy's OpenTelemetry tracer sends it: empty.
    "tracestate": "",
    "b3": b3.SINGLE,
    "x-b3-traceid": b3.TRACE_ID,
    "x-b3-spanid": b3.SPAN_ID,
    "x-b3-parentspanid": b3.SPAN_ID,
    "x-b3-sampled": "[01]",
    "x-b3-flags": "[01]",
    **dict.fromkeys(vendor.DATADOG_IDS, "-?[0-9]{1,20}"),
    "x-request-id": f"{_OPAQUE}{{1,128}}",
}
_PLAIN_VENDOR_DATA = {
    **dict.fromkeys(vendor.DATA_FIELDS, f"{_OPAQUE}{{1,512}}"),
    "x-datadog-tags": "[!-~]{1,512}",
    "tracestate": f"(?:{_MEMBER}(?:,{_MEMBER}){{0,3}})?",
}
_ROOMY = Limits(request_id=128, field=1024, total=8192)
"""What is plain is within these limits; under narrower ones nothing is."""


class Shape(Value):
    """
    One set of fields, in one order.

    Attributes:
        names: The names in lower case.
        matches: Tells whether all the values, joined with line feeds, are plain and good; they are
            the groups of the match.
        ids_only: Whether there is no vendor data among them, not even an empty ``tracestate``.
    """

    __slots__ = ("ids_only", "matches", "names")

    names: tuple[str, ...]
    matches: Callable[[str], re.Match[str] | None]
    ids_only: bool

    def __init__(self, names: tuple[str, ...], pattern: str, *, ids_only: bool) -> None:
        self.hold(names=names, matches=re.compile(pattern).fullmatch, ids_only=ids_only)


class EnvironShape(Value):
    """
    One set of fields, as a WSGI environ has them.

    Attributes:
        keys: The environ's keys.
        absent: The keys that would be picked, and are not there.
        take: Gives the values of *keys*; raises KeyError when one is missing.
        shape: How the values are judged; None is for field by field.
    """

    __slots__ = ("absent", "keys", "shape", "take")

    keys: tuple[str, ...]
    absent: frozenset[str]
    take: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    shape: Shape | None

    def __init__(self, keys: tuple[str, ...], all_keys: Iterable[str], shape: Shape | None) -> None:
        take = itemgetter(*keys) if len(keys) > 1 else _taking(keys)
        self.hold(keys=keys, absent=frozenset(all_keys).difference(keys), take=take, shape=shape)


class Shapes:
    r"""
    The shapes seen under one set of limits.

    Args:
        limits: The limits that apply.
        vendor_names: The vendor data that is taken.

    >>> shape = Shapes(Limits()).of(("B3", "X-Request-Id"), str.lower)
    >>> shape.names, bool(shape.matches("0\nabc"))
    (('b3', 'x-request-id'), True)
    """

    def __init__(self, limits: Limits, vendor_names: AbstractSet[str] = frozenset()) -> None:
        roomy = (
            limits.request_id >= _ROOMY.request_id
            and limits.field >= _ROOMY.field
            and limits.total >= _ROOMY.total
        )
        vendor_data = vendor_names & _PLAIN_VENDOR_DATA.keys()
        self._plain = {**_PLAIN, **{name: _PLAIN_VENDOR_DATA[name] for name in vendor_data}}
        if not roomy:
            self._plain.clear()
        self._shapes: dict[tuple[Hashable, ...], Shape | None] = {}
        self._environ_shapes: dict[tuple[str, ...], EnvironShape] = {}

    def of(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> Shape | None:
        """
        Give the shape of some fields; None where they are to be judged field by field.

        Args:
            spelled: Their names in the order in which they came, as their carrier spells them.
            name_of: Gives the name in lower case for a spelled one.
        """
        try:
            return self._shapes[spelled]
        except KeyError:
            return self._learn(spelled, name_of)

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
            known = EnvironShape(keys, all_keys, self.of(keys, name_of))
            if len(self._environ_shapes) < _MOST:
                self._environ_shapes[keys] = known
        return known

    def _learn(
        self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]
    ) -> Shape | None:
        if len(self._shapes) >= _MOST:
            return None
        names = tuple(name_of(name) or "" for name in spelled)
        shape = None
        if self._is_plain(names):
            pattern = "\n".join(f"({self._plain[name]})" for name in names)
            ids_only = _PLAIN_VENDOR_DATA.keys().isdisjoint(names)
            shape = Shape(names, pattern, ids_only=ids_only)
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
            and ("traceparent" in present or "tracestate" not in present)
            # Which of the two spellings is alive takes a closer look.
            and not (with_ids and "b3" in present)
        )


class Shapeless(Shapes):
    """No case is common where each is to be explained."""

    def of(self, spelled: tuple[Hashable, ...], name_of: Callable[..., str | None]) -> None:
        """Give no shape: all is judged field by field."""


def _taking(keys: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Do what `itemgetter` does, which gives no tuple for fewer than two keys."""
    return lambda environ: tuple(environ[key] for key in keys)

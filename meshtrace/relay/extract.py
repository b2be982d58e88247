"""
Headers in: pick the named fields out of a carrier, and keep nothing else.

Nothing is decoded or judged here: most requests of a service call nobody, and pay for picking only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshtrace.relay.rules import InboundRules, may_be_folded
from meshtrace.relay.snapshot import Snapshot

__all__ = ["ENVIRON_KEY", "SCOPE_KEY", "from_asgi", "from_carrier", "from_environ"]

SCOPE_KEY = "meshtrace"
"""Where a middleware leaves the snapshot in an ASGI scope."""

ENVIRON_KEY = "meshtrace.snapshot"
"""Where a middleware leaves the snapshot in a WSGI environ."""


class _AsgiSnapshot(Snapshot):
    """Picked are pairs of bytes, as ASGI has them."""

    __slots__ = ()

    def _pairs(self, picked: Sequence[tuple[Any, Any]]) -> Sequence[tuple[str, str]]:
        name_of = self.rules.asgi_name
        names = self.rules.asgi_names
        return [
            (names.get(name) or name_of(name) or "", value.decode("latin-1").strip(" \t"))
            for name, value in picked
        ]


class _FoldedSnapshot(Snapshot):
    """Picked are texts in which a server may have joined several lines with commas."""

    __slots__ = ()

    def _pairs(self, picked: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        pairs = []
        for name, value in picked:
            if "," in value and may_be_folded(name):
                pairs += [(name, line.strip(" \t")) for line in value.split(",")]
            else:
                pairs.append((name, value.strip(" \t")))
        return pairs


def from_asgi(headers: Iterable[tuple[bytes, bytes]], rules: InboundRules) -> Snapshot:
    """
    Extract from the headers of an ASGI scope.

    Args:
        headers: ``scope["headers"]``: names in lower case (ASGI specification, HTTP connection
            scope).
        rules: What to pick.

    >>> from_asgi([(b"host", b"shop"), (b"b3", b"0")], InboundRules.of()).accepted.ids
    {'b3': '0'}
    """
    if rules.prefixes:
        picked = [(name, value) for name, value in headers if rules.asgi_name(name)]
    else:
        names = rules.asgi_names
        picked = [(name, value) for name, value in headers if name in names]
    return _AsgiSnapshot(picked, rules)  # type: ignore[arg-type]  # bytes until they are judged


def from_environ(environ: Mapping[str, Any], rules: InboundRules) -> Snapshot:
    """
    Extract from a WSGI environ, in which a server has joined repeated lines with ``,``.

    Args:
        environ: Any part of an environ: nothing in it is taken for granted.
        rules: What to pick.

    >>> from_environ({"HTTP_HOST": "shop", "HTTP_B3": "0,0"}, InboundRules.of()).accepted.ids
    {'b3': '0'}
    """
    names = rules.environ_names
    picked = [(names[key], environ[key]) for key in names if key in environ]
    if rules.prefixes:
        picked += [
            (name, value)
            for key, value in environ.items()
            if key not in names and (name := rules.environ_name(key))
        ]
    return _FoldedSnapshot(picked, rules)


def from_carrier(
    carrier: Mapping[Any, Any] | Iterable[tuple[Any, Any]], rules: InboundRules
) -> Snapshot:
    """
    Extract from any headers: a mapping or (name, value) pairs, of text or bytes, in any case.

    >>> from_carrier({"X-B3-Sampled": "0", "Host": "shop"}, InboundRules.of()).accepted.ids
    {'x-b3-sampled': '0'}
    """
    pairs = carrier.items() if isinstance(carrier, Mapping) else carrier
    picked = [(known, _text(value)) for name, value in pairs if (known := rules.name(_text(name)))]
    return _FoldedSnapshot(picked, rules)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

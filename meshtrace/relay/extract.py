"""
Headers in: pick the named fields out of a carrier, and keep nothing else.

Nothing is decoded or judged here: most requests of a service call nobody, and pay for picking only.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

from meshtrace.relay.rules import InboundRules, may_be_folded
from meshtrace.relay.snapshot import Pairs, Snapshot

__all__ = ["ENVIRON_KEY", "SCOPE_KEY", "from_asgi", "from_carrier", "from_environ"]

SCOPE_KEY = "meshtrace"
"""Where a middleware leaves the snapshot in an ASGI scope."""

ENVIRON_KEY = "meshtrace.snapshot"
"""Where a middleware leaves the snapshot in a WSGI environ."""


class _AsgiSnapshot(Snapshot):
    """Picked are pairs of bytes, as ASGI has them."""

    __slots__ = ()

    def _glance(self, picked: Sequence[Any]) -> Pairs | None:
        rules = self.rules
        text = b"\n".join([pair[1] for pair in picked]).decode("latin-1")
        names = rules.shapes.names(tuple([pair[0] for pair in picked]), text, rules.asgi_name)
        # The pattern has seen to it that there are as many lines as names.
        return None if names is None else tuple(zip(names, text.split("\n")))  # noqa: B905

    def _pairs(self, picked: Sequence[Any]) -> Sequence[tuple[str, str]]:
        return [
            (self.rules.asgi_name(name) or "", value.decode("latin-1").strip(" \t"))
            for name, value in picked
        ]


class _FoldedSnapshot(Snapshot):
    """Picked are texts in which a server may have joined several lines with commas."""

    __slots__ = ()

    def _pairs(self, picked: Sequence[Any]) -> Sequence[tuple[str, str]]:
        pairs = []
        for name, value in picked:
            if "," in value and may_be_folded(name):
                pairs += [(name, line.strip(" \t")) for line in value.split(",")]
            else:
                pairs.append((name, value.strip(" \t")))
        return pairs


class _EnvironSnapshot(_FoldedSnapshot):
    """Picked are the values of `InboundRules.environ_keys`, None where there is none."""

    __slots__ = ()

    def _glance(self, picked: Sequence[Any]) -> Pairs | None:
        values = [*filter(None, picked)]
        if len(values) + picked.count(None) < len(picked):
            # An empty value means something in some fields.
            return None
        rules = self.rules
        keys = tuple(compress(rules.environ_keys, picked))
        names = rules.shapes.names(keys, "\n".join(values), rules.environ_name)
        return None if names is None else tuple(zip(names, values))  # noqa: B905

    def _pairs(self, picked: Sequence[Any]) -> Sequence[tuple[str, str]]:
        names = self.rules.environ_names.values()
        return super()._pairs(
            [(name, value) for name, value in zip(names, picked, strict=True) if value is not None]
        )


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
    return _AsgiSnapshot(picked, rules)


def from_environ(environ: Mapping[str, Any], rules: InboundRules) -> Snapshot:
    """
    Extract from a WSGI environ, in which a server has joined repeated lines with ``,``.

    Args:
        environ: Any part of an environ: nothing in it is taken for granted.
        rules: What to pick.

    >>> from_environ({"HTTP_HOST": "shop", "HTTP_B3": "0,0"}, InboundRules.of()).accepted.ids
    {'b3': '0'}
    """
    if not rules.prefixes:
        return _EnvironSnapshot(list(map(environ.get, rules.environ_keys)), rules)
    named = ((rules.environ_name(key), value) for key, value in environ.items())
    return _FoldedSnapshot([(name, value) for name, value in named if name], rules)


def from_carrier(
    carrier: Mapping[Any, Any] | Iterable[tuple[Any, Any]], rules: InboundRules
) -> Snapshot:
    """
    Extract from any headers: a mapping or (name, value) pairs, of text or bytes, in any case.

    >>> from_carrier({"X-B3-Sampled": "0", "Host": "shop"}, InboundRules.of()).accepted.ids
    {'x-b3-sampled': '0'}
    """
    pairs = carrier.items() if isinstance(carrier, Mapping) else carrier
    texts = ((_text(name), _text(value)) for name, value in pairs)
    picked = [
        (known, value)
        for name, value in texts
        if value is not None and (known := rules.name(name or ""))
    ]
    return _FoldedSnapshot(picked, rules)


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    # A missing value is no text: spelled out, "None" would be an id that nobody sent.
    return str(value) if isinstance(value, str | int) else None

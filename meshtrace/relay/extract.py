"""
Headers in: pick the named fields out of a carrier, and keep nothing else.

Nothing is decoded or judged here: most requests of a service call nobody, and pay for picking only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshtrace.relay.rules import InboundRules, may_be_folded
from meshtrace.relay.snapshot import Seen, Snapshot

__all__ = ["ENVIRON_KEY", "SCOPE_KEY", "from_asgi", "from_carrier", "from_environ"]

SCOPE_KEY = "meshtrace"
"""Where a middleware leaves the snapshot in an ASGI scope."""

ENVIRON_KEY = "meshtrace.snapshot"
"""Where a middleware leaves the snapshot in a WSGI environ."""


class _AsgiSnapshot(Snapshot):
    """Picked are pairs of bytes, as ASGI has them."""

    __slots__ = ()

    def _glance(self, picked: Sequence[Any]) -> Seen | None:
        spelled, values = zip(*picked) if picked else ((), ())  # noqa: B905 - they are pairs
        shape = self.rules.shapes.of(spelled, self.rules.asgi_name)
        if shape is None:
            return None
        match = shape.matches(b"\n".join(values).decode("latin-1"))
        return (shape, match.groups()) if match else None

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
            if not isinstance(value, str):
                continue
            if "," in value and may_be_folded(name):
                pairs += [(name, line.strip(" \t")) for line in value.split(",")]
            else:
                pairs.append((name, value.strip(" \t")))
        return pairs


class _EnvironSnapshot(_FoldedSnapshot):
    """Picked are the shape of an environ and the values of its keys."""

    __slots__ = ()

    def _glance(self, picked: Sequence[Any]) -> Seen | None:
        known, values = picked
        shape = known.shape
        try:
            good = shape is not None and shape.matches("\n".join(values))
        except TypeError:
            # Not all of it is text.
            return None
        return (shape, values) if good else None

    def _pairs(self, picked: Sequence[Any]) -> Sequence[tuple[str, str]]:
        known, values = picked
        names = self.rules.environ_names
        return super()._pairs(
            [(names[key], value) for key, value in zip(known.keys, values, strict=True)]
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
    if not rules.looks_closer:
        names = rules.asgi_names
        return _AsgiSnapshot([(name, value) for name, value in headers if name in names], rules)
    headers = [*headers]
    picked = [(name, value) for name, value in headers if rules.asgi_name(name)]
    snapshot = _AsgiSnapshot(picked, rules)
    if rules.explains:
        snapshot.left_out = rules.left_out(name.decode("latin-1") for name, _ in headers)
    return snapshot


def from_environ(environ: Mapping[str, Any], rules: InboundRules) -> Snapshot:
    """
    Extract from a WSGI environ, in which a server has joined repeated lines with ``,``.

    Args:
        environ: Any part of an environ: nothing in it is taken for granted.
        rules: What to pick.

    >>> from_environ({"HTTP_HOST": "shop", "HTTP_B3": "0,0"}, InboundRules.of()).accepted.ids
    {'b3': '0'}
    """
    # Nothing but a dict is looked up in: what else there is may make up what is missing.
    if rules.looks_closer or type(environ) is not dict:
        named = ((rules.environ_name(key), value) for key, value in environ.items())
        snapshot = _FoldedSnapshot([(name, value) for name, value in named if name], rules)
        if rules.explains:
            snapshot.left_out = rules.left_out(map(_header_name, environ))
        return snapshot
    shape = rules.environ_shape
    try:
        values = shape.take(environ)
        if environ.keys().isdisjoint(shape.absent):
            return _EnvironSnapshot((shape, values), rules)
    except KeyError:
        # Another shape than the last one's.
        pass
    shape = rules.environ_shape = rules.shape_of(environ)
    return _EnvironSnapshot((shape, shape.take(environ)), rules)


def from_carrier(
    carrier: Mapping[Any, Any] | Iterable[tuple[Any, Any]], rules: InboundRules
) -> Snapshot:
    """
    Extract from any headers: a mapping or (name, value) pairs, of text or bytes, in any case.

    >>> from_carrier({"X-B3-Sampled": "0", "Host": "shop"}, InboundRules.of()).accepted.ids
    {'x-b3-sampled': '0'}
    """
    pairs = carrier.items() if isinstance(carrier, Mapping) else carrier
    texts = [(_text(name), _text(value)) for name, value in pairs]
    picked = [
        (known, value)
        for name, value in texts
        if value is not None and (known := rules.name(name or ""))
    ]
    snapshot = _FoldedSnapshot(picked, rules)
    if rules.explains:
        snapshot.left_out = rules.left_out((name or "").lower() for name, _ in texts)
    return snapshot


def _header_name(key: object) -> str | None:
    text = str(key)
    return text[len("HTTP_") :].replace("_", "-").lower() if text.startswith("HTTP_") else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    # A missing value is no text: spelled out, "None" would be an id that nobody sent.
    return str(value) if isinstance(value, str | int) else None

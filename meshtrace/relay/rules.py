"""What is picked out of an inbound request, under one set of settings."""

from collections.abc import Container, Iterable
from typing import Self, Unpack

from meshtrace.configuration import authorization_wanted, resolve
from meshtrace.formats import b3, vendor, w3c
from meshtrace.names import is_field_name, is_never_forwarded
from meshtrace.relay.shapes import EnvironShape, Shapeless, Shapes
from meshtrace.settings import Options, Settings

__all__ = [
    "ID_NAMES",
    "TRACE_NAMES",
    "Forward",
    "InboundRules",
    "YieldingRules",
    "format_of",
    "may_be_folded",
]

ID_NAMES = frozenset({"traceparent", *b3.FIELDS, *vendor.ID_FIELDS})
"""The fields that are ids: any host may have them."""

_VENDOR_NAMES = frozenset({"tracestate", *vendor.DATA_FIELDS})
TRACE_NAMES = ID_NAMES | _VENDOR_NAMES
"""The fields that Envoy's tracers make, and are relayed by default."""

_WITHOUT_COMMA = TRACE_NAMES - {*w3c.FIELDS[1:], "x-datadog-tags"}
_FORMATS = (w3c.FIELDS, b3.FIELDS, vendor.DATADOG_FIELDS, vendor.SKYWALKING_FIELDS)
_FORMAT_OF = {name: frozenset(names) for names in _FORMATS for name in names}

_EXPLAINED = TRACE_NAMES | {"baggage", "sw8-correlation"}
"""What is told of a request also where it is not picked."""

_LONGEST_IDS = 1024
"""
More than traceparent and B3 can take together, with the names of all ids; x-request-id and
Datadog's three have limits of their own.
"""


class Forward:
    """
    What the setting ``forward`` names.

    Args:
        entries: The setting.

    Attributes:
        names: Whole names.
        prefixes: Beginnings of names.
        baggage_keys: The keys of ``baggage`` to keep; None keeps all.

    >>> forward = Forward(("end-user", "x-route-*", "baggage.tenant"))
    >>> sorted(forward.names), forward.prefixes, sorted(forward.baggage_keys)
    (['baggage', 'end-user'], ('x-route-',), ['tenant'])
    """

    def __init__(self, entries: tuple[str, ...]) -> None:
        keys = {name.partition(".")[2] for name in entries if name.startswith("baggage.")}
        names = {name for name in entries if name[-1] != "*" and not name.startswith("baggage.")}
        self.baggage_keys = None if "baggage" in names else frozenset(keys)
        self.names = names | {"baggage"} if keys else names
        self.prefixes = tuple(name[:-1] for name in entries if name[-1] == "*")


class InboundRules:
    """
    Which header names are picked, and what each of them is.

    Args:
        own: The settings of one middleware; the rest is filled in.

    Attributes:
        own: As given.
        explains: Whether what becomes of each call is kept.
        looks_closer: Whether more is looked at than *names*.
        echoes: Whether a field is echoed to the caller.
        joins: Whether spans of the application's own stand between those of the mesh, or are made.
        spans: Whether they are made.
        shapes: The common case of this middleware.
        names: The names picked, in lower case.
        prefixes: Beginnings of names that are picked as user data.
        vendor_names: Those of *names* that are vendor data.
        baggage_keys: The keys of ``baggage`` to keep; None keeps all.
        claimed: Every name of every format that *names* belong to or that another tracer may
            write, and ``host``: a call that has none of them is the caller's untouched one.
        asgi_names: *names* as ASGI spells them.
        environ_names: *names* as WSGI spells them.
        environ_shape: The shape of the last environ: the next one is likely to have it.
        settings: The settings, filled in.
        yields: Whether an inner middleware that was given options reads the headers again: options
            in code beat what nobody wrote.

    >>> sorted(InboundRules.of(incoming="ids", trace_fields="b3,sw8").names)
    ['b3']
    """

    yields = False

    def __init__(self, own: Settings) -> None:
        settings = resolve(own)
        self.own = own
        self.settings = settings
        self.limits = settings.limits
        self.echoes = settings.response_header != ""
        self.spans = settings.spans
        self.joins = settings.own_spans == "join" or self.spans
        self.explains = settings.explain
        longest = _LONGEST_IDS + self.limits.request_id + 3 * self.limits.field
        self.ids_may_not_fit = longest > self.limits.total
        trusted = settings.incoming == "trust"
        trace_names = _trace_names(settings.trace_fields)
        forward = Forward(settings.forward if trusted else ())
        self.baggage_keys = forward.baggage_keys
        self.prefixes = forward.prefixes
        self.looks_closer = self.explains or bool(self.prefixes)
        user_names = forward.names
        if trusted and authorization_wanted():
            user_names |= {"authorization"}
        if settings.incoming == "ignore":
            trace_names = frozenset()
        elif settings.incoming == "ids":
            # An empty tracestate is not relayed, but tells which tracer is at work.
            trace_names &= ID_NAMES | {"tracestate"}
        self.vendor_names = trace_names - ID_NAMES if trusted else frozenset[str]()
        self.shapes = (Shapeless if self.explains else Shapes)(self.limits, self.vendor_names)
        self.names = trace_names | user_names
        prefixed = {name for name in ID_NAMES if name.startswith(self.prefixes)}
        self.claimed = TRACE_NAMES.union({"host"}, *map(format_of, self.names | prefixed))
        self._byte_prefixes = tuple(prefix.encode("ascii") for prefix in self.prefixes)
        self._environ_prefixes = tuple(map(_environ_key, self.prefixes))
        self.asgi_names = {name.encode("ascii"): name for name in self.names}
        self.environ_names = {_environ_key(name): name for name in sorted(self.names)}
        self.environ_shape = self.shape_of({})

    @classmethod
    def of(cls, **options: Unpack[Options]) -> Self:
        """Give the rules of some options, over what is configured."""
        return cls(Settings(**options))

    def left_out(self, names: Iterable[str | None]) -> frozenset[str]:
        """
        Give the trace fields among some names, in lower case, that are not picked.

        >>> sorted(InboundRules.of(incoming="ids").left_out(["b3", "sw8", "accept"]))
        ['sw8']
        """
        return (_EXPLAINED - self.names).intersection(names)

    def shape_of(self, environ: Container[str]) -> EnvironShape:
        """Give the shape of what is to be picked from a WSGI environ."""
        return self.shapes.of_environ(environ, self.environ_names, self.environ_name)

    def asgi_name(self, name: bytes) -> str | None:
        """Give the name under which an ASGI header is picked, if it is."""
        known = self.asgi_names.get(name)
        if known is None and name.startswith(self._byte_prefixes):
            return _user_name(name.decode("latin-1"))
        return known

    def environ_name(self, key: str) -> str | None:
        """Give the name under which a WSGI environ's key is picked, if it is."""
        known = self.environ_names.get(key)
        if known is None and isinstance(key, str) and key.startswith(self._environ_prefixes):  # type: ignore[redundant-expr]  # an environ may hold anything
            return _user_name(key[len("HTTP_") :].replace("_", "-").lower())
        return known

    def name(self, name: str) -> str | None:
        """Give the name under which a header is picked, if it is."""
        lower = name.lower()
        if lower in self.names:
            return lower
        return _user_name(lower) if lower.startswith(self.prefixes) else None


class YieldingRules(InboundRules):
    """The rules of a middleware that stands in no application's code."""

    yields = True


def format_of(name: str) -> frozenset[str]:
    """
    Give all names of the format a field belongs to: what a caller sets of it, is the whole of it.

    >>> sorted(format_of("tracestate")), sorted(format_of("end-user"))
    (['traceparent', 'tracestate'], ['end-user'])
    """
    return _FORMAT_OF.get(name) or frozenset({name})


def may_be_folded(name: str) -> bool:
    """Tell whether a comma in this field can only come from two lines that a server joined."""
    return name in _WITHOUT_COMMA


def _trace_names(changes: tuple[str, ...]) -> frozenset[str]:
    if changes and changes[0][0] not in "+-":
        return frozenset(changes)
    added = {name[1:] for name in changes if name[0] == "+"}
    removed = {name[1:] for name in changes if name[0] == "-"}
    return (TRACE_NAMES | added) - removed


def _environ_key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


def _user_name(name: str) -> str | None:
    return name if is_field_name(name) and not is_never_forwarded(name) else None

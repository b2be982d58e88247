"""What to forward, and where to."""

import logging
from typing import Any, Literal, Self, TypedDict, Unpack

from meshtrace import notices, options
from meshtrace.errors import ConfigurationError
from meshtrace.values import Value

__all__ = ["DEFAULTS", "Limits", "Options", "Settings"]

Incoming = Literal["trust", "ids", "ignore"]
Parent = Literal["auto", "w3c", "b3"]
OnConflict = Literal["keep", "replace"]
OwnSpans = Literal["relay", "join"]
Names = str | list[str] | tuple[str, ...] | set[str] | frozenset[str]


class Limits(Value):
    """
    How much may be carried; what is longer is left out, never cut.

    Attributes:
        request_id: The longest ``x-request-id``, in characters.
        field: The longest of the other fields, in characters.
        baggage_members: The most members of ``baggage``.
        baggage: The longest ``baggage``, in characters (W3C Baggage asks for 64 members and 8192
            bytes).
        total: All fields of one request, names and values, in characters.

    Raises:
        ConfigurationError: One is not a whole number, or less than 0.
    """

    __slots__ = ("baggage", "baggage_members", "field", "request_id", "total")

    request_id: int
    field: int
    baggage_members: int
    baggage: int
    total: int

    def __init__(
        self,
        *,
        request_id: int = 128,
        field: int = 4096,
        baggage_members: int = 64,
        baggage: int = 8192,
        total: int = 16384,
    ) -> None:
        self.hold(
            request_id=request_id,
            field=field,
            baggage_members=baggage_members,
            baggage=baggage,
            total=total,
        )
        for name, value in self.__getstate__().items():
            if not isinstance(value, int) or value < 0:
                raise ConfigurationError(f"limits: {name}={value!r}: not a whole number from 0 up")


class Options(TypedDict, total=False):
    """The keyword options of `Settings`, `configure`, the middlewares and `wrap`."""

    incoming: Incoming
    forward: Names
    trace_fields: Names
    trace_hosts: Names
    mesh_hosts: Names
    deny_hosts: Names
    authorization_hosts: Names
    cluster_domain: str
    parent: Parent
    own_spans: OwnSpans
    spans: bool
    root_formats: Names
    on_conflict: OnConflict
    response_header: str
    patch: Names
    explain: bool
    limits: Limits


_PARSERS: dict[str, options.Parser] = {
    "incoming": options.choice("trust", "ids", "ignore"),
    "forward": options.forward_names,
    "trace_fields": options.trace_field_names,
    "trace_hosts": options.trace_hosts,
    "mesh_hosts": options.hosts,
    "deny_hosts": options.hosts,
    "authorization_hosts": options.exact_hosts,
    "cluster_domain": options.domain,
    "parent": options.choice("auto", "w3c", "b3"),
    "own_spans": options.choice("relay", "join"),
    "spans": options.switch,
    "root_formats": options.each_of("w3c", "b3", "b3-single"),
    "on_conflict": options.choice("keep", "replace"),
    "response_header": options.response_header,
    "patch": options.patchable,
    "explain": options.switch,
    "limits": options.instance_of(Limits),
}
DEFAULTS: dict[str, Any] = {
    "incoming": "trust",
    "forward": (),
    "trace_fields": (),
    "trace_hosts": ("all",),
    "mesh_hosts": (),
    "deny_hosts": (),
    "authorization_hosts": (),
    "cluster_domain": "",
    "parent": "auto",
    "own_spans": "relay",
    "spans": False,
    "root_formats": ("w3c", "b3"),
    "on_conflict": "keep",
    "response_header": "",
    "patch": (),
    "explain": False,
    "limits": Limits(),
}


Place = Literal["in a middleware", "on a client"]

_IDLE: dict[Place, tuple[str, ...]] = {
    "in a middleware": (
        *("trace_hosts", "mesh_hosts", "deny_hosts", "authorization_hosts", "cluster_domain"),
        *("root_formats", "on_conflict", "patch"),
    ),
    "on a client": ("incoming", "trace_fields", "parent", "response_header", "patch", "limits"),
}
"""What does nothing there."""


class Settings(Value):
    """
    A set of settings; those that are not given are filled in from the next place in order.

    Lists are given as one text with commas, or as a list of texts.

    Attributes:
        incoming: ``"trust"`` takes everything; ``"ids"`` is for a service at the edge (ids yes,
            vendor data and user data no); ``"ignore"`` takes nothing.
        forward: User data to relay to mesh hosts: names (``end-user``), prefixes (``x-route-*``),
            ``baggage`` or ``baggage.KEY``.
        trace_fields: Changes to the trace fields: ``+name`` adds (to mesh hosts), ``-name``
            removes; plain names replace the list.
        trace_hosts: Who gets the ids: ``"all"``, ``"mesh"`` or a list of hosts.
        mesh_hosts: Hosts of the mesh, beside those known by their form: ``.suffix``, ``host`` or a
            network such as ``10.20.0.0/16``.
        deny_hosts: Hosts that get nothing.
        authorization_hosts: Exact hosts that get the caller's ``authorization``; in code only.
        cluster_domain: The cluster's DNS domain; empty means that of ``/etc/resolv.conf``, else
            ``cluster.local``.
        parent: Which format `current` believes when they disagree: ``"auto"``, ``"w3c"`` or
            ``"b3"``.
        own_spans: ``"relay"`` sends on what came; ``"join"`` puts a sampled OpenTelemetry span of
            the application's in its place, where it is of the same trace.
        spans: Whether to make a span for each request and each call, on OpenTelemetry's SDK; they
            join, unless *own_spans* says otherwise.
        root_formats: How a span of the application's goes out where no trace came: ``w3c``, ``b3``
            (``x-b3-*``), ``b3-single``.
        on_conflict: ``"keep"`` leaves a format that the caller set on a call; ``"replace"``
            overwrites it.
        response_header: A relayed field to echo in the response, such as ``x-request-id``.
        patch: What `patch` patches: names add opt-in parts, ``-name`` removes.
        explain: Whether to keep, for `explain`, what becomes of each call.
        limits: See `Limits`.
        given: The names of the settings that were given.

    Raises:
        ConfigurationError: A name or a value is not valid.

    >>> Settings(forward="end-user, x-route-*").forward
    ('end-user', 'x-route-*')
    >>> Settings(incoming="all")
    Traceback (most recent call last):
        ...
    meshtrace.errors.ConfigurationError: incoming='all': not one of 'trust', 'ids', 'ignore'
    """

    __slots__ = (*DEFAULTS, "given")

    incoming: Incoming
    forward: tuple[str, ...]
    trace_fields: tuple[str, ...]
    trace_hosts: tuple[str, ...]
    mesh_hosts: tuple[str, ...]
    deny_hosts: tuple[str, ...]
    authorization_hosts: tuple[str, ...]
    cluster_domain: str
    parent: Parent
    own_spans: OwnSpans
    spans: bool
    root_formats: tuple[str, ...]
    on_conflict: OnConflict
    response_header: str
    patch: tuple[str, ...]
    explain: bool
    limits: Limits
    given: frozenset[str]

    def __init__(self, **given: Unpack[Options]) -> None:
        for name in given:
            if name not in _PARSERS:
                raise ConfigurationError(
                    f"unknown setting {name!r}{options.nearest(name, _PARSERS)}; "
                    f"valid: {', '.join(_PARSERS)}"
                )
        read = {name: _PARSERS[name](name, value) for name, value in given.items()}
        self.hold(**{**DEFAULTS, **read}, given=frozenset(given))

    @classmethod
    def of(
        cls,
        settings: "Settings | None",
        options: Options,
        place: Place | None = None,
    ) -> "Settings":
        """
        Give the settings of one middleware or client: its keyword options, over ready ones.

        Args:
            settings: Those made elsewhere, or None.
            options: The keyword options.
            place: Where they are given: an option that does nothing there is said, once.

        >>> Settings.of(Settings(incoming="ids"), {"forward": "end-user"}).incoming
        'ids'
        """
        own = cls(**options)
        for name in _IDLE[place] if place else ():
            if name in options:
                notices.once(
                    logging.WARNING,
                    ("idle", name),
                    "meshtrace: %s does nothing %s: give it to meshtrace.configure()",
                    name,
                    place,
                )
        return own.over(settings) if settings else own

    def over(self, lower: "Settings") -> Self:
        """
        Lay these settings over others: what is given here stands, deny lists add up.

        >>> Settings(incoming="ids").over(Settings(incoming="trust", forward="end-user")).forward
        ('end-user',)
        """
        held = {name: getattr(self if name in self.given else lower, name) for name in DEFAULTS}
        denied = dict.fromkeys((*self.deny_hosts, *lower.deny_hosts))
        merged = object.__new__(type(self))
        merged.hold(**{**held, "deny_hosts": tuple(denied), "given": self.given | lower.given})
        return merged

    def __str__(self) -> str:
        """Say what differs from the defaults."""
        said = (
            f"{name}={','.join(value) if isinstance(value, tuple) else value}"
            for name, default in DEFAULTS.items()
            if name != "limits" and (value := getattr(self, name)) != default
        )
        return ", ".join(said) or "defaults"

"""
gRPC: every call of a channel, of all four kinds, carries the headers in its metadata.

A channel is wrapped in one that calls it with more metadata, and with nothing else changed:
interceptors of ours would change when some errors come out, and what a call can tell of itself (an
intercepted call of ``grpc.aio`` has no ``time_remaining()``). Only where a channel of ``grpc.aio``
has interceptors anyway, ours becomes the last of them, and sees the metadata that they set. So does
a wrapped channel below ``grpc.intercept_channel``: wrap first, and intercept then.

Metadata that the caller gave are never changed, and can be given again. Where a channel leads is
judged by its target and by the option ``grpc.default_authority``. Channels that were made before
`patch` cannot be reached, nor can ``insecure_channel`` under a name that was imported before it.
"""

import functools
import inspect
import logging
from typing import Any, Unpack

from meshtrace.extras import needed

with needed("grpc"):
    import grpc
    import grpc.aio

from meshtrace import notices
from meshtrace.configuration import disabled
from meshtrace.departure import Departures
from meshtrace.otel.written import others_write
from meshtrace.outbound.grpc.channels import AioChannel, Channel, Relaying
from meshtrace.outbound.grpc.interceptors import KINDS, Interceptor, kind_of
from meshtrace.outbound.grpc.lines import Line, Patched, authorities, hosts_of, target_of
from meshtrace.replacing import Function, Replacement
from meshtrace.settings import Options, Settings

__all__ = ["CLIENT", "aio_interceptors", "patch", "unpatch", "wrap"]

CLIENT = (grpc.Channel, grpc.aio.Channel)
"""What `wrap` takes, or refuses with a way out."""

_OLDEST = (1, 60)
_TRACERS = ("opentelemetry.", "ddtrace.")


def wrap(channel: Any, settings: Settings) -> Any:  # noqa: ANN401 - a channel, of which there are two
    """
    Make a channel that adds the current request's headers to every call of another one.

    Wrapping twice is wrapping once, with the later settings. A channel does not tell its option
    ``grpc.default_authority``: one that is made by patched gRPC is judged by it, too.

    Args:
        channel: A channel.
        settings: The settings of this channel.

    Raises:
        TypeError: A channel of ``grpc.aio`` cannot be wrapped.

    >>> with wrap(grpc.insecure_channel("reviews:9080"), Settings()) as channel:
    ...     isinstance(channel, grpc.Channel)
    True
    """
    if not _supported():
        return channel
    if isinstance(channel, Relaying):
        channel.meshtrace_line.follow(settings)
    elif isinstance(channel, grpc.aio.Channel):
        raise TypeError(
            "a channel of grpc.aio cannot be wrapped once it is made; make it with "
            "interceptors=meshtrace.outbound.grpc.aio_interceptors(target), "
            'or call meshtrace.patch("grpc") before'
        )
    else:
        channel = _beneath(channel, Line(hosts_of(target_of(channel)), settings))
    notices.client_ready("grpc")
    return channel


def aio_interceptors(
    target: str | None = None,
    *,
    authority: str | None = None,
    settings: Settings | None = None,
    **options: Unpack[Options],
) -> list[Any]:
    """
    Make the interceptors with which a channel of ``grpc.aio`` adds the current request's headers.

    They belong behind others, whose metadata they leave as they are.

    Args:
        target: Where the channel leads. An interceptor cannot ask the channel: without it the host
            is judged as one outside the mesh, and gets nothing at all while ``deny_hosts`` is set.
            Patched gRPC tells it by itself.
        authority: The channel's option ``grpc.default_authority``, if it has one.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.

    >>> target = "dns:///reviews:9080"
    >>> async def call():
    ...     interceptors = aio_interceptors(target)
    ...     async with grpc.aio.insecure_channel(target, interceptors=interceptors) as channel: ...
    """
    own = Settings.of(settings, options, "on a client")
    if disabled() or not _supported():
        return []
    notices.client_ready("grpc")
    hosts = [*hosts_of(target), *([authority] if authority else [])]
    line = Line(hosts, own)
    return [kind(line) for kind in KINDS]


def patch() -> None:
    """Make every channel that is made from now on add the current request's headers."""
    if not _supported():
        return
    if _patched.departures is None:
        _patched.departures = Departures("grpc", Settings())
    notices.client_ready("grpc")
    for replacement in _REPLACEMENTS:
        replacement.put()


def unpatch() -> None:
    """Undo `patch`, also for the channels made since."""
    _patched.departures = None
    for replacement in _REPLACEMENTS:
        replacement.give_back()


def _relaying(name: str, original: Function) -> Function:
    def channel(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        bound = _bound(name, original, args, kwargs)
        if bound is None:
            return original(*args, **kwargs)
        made = original(*args, **kwargs)
        return _beneath(made, _line(bound)) if isinstance(made, grpc.Channel) else made

    return channel


def _relaying_aio(name: str, original: Function) -> Function:
    def channel(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        bound = _bound(name, original, args, kwargs)
        if bound is None:
            return original(*args, **kwargs)
        line = _line(bound)
        # Ours that are there already learn where they lead.
        theirs = [
            one.leading(line) if isinstance(one, Interceptor) else one
            for one in bound.arguments.get("interceptors") or ()
        ]
        done = {kind_of(one) for one in theirs if isinstance(one, Interceptor)}
        intercepted = {kind_of(one) for one in theirs}
        if others_write("opentelemetry.instrumentation.grpc") and _puts_interceptors(original):
            # It puts some of its own before those that it is given.
            intercepted.update(kind.kind for kind in KINDS)
        if intercepted:
            ours = [kind(line) for kind in KINDS if kind.kind in intercepted - done]
            bound.arguments["interceptors"] = [*theirs, *ours]
            # By name, unless they were given without one: tracers look for it there.
            named = [*bound.arguments.items()][len(args) :]
            args, kwargs = bound.args[: len(args)], {**kwargs, **dict(named)}
        made = original(*args, **kwargs)
        is_channel = isinstance(made, grpc.aio.Channel)
        return _around(AioChannel, made, line, intercepted) if is_channel else made

    return channel


_patched = Patched()
_REPLACEMENTS = [
    Replacement(module, name, functools.partial(relaying, name))
    for module, relaying in ((grpc, _relaying), (grpc.aio, _relaying_aio))
    for name in ("insecure_channel", "secure_channel")
]


def _insecure_channel(
    target: object, options: object = None, compression: object = None, interceptors: object = None
) -> None:
    """Have the parameters of gRPC's."""


def _secure_channel(
    target: object,
    credentials: object,
    options: object = None,
    compression: object = None,
    interceptors: object = None,
) -> None:
    """Have the parameters of gRPC's."""


_SIGNATURES = {
    "insecure_channel": inspect.signature(_insecure_channel),
    "secure_channel": inspect.signature(_secure_channel),
}


def _bound(
    name: str, original: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments | None:
    """Sort the arguments of a channel; None for wrong ones, of which gRPC tells by itself."""
    signature = inspect.signature(original)
    if "target" not in signature.parameters:
        # Another tracer's function, which takes anything and hands it on.
        signature = _SIGNATURES[name]
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    return bound if "target" in bound.arguments else None


def _puts_interceptors(original: Function) -> bool:
    """Tell whether what makes channels of ``grpc.aio`` may be another tracer's function."""
    parameters = inspect.signature(original).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return takes_any if "target" not in parameters else hasattr(original, "__wrapped__")


def _beneath(made: Any, line: Line) -> Any:  # noqa: ANN401 - a channel
    """Put ours around a channel, or beneath what another tracer has put around it."""
    outer, inner = None, made
    while type(getattr(inner, "_interceptor", None)).__module__.startswith(_TRACERS) and isinstance(
        getattr(inner, "_channel", None), grpc.Channel
    ):
        outer, inner = inner, inner._channel  # noqa: SLF001 - as `target_of` does
    if outer is None:
        return _around(Channel, made, line)
    if isinstance(inner, Relaying):
        inner.meshtrace_line.follow(line.settings)
    else:
        outer._channel = _around(Channel, inner, line)  # noqa: SLF001 - as above
    return made


def _around(kind: type[Relaying], made: Any, *args: Any) -> Any:  # noqa: ANN401 - a channel
    try:
        return kind(made, *args)
    except Exception:  # noqa: BLE001 - a channel of a later gRPC may have to do more
        notices.fault("wrapping a channel of grpc")
        return made


def _line(bound: inspect.BoundArguments) -> Line:
    hosts: list[str] = []
    try:
        options = bound.arguments.get("options")
        hosts = [*hosts_of(bound.arguments["target"]), *authorities(options)]
    except Exception:  # noqa: BLE001 - the channel is made in any case
        notices.fault("reading where a channel of grpc leads")
    return Line(hosts, Settings(), _patched)


def _supported() -> bool:
    major, minor = (int(part) for part in grpc.__version__.split(".")[:2])
    supported = (major, minor) >= _OLDEST
    if not supported:
        notices.once(
            logging.WARNING,
            "grpc version",
            "meshtrace: calls of grpcio %s go out without trace headers. Supported: grpcio>=1.60",
            grpc.__version__,
        )
    return supported

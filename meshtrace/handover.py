"""How a context gets where it does not go by itself: another server, a queue, a thread."""

import functools
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import AbstractContextManager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar, cast

from meshtrace import notices
from meshtrace.ambient import CURRENT, Entered, Stepwise, leave
from meshtrace.configuration import Following, disabled
from meshtrace.context import Sampling, TraceContext
from meshtrace.formats import b3, w3c
from meshtrace.names import is_field_name, is_never_forwarded
from meshtrace.policy import Share
from meshtrace.relay.extract import from_asgi, from_carrier, from_environ
from meshtrace.relay.rules import ID_NAMES, InboundRules
from meshtrace.relay.snapshot import Kept, Snapshot
from meshtrace.settings import Settings

__all__ = ["capture", "carry", "detached", "use"]

F = TypeVar("F", bound=Callable[..., Any])

_CAPTURED = "meshtrace:user"
"""
Marks what `capture` gave, and names the fields in it that are no ids: a worker takes them back
without settings of its own. No HTTP header can be called so: nobody outside can send it.
"""

_MOST_MARKS = 64
_CO_ITERABLE_COROUTINE = 0x100
"""As `inspect` has it."""


def capture() -> dict[str, str]:
    """
    Give what the current request carries, to be put on a queue; `use` takes it back in the worker.

    Returns:
        A dict of texts that JSON keeps as it is; empty outside any request.

    >>> with use({"b3": "0"}):
    ...     message = capture()
    >>> with use(message):
    ...     capture() == message
    True
    """
    snapshot = CURRENT.get()
    if snapshot is None:
        return {}
    fields = snapshot.fields(Share.MESH)
    return {_CAPTURED: ",".join(name for name in fields if name not in ID_NAMES), **fields}


def use(source: object) -> AbstractContextManager[None]:
    """
    Run code for a request that meshtrace's middlewares did not see, or no longer see.

    Args:
        source: One of
            a web framework's request object, an ASGI scope or a WSGI environ (one that a middleware
            saw gives its own context back: in a 500 handler that runs outside the middlewares, for
            instance); headers, as a mapping or as (name, value) pairs, of text or bytes; what
            `capture` gave; a `TraceContext`, which is written as ``x-b3-*`` and, when a decision is
            known, ``traceparent``; None, for no request.

    Raises:
        TypeError: *source* is none of these.

    >>> with use({"X-B3-TraceId": "463ac35c9f6413ad", "X-B3-SpanId": "a2fb4a1d1a96d312"}):
    ...     from meshtrace.ambient import current
    ...     current().trace_id
    '463ac35c9f6413ad'
    """
    snapshot = _snapshot_of(source)
    if disabled():
        return Entered(None)
    return _entered(snapshot)


def detached() -> AbstractContextManager[None]:
    """
    Run code for no request: a long-lived worker that is started inside one must not keep its ids.

    Where spans join, OpenTelemetry's context is an empty one, so that the worker's spans are no
    part of the request's trace.

    >>> with use({"b3": "0"}), detached():
    ...     capture()
    {}
    """
    return _entered(None)


def _entered(snapshot: Snapshot | None) -> Entered:
    known = CURRENT.get() if snapshot is None else snapshot
    if known is not None and known.rules.joins:
        from meshtrace.otel.slot import Joined  # noqa: PLC0415 - loads OpenTelemetry

        return Joined(snapshot)
    return Entered(snapshot)


def carry(fn: F) -> F:
    """
    Take the current request along into *fn*, for a thread, a greenlet, a callback.

    The context is set and undone around each call, so a pool's thread keeps nothing, and a thread
    that has a context already gets it back. User data goes along, also when the request has ended
    by the time of the call.

    Args:
        fn: What will be called elsewhere: a function, a coroutine function, a generator function or
            an asynchronous generator function; plain, bound, partial, or the ``__call__`` of an
            object. What comes of it is of the same kind; a coroutine or a generator that a plain
            function returns runs for the request, too.

    Raises:
        TypeError: *fn* cannot be called.

    >>> with use({"b3": "0"}):
    ...     job = carry(capture)
    >>> job() == {"meshtrace:user": "", "b3": "0"}
    True
    """
    if not callable(fn):
        raise TypeError(f"carry({type(fn).__name__}): give a function")
    snapshot = CURRENT.get()
    if snapshot is not None and not snapshot.ended:
        snapshot = Kept(snapshot)

    @functools.wraps(fn)
    def call(*args: object, **kwargs: object) -> object:
        with _entered(snapshot):
            made = fn(*args, **kwargs)
        return _yet_to_run(made, snapshot)

    @functools.wraps(fn)
    async def call_async(*args: object, **kwargs: object) -> object:
        with _entered(snapshot):
            return await fn(*args, **kwargs)

    import inspect  # noqa: PLC0415 - slow to import, and rarely needed

    # Calling a class makes an object, whatever calling that object does.
    called = None if isinstance(fn, type) else getattr(fn, "__call__", None)  # noqa: B004 - that method
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(called):
        return cast("F", call_async)
    return cast("F", call)


def _yet_to_run(made: object, snapshot: Snapshot | None) -> object:
    """Take the request along into what a function has only made."""
    if isinstance(made, CoroutineType):
        return _awaited(made, snapshot)
    if isinstance(made, AsyncGeneratorType):
        return _CarriedAsyncGenerator(made, snapshot)
    # What `types.coroutine` makes is a generator that is awaited.
    if isinstance(made, GeneratorType) and not made.gi_code.co_flags & _CO_ITERABLE_COROUTINE:
        return _CarriedGenerator(made, snapshot)
    return made


async def _awaited(coroutine: Awaitable[Any], snapshot: Snapshot | None) -> object:
    with _entered(snapshot):
        return await coroutine


class _CarriedGenerator(Generator[Any, Any, Any]):
    """A generator whose every step runs for one request."""

    def __init__(self, generator: Generator[Any, Any, Any], snapshot: Snapshot | None) -> None:
        self._generator = generator
        self._steps = Stepwise(snapshot)

    def send(self, value: object) -> object:
        return self._steps.run(self._generator.send, value)

    def throw(self, *error: Any) -> object:  # noqa: ANN401 - the three spellings of Generator.throw
        return self._steps.run(self._generator.throw, *error)

    def close(self) -> Any:  # noqa: ANN401 - since Python 3.13, what the generator returns
        return self._steps.run(self._generator.close)


class _CarriedAsyncGenerator(AsyncGenerator[Any, Any]):
    """An asynchronous generator whose every step runs for one request."""

    def __init__(self, generator: AsyncGenerator[Any, Any], snapshot: Snapshot | None) -> None:
        self._generator = generator
        self._inside = snapshot

    async def asend(self, value: object) -> object:
        return await self._step(self._generator.asend(value))

    async def athrow(self, *error: Any) -> object:  # noqa: ANN401 - the three spellings of AsyncGenerator.athrow
        return await self._step(self._generator.athrow(*error))

    async def aclose(self) -> None:
        await self._step(self._generator.aclose())

    async def _step(self, step: Awaitable[Any]) -> object:
        token = CURRENT.set(self._inside)
        try:
            return await step
        finally:
            self._inside = CURRENT.get()
            leave(token)


def _snapshot_of(source: object) -> Snapshot | None:
    if source is None:
        return None
    if isinstance(source, Snapshot):
        return Kept(source)
    carrier = _spelled(source) if isinstance(source, TraceContext) else _carrier_of(source)
    if isinstance(carrier, str | bytes) or not isinstance(carrier, Iterable):
        raise TypeError(
            f"use({type(source).__name__}): give a request object, an ASGI scope, a WSGI environ, "
            "headers (a mapping or pairs), what capture() gave, a TraceContext or None"
        )
    rules = _inbound_rules().value
    try:
        if isinstance(carrier, Mapping):
            return _from_mapping(carrier, rules)
        return from_carrier(carrier, rules)
    except Exception:  # noqa: BLE001 - a strange carrier must not fail the application's work
        notices.fault("reading the headers given to use()")
        return Snapshot([], rules)


def _carrier_of(source: object) -> object:
    # Attributes first: a request object may be a mapping itself, of something else.
    for attribute in ("scope", "environ", "META"):
        inner = getattr(source, attribute, None)
        if isinstance(inner, Mapping):
            return inner
    if isinstance(source, Mapping) and _known(source):
        # aiohttp's request is a mapping of what the application keeps in it.
        return source
    carrier = getattr(source, "headers", source)
    items = None if isinstance(carrier, Mapping) else getattr(carrier, "items", None)
    return items() if callable(items) else carrier


def _known(source: Mapping[Any, Any]) -> Snapshot | None:
    """Find what a middleware has left, under whichever key its framework wants."""
    return next((value for value in source.values() if isinstance(value, Snapshot)), None)


def _from_mapping(source: Mapping[Any, Any], rules: InboundRules) -> Snapshot:
    known = _known(source)
    if known is not None:
        # Who still has the request is given all of it.
        return Kept(known)
    if _CAPTURED in source:
        rules = _rules_for_captured(str(source[_CAPTURED])).value
        return Snapshot(
            [(name, value) for name, value in source.items() if name in rules.names], rules
        )
    if isinstance(source.get("type"), str) and not isinstance(source.get("headers", ""), str):
        return from_asgi(source["headers"], rules)
    if "REQUEST_METHOD" in source or "wsgi.version" in source:
        return from_environ(source, rules)
    return from_carrier(source, rules)


@functools.lru_cache(_MOST_MARKS)
def _rules_for_captured(mark: str) -> Following[InboundRules]:
    names = [
        name
        for name in mark.split(",")
        if is_field_name(name) and "*" not in name and not is_never_forwarded(name)
    ]
    return Following(InboundRules, Settings(incoming="trust", forward=names))


def _spelled(context: TraceContext) -> dict[str, str]:
    fields = {} if context.request_id is None else {"x-request-id": context.request_id}
    if context.trace_id is not None and context.sampling is not Sampling.DEFER:
        fields["traceparent"] = w3c.format_traceparent(context)
    return {**fields, **b3.format_b3_multi(context)}


@functools.cache
def _inbound_rules() -> Following[InboundRules]:
    return Following(InboundRules, Settings())

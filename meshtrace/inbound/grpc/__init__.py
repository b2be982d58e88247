"""
The interceptors for servers of gRPC.

    grpc.server(pool, interceptors=[interceptor()])                     # first: the outermost
    grpc.aio.server(interceptors=[aio_interceptor(incoming="ids")])

gRPC calls the interceptors of a call and its handler in one ``contextvars.Context``, which is the
call's own (`grpc.ServerInterceptor.intercept_service`, grpcio 1.60 and later). So the context is
set there, stays whichever threads the call goes through, and ends with it. Only the synchronous
handlers of a server of ``grpc.aio`` run without it, and are handed it.
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Unpack

from meshtrace.extras import needed

with needed("grpc"):
    import grpc
    import grpc.aio

from meshtrace import notices
from meshtrace.ambient import CURRENT, Stepwise
from meshtrace.arrival import Arrivals
from meshtrace.configuration import disabled
from meshtrace.inbound.grpc.echoes import echoing, echoing_aio
from meshtrace.inbound.grpc.ends import code_of, watched, watched_aio
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import YieldingRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.replacing import Function, Replacement
from meshtrace.settings import Options, Settings

__all__ = ["aio_interceptor", "interceptor", "patch_servers", "unpatch_servers"]

_OLDEST = (1, 60)
_NOBODY = object()
_arriving: ContextVar[object] = ContextVar("meshtrace.inbound.grpc", default=_NOBODY)
"""The metadata of the call whose interceptors run."""


def interceptor(*, settings: Settings | None = None, **options: Unpack[Options]) -> Any:  # noqa: ANN401 - generic in the stubs only
    """
    Keep the trace headers of each call at hand for the calls made while it is served.

    What ``response_header`` names is sent with the initial metadata of calls that succeed: Envoy
    does not try a failed call again once it has seen any.

    Args:
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> server = grpc.server(ThreadPoolExecutor(), interceptors=[interceptor(incoming="ids")])
    """
    return _Interceptor(Arrivals(settings, options))


def aio_interceptor(*, settings: Settings | None = None, **options: Unpack[Options]) -> Any:  # noqa: ANN401 - as above
    """
    Do the same as `interceptor` for a server of ``grpc.aio``.

    Args:
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.

    >>> async def serve():
    ...     server = grpc.aio.server(interceptors=[aio_interceptor(incoming="ids")])
    """
    return _AioInterceptor(Arrivals(settings, options))


def patch_servers() -> None:
    """
    Give every server that is made from now on the interceptor, unless it has one.

    It is the first, with the settings of the process. ``grpc.server`` under a name that was
    imported before is not reached.
    """
    if not disabled() and _supported():
        for replacement in _REPLACEMENTS:
            replacement.put()


def unpatch_servers() -> None:
    """Undo `patch_servers`; the servers made since keep what they were given."""
    for replacement in _REPLACEMENTS:
        replacement.give_back()


class _Call:
    """
    One call, while it is served.

    Args:
        arrivals: Where it arrived.
        snapshot: What it brought.
    """

    def __init__(self, arrivals: Arrivals, snapshot: Snapshot, details: object) -> None:
        self._arrivals = arrivals
        self._snapshot = snapshot
        self.context: Any = None
        self.echoed = arrivals.echoed(snapshot) if snapshot.rules.echoes else None
        # gRPC's context ends with the call, and what is current in it.
        self.slot = arrivals.join(snapshot, "grpc", details) if snapshot.rules.joins else None

    def end(self, _: object = None) -> None:
        """Note that it has ended."""
        if self.slot is not None:
            try:
                self.slot.coded(code_of(self.context))
            except Exception:  # noqa: BLE001 - the call has been served
                notices.fault("asking grpc for a status")
            self.slot.end()
        self._snapshot.ended = True
        self._arrivals.end(self._snapshot)


class _Serving:
    """What the interceptors of both kinds have in common."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._off = arrivals.off or not _supported()

    def arrive(self, details: Any) -> _Call | None:  # noqa: ANN401 - gRPC's own
        """Set the context of a call; None where an interceptor before this one has."""
        metadata = details.invocation_metadata
        current = CURRENT.get()
        nested = current is not None and _arriving.get() is metadata
        if self._off or (nested and not self._arrivals.outranks(current)):  # type: ignore[arg-type]  # mypy: None
            return None
        try:
            snapshot = from_carrier(metadata or (), self._arrivals.rules.value)
        except Exception:  # noqa: BLE001 - the call must be served
            snapshot = self._arrivals.empty()
        self._arrivals.begin()
        CURRENT.set(snapshot)
        return _Call(self._arrivals, snapshot, details)


class _Interceptor(_Serving, grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    def intercept_service(self, continuation: Function, handler_call_details: Any) -> Any:  # noqa: ANN401 - gRPC's own
        metadata = handler_call_details.invocation_metadata
        call = self.arrive(handler_call_details)
        if call is None:
            return continuation(handler_call_details)
        # Not for longer: code that was started here may keep what is set.
        token = _arriving.set(metadata)
        try:
            handler = continuation(handler_call_details)
        finally:
            _arriving.reset(token)
        if handler is None:
            call.end()
        return _changed(handler, functools.partial(_served, call))


class _AioInterceptor(_Serving, grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    async def intercept_service(self, continuation: Function, handler_call_details: Any) -> Any:  # noqa: ANN401 - gRPC's own
        metadata = handler_call_details.invocation_metadata
        call = self.arrive(handler_call_details)
        if call is None:
            return await continuation(handler_call_details)
        # gRPC makes a task for each call.
        asyncio.current_task().add_done_callback(call.end)  # type: ignore[union-attr]
        token = _arriving.set(metadata)
        try:
            handler = await continuation(handler_call_details)
        finally:
            _arriving.reset(token)
        return _changed(handler, functools.partial(_served_aio, call))


def _changed(handler: Any, change: Callable[[Function, bool], Function]) -> Any:  # noqa: ANN401 - gRPC's own
    if handler is None:
        # No such method.
        return None
    try:
        request = "stream" if handler.request_streaming else "unary"
        response = "stream" if handler.response_streaming else "unary"
        behavior = getattr(handler, f"{request}_{response}")
        changed = change(behavior, handler.response_streaming)
        if changed is behavior:
            return handler
        make = getattr(grpc, f"{request}_{response}_rpc_method_handler")
        return make(changed, handler.request_deserializer, handler.response_serializer)
    except Exception:  # noqa: BLE001 - the call must be served
        notices.fault("looking at a handler of grpc")
        return handler


def _served(call: _Call, behavior: Function, streams: bool) -> Function:  # noqa: FBT001 - as gRPC has it
    echoed = None if getattr(behavior, "experimental_non_blocking", False) else call.echoed
    inner = echoing(behavior, echoed, streams=streams) if echoed else behavior
    inner = watched(inner, call.slot)

    @functools.wraps(behavior)
    def serve(request: object, context: grpc.ServicerContext, *more: object) -> object:
        call.context = context
        if not context.add_callback(call.end):
            call.end()
        return inner(request, context, *more)

    return serve


def _served_aio(call: _Call, behavior: Function, streams: bool) -> Function:  # noqa: FBT001 - as gRPC has it
    if inspect.iscoroutinefunction(behavior) or inspect.isasyncgenfunction(behavior):
        inner = echoing_aio(behavior, call.echoed) if call.echoed else behavior
        return inner if call.slot is None else watched_aio(inner, call)
    inner = echoing(behavior, call.echoed, streams=streams) if call.echoed else behavior
    current = CURRENT.get()
    steps = Stepwise(current) if call.slot is None else call.slot.steps(current)

    # It runs in threads that know nothing of the call.
    @functools.wraps(behavior)
    def serve(request: object, context: object) -> object:
        call.context = context
        response = steps.run(inner, request, context)
        return _stepwise(response, steps) if streams else response

    return serve


def _stepwise(responses: Any, steps: Stepwise) -> Iterator[Any]:  # noqa: ANN401 - what can be iterated
    iterator = steps.run(iter, responses)
    while True:
        try:
            response = steps.run(next, iterator)
        except StopIteration:
            return
        yield response


def _adding(kind: type[_Serving]) -> Callable[[Function], Function]:
    def around(original: Function) -> Function:
        def server(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
            try:
                bound = inspect.signature(original).bind(*args, **kwargs)
                theirs = [*(bound.arguments.get("interceptors") or ())]
            except TypeError:
                # Which is gRPC's own error to raise.
                return original(*args, **kwargs)
            if not any(isinstance(one, _Serving) for one in theirs):
                theirs = [kind(Arrivals(None, {}, YieldingRules)), *theirs]
            # Always: what was given may have been an iterator.
            bound.arguments["interceptors"] = theirs
            return original(*bound.args, **bound.kwargs)

        return server

    return around


_REPLACEMENTS = (
    Replacement(grpc, "server", _adding(_Interceptor)),
    Replacement(grpc.aio, "server", _adding(_AioInterceptor)),
)


def _supported() -> bool:
    major, minor = (int(part) for part in grpc.__version__.split(".")[:2])
    supported = (major, minor) >= _OLDEST
    if not supported:
        notices.once(
            logging.WARNING,
            "grpc server version",
            "meshtrace: servers of grpcio %s work as without meshtrace. Supported: grpcio>=1.60",
            grpc.__version__,
        )
    return supported

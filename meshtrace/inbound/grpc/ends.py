"""How a call that is served has ended: for its span."""

import functools
import inspect
from collections.abc import AsyncIterator
from typing import Any

import grpc

from meshtrace.replacing import Function

__all__ = ["code_of", "watched", "watched_aio"]


def code_of(context: Any) -> Any:  # noqa: ANN401 - of one of three classes
    """
    Ask gRPC's context for the status of a call.

    Args:
        context: None where no handler has got one: there is no such method.

    Returns:
        A ``grpc.StatusCode``, or None where it is not told.

    >>> code_of(None).name
    'UNIMPLEMENTED'
    """
    if context is None:
        return grpc.StatusCode.UNIMPLEMENTED
    if not hasattr(context, "code"):
        # A method for threads on a server of grpc.aio has a context that does not tell.
        return None
    code = context.code()
    if isinstance(code, int):
        # As grpc.aio gives it, where it was set so.
        code = next(known for known in grpc.StatusCode if known.value[0] == code)
    return code or grpc.StatusCode.OK


def watched(behavior: Function, slot: Any) -> Function:  # noqa: ANN401 - a span, or None
    """
    Give a handler, whose errors are noted.

    Args:
        behavior: The handler.
        slot: Where to note them, or None.
    """
    if slot is None:
        return behavior

    @functools.wraps(behavior)
    def serve(*args: Any) -> Any:  # noqa: ANN401 - gRPC's own
        try:
            return behavior(*args)
        except Exception as error:
            _note(slot, error)
            raise

    return serve


def watched_aio(behavior: Function, call: Any) -> Function:  # noqa: ANN401 - the call that is served
    """
    Do the same for an asynchronous handler, and remember its context.

    Args:
        behavior: The handler.
        call: The call, with a ``slot``.
    """

    @functools.wraps(behavior)
    async def serve(request: object, context: object) -> Any:  # noqa: ANN401 - gRPC's own
        call.context = context
        try:
            return await behavior(request, context)
        except Exception as error:
            _note(call.slot, error)
            raise

    @functools.wraps(behavior)
    async def stream(request: object, context: object) -> AsyncIterator[Any]:
        call.context = context
        try:
            async for response in behavior(request, context):
                yield response
        except Exception as error:
            _note(call.slot, error)
            raise

    return stream if inspect.isasyncgenfunction(behavior) else serve


def _note(slot: Any, error: Exception) -> None:  # noqa: ANN401 - a span
    # What ``context.abort()`` raises tells nothing: the status does.
    if type(error) is not Exception and type(error).__name__ != "AbortError":
        slot.failed(error)

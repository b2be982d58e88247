"""
When a call of gRPC has ended, and how: for its span.

A call that is waited for has ended when it is left, with its response or with an error. Of any
other there is an object, which tells its end to who asks for it.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from meshtrace import notices

__all__ = ["watched", "watched_aio"]


def watched(attempt: Any, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - gRPC's own
    """
    Make a call, in a span.

    Args:
        attempt: The span, or None.
        make: Makes the call.
    """
    if attempt is None:
        return make()
    try:
        made = make()
    except BaseException as error:
        _note(attempt, error)
        attempt.end(error)
        raise
    _watch(attempt, made)
    return made


async def watched_aio(attempt: Any, make: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - gRPC's own
    """Do the same where making a call has to be awaited."""
    if attempt is None:
        return await make()
    try:
        made = await make()
    except BaseException as error:
        _note(attempt, error)
        attempt.end(error)
        raise
    _watch(attempt, made)
    return made


def _watch(attempt: Any, made: Any) -> None:  # noqa: ANN401 - gRPC's own
    # It is current for as long as the call is made, and not while its responses are waited for.
    attempt.leave()
    try:
        if isinstance(made, grpc.aio.Call):
            made.add_done_callback(functools.partial(_end_soon, attempt))
        elif isinstance(made, grpc.Future):
            made.add_done_callback(functools.partial(_end_now, attempt))
        else:
            _end(attempt, grpc.StatusCode.OK)
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("watching a call of grpc")
        attempt.end()


def _end_now(attempt: Any, made: Any) -> None:  # noqa: ANN401 - gRPC's own
    _end(attempt, made.code())


def _end_soon(attempt: Any, made: Any) -> None:  # noqa: ANN401 - gRPC's own
    # An event loop forgets tasks that nobody holds.
    task = asyncio.ensure_future(_end_aio(attempt, made))
    _ending.add(task)
    task.add_done_callback(_ending.discard)


_ending: set[asyncio.Future[None]] = set()


async def _end_aio(attempt: Any, made: Any) -> None:  # noqa: ANN401 - gRPC's own
    _end(attempt, await made.code())


def _end(attempt: Any, code: Any) -> None:  # noqa: ANN401 - gRPC's own
    attempt.coded(code)
    attempt.end()


def _note(attempt: Any, error: BaseException) -> None:  # noqa: ANN401 - a span
    code = getattr(error, "code", None)
    if isinstance(error, grpc.RpcError) and callable(code):
        attempt.coded(code())

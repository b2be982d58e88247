"""
Echoing a field with the initial metadata of a call.

A handler may send initial metadata itself, once, and they leave with its first response otherwise.
So the handler gets gRPC's context in one of ours, and the echo waits for the first response.
"""

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import grpc

from meshtrace.replacing import Function

__all__ = ["echoing", "echoing_aio"]

_SUCCESS = (0, grpc.StatusCode.OK)


class _Echoing:
    """
    The context of a call that a handler gets: what is echoed goes with the initial metadata.

    Args:
        context: gRPC's own.
        echoed: A name and a value.
    """

    def __init__(self, context: Any, echoed: tuple[str, str]) -> None:  # noqa: ANN401 - of one of three classes
        self._context = context
        self._echoed = echoed
        self._open = True

    @property  # type: ignore[misc]  # object's can be set
    def __class__(self) -> Any:  # noqa: ANN401 - as above
        return type(self._context)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the context has
        return getattr(vars(self).get("_context"), name)

    def send_initial_metadata(self, initial_metadata: Iterable[tuple[str, Any]]) -> Any:  # noqa: ANN401 - None, or to be awaited
        metadata = (*initial_metadata,)
        if all(name != self._echoed[0] for name, _ in metadata):
            metadata = (*metadata, self._echoed)
        self._open = False
        return self._context.send_initial_metadata(metadata)

    def set_code(self, code: Any) -> None:  # noqa: ANN401 - a status, or its number
        # A handler may fail without raising; Envoy retries no call whose metadata it has seen.
        self._open = self._open and code in _SUCCESS
        self._context.set_code(code)

    def echo(self) -> None:
        # A call that has ended takes no more metadata.
        with contextlib.suppress(Exception):
            if self._open:
                self.send_initial_metadata(())


class _AioEchoing(_Echoing):
    async def write(self, message: object) -> None:
        await self.echo_aio()
        await self._context.write(message)

    async def echo_aio(self) -> None:
        with contextlib.suppress(Exception):
            if self._open:
                await self.send_initial_metadata(())


def echoing(behavior: Function, echoed: tuple[str, str], *, streams: bool) -> Function:
    """
    Give a synchronous handler whose calls echo a field.

    Args:
        behavior: The handler.
        echoed: A name and a value.
        streams: Whether it gives an iterable of responses.
    """

    def respond(request: object, context: object) -> object:
        seen = _Echoing(context, echoed)
        response = behavior(request, seen)
        seen.echo()
        return response

    def respond_often(request: object, context: object) -> Iterator[object]:
        seen = _Echoing(context, echoed)
        return _echoing_each(behavior(request, seen), seen)

    return respond_often if streams else respond


def _echoing_each(responses: Iterable[object], seen: _Echoing) -> Iterator[object]:
    for response in responses:
        seen.echo()
        yield response


def echoing_aio(behavior: Function, echoed: tuple[str, str]) -> Function:
    """
    Give an asynchronous handler whose calls echo a field.

    Args:
        behavior: The handler, a coroutine function or an asynchronous generator function.
        echoed: A name and a value.
    """

    @functools.wraps(behavior)
    async def respond(request: object, context: object) -> object:
        seen = _AioEchoing(context, echoed)
        response = await behavior(request, seen)
        await seen.echo_aio()
        return response

    @functools.wraps(behavior)
    async def respond_often(request: object, context: object) -> AsyncIterator[object]:
        seen = _AioEchoing(context, echoed)
        async with contextlib.aclosing(behavior(request, seen)) as responses:
            async for response in responses:
                await seen.echo_aio()
                yield response

    return respond if inspect.iscoroutinefunction(behavior) else respond_often

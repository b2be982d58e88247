"""Channels that call others, with the headers added to the metadata of every call."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import grpc
import grpc.aio

from meshtrace.outbound.grpc.ends import watched
from meshtrace.outbound.grpc.lines import Line

__all__ = ["AioChannel", "Channel", "Relaying"]

_METADATA = 2
"""Where metadata are among the arguments of a call: request, timeout, metadata."""


class Relaying:
    """
    What the channels of both kinds have in common.

    Args:
        channel: The channel that calls.
        line: What its calls may have.
        intercepted: The kinds of calls that interceptors of *channel* see to.
    """

    def __init__(self, channel: Any, line: Line, intercepted: Iterable[str | None] = ()) -> None:  # noqa: ANN401 - of either kind
        self.meshtrace_channel = channel
        self.meshtrace_line = line
        self.meshtrace_intercepted = frozenset(intercepted)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the channel has
        # A channel of a class of its own may have more.
        return getattr(vars(self).get("meshtrace_channel"), name)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        """Give a method of that kind."""
        return self._method("unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        """Give a method of that kind."""
        return self._method("unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        """Give a method of that kind."""
        return self._method("stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        """Give a method of that kind."""
        return self._method("stream_stream", args, kwargs)

    def _method(self, kind: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - gRPC's own
        method = getattr(self.meshtrace_channel, kind)(*args, **kwargs)
        if kind in self.meshtrace_intercepted:
            return method
        return Method(method, self.meshtrace_line, args[0] if args else kwargs.get("method"))


class Channel(Relaying, grpc.Channel):
    """A channel of gRPC."""

    def subscribe(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gRPC's own
        """Do as the channel does."""
        self.meshtrace_channel.subscribe(*args, **kwargs)

    def unsubscribe(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gRPC's own
        """Do as the channel does."""
        self.meshtrace_channel.unsubscribe(*args, **kwargs)

    def close(self) -> None:
        """Do as the channel does."""
        self.meshtrace_channel.close()

    def __enter__(self) -> Self:
        self.meshtrace_channel.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:  # noqa: ANN401 - gRPC's own
        return self.meshtrace_channel.__exit__(*error)


class AioChannel(Relaying, grpc.aio.Channel):
    """A channel of ``grpc.aio``."""

    def get_state(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        """Do as the channel does."""
        return self.meshtrace_channel.get_state(*args, **kwargs)

    async def wait_for_state_change(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gRPC's own
        """Do as the channel does."""
        await self.meshtrace_channel.wait_for_state_change(*args, **kwargs)

    async def channel_ready(self) -> None:
        """Do as the channel does."""
        await self.meshtrace_channel.channel_ready()

    async def close(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gRPC's own
        """Do as the channel does."""
        await self.meshtrace_channel.close(*args, **kwargs)

    async def __aenter__(self) -> Self:
        await self.meshtrace_channel.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:  # noqa: ANN401 - gRPC's own
        return await self.meshtrace_channel.__aexit__(*error)


class Method:
    """
    A method of the service at the other end, of any of the four kinds.

    Args:
        method: What calls it.
        line: What its calls may have.
        name: What it is called.
    """

    def __init__(self, method: Any, line: Line, name: str | bytes | None = None) -> None:  # noqa: ANN401 - of any kind
        self._method = method
        self._line = line
        self._name = name

    @property  # type: ignore[misc]  # object's can be set
    def __class__(self) -> Any:  # noqa: ANN401 - of any kind
        # Generated clients tell the kinds apart by `isinstance`.
        return type(self._method)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the method has
        attribute = getattr(vars(self).get("_method"), name)
        if name in {"with_call", "future"}:
            return functools.partial(self._call, attribute)
        return attribute

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        return self._call(self._method, *args, **kwargs)

    def _call(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
        return watched(
            self._line.attempt(self._name), functools.partial(self._made, call, args, kwargs)
        )

    def _made(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - gRPC's own
        if len(args) > _METADATA:
            before, (given, *behind) = args[:_METADATA], args[_METADATA:]
            args = (*before, self._line.relayed(given), *behind)
        else:
            kwargs["metadata"] = self._line.relayed(kwargs.get("metadata"))
        return call(*args, **kwargs)

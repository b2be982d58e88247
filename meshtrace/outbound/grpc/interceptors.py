"""Interceptors for channels of ``grpc.aio``, one for each kind of call."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio

from meshtrace.outbound.grpc.ends import watched_aio
from meshtrace.outbound.grpc.lines import Line

__all__ = ["KINDS", "Interceptor", "kind_of"]

CallOn = Callable[[Any, Any], Awaitable[Any]]
"""Takes the details of a call and its request or requests."""


class Interceptor:
    """
    What the four have in common.

    Args:
        line: What the calls may have.

    Attributes:
        kind: The kind of calls that it sees.
    """

    kind: str

    def __init__(self, line: Line) -> None:
        self._line = line

    def leading(self, line: Line) -> "Interceptor":
        """Give one of the same settings, for a channel whose line is known."""
        return type(self)(Line(line.hosts, self._line.settings))

    async def relay(self, call_on: CallOn, details: Any, request: object) -> Any:  # noqa: ANN401 - gRPC's own
        """Call on with the metadata that the call is to have."""
        attempt = self._line.attempt(details.method)
        return await watched_aio(attempt, functools.partial(self._relay, call_on, details, request))

    async def _relay(self, call_on: CallOn, details: Any, request: object) -> Any:  # noqa: ANN401 - gRPC's own
        given = details.metadata
        metadata = self._line.relayed(given)
        if metadata is not given:
            details = grpc.aio.ClientCallDetails(
                method=details.method,
                timeout=details.timeout,
                metadata=grpc.aio.Metadata(*metadata),
                credentials=details.credentials,
                wait_for_ready=details.wait_for_ready,
            )
        return await call_on(details, request)


class _UnaryUnary(Interceptor, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    kind = "unary_unary"
    intercept_unary_unary = Interceptor.relay  # type: ignore[assignment]  # of any kind


class _UnaryStream(Interceptor, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    kind = "unary_stream"
    intercept_unary_stream = Interceptor.relay  # type: ignore[assignment]  # of any kind


class _StreamUnary(Interceptor, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    kind = "stream_unary"
    intercept_stream_unary = Interceptor.relay  # type: ignore[assignment]  # of any kind


class _StreamStream(Interceptor, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    kind = "stream_stream"
    intercept_stream_stream = Interceptor.relay  # type: ignore[assignment]  # of any kind


KINDS: tuple[type[Interceptor], ...] = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)
"""One for each kind of call."""


def kind_of(interceptor: object) -> str | None:
    """
    Give the kind of calls that an interceptor sees: the first of those that it is made for.

    >>> kind_of(object()) is None
    True
    """
    bases = {kind.kind: kind.__bases__[1] for kind in KINDS}
    return next((kind for kind, base in bases.items() if isinstance(interceptor, base)), None)

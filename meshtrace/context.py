"""What one request carried, in no header's spelling."""

import re
from enum import Enum

from meshtrace.values import Value

__all__ = ["Sampling", "TraceContext"]

_TRACE_ID = re.compile(r"(?!0+\Z)(?:[0-9a-f]{16}|[0-9a-f]{32})").fullmatch
_SPAN_ID = re.compile(r"(?!0+\Z)[0-9a-f]{16}").fullmatch


class Sampling(Enum):
    """
    The decision whether a trace is recorded: the four states of B3.

    Source: https://github.com/openzipkin/b3-propagation#sampling-state.

    >>> Sampling("defer")
    <Sampling.DEFER: 'defer'>
    """

    DEFER = "defer"
    """Nobody has decided yet: the receiver decides."""
    DENY = "deny"
    """Do not record."""
    ACCEPT = "accept"
    """Record."""
    DEBUG = "debug"
    """Record, whatever any sampler says."""


class TraceContext(Value):
    """
    The remote parent of a request, and the id Envoy gave the request.

    Every part may be missing: a request may bring a decision without ids, a request id alone, or
    nothing.

    Attributes:
        trace_id: 16 or 32 lower-case hex digits, in the width in which they came; not all zero.
        span_id: 16 lower-case hex digits, not all zero: the span of the caller. Comes with
            *trace_id* only.
        parent_span_id: 16 lower-case hex digits: the parent of that span. Only B3 carries it.
        sampling: The decision that came.
        random: Whether the trace id's right half was made at random (W3C Trace Context level 2,
            section 3.2.2.5.2).
        request_id: ``x-request-id`` as it came.

    Raises:
        ValueError: An id is not in its form, or there is only one of *trace_id* and *span_id*.

    >>> TraceContext(trace_id="463ac35c9f6413ad", span_id="a2fb4a1d1a96d312").sampling
    <Sampling.DEFER: 'defer'>
    >>> bool(TraceContext())
    False
    """

    __slots__ = ("parent_span_id", "random", "request_id", "sampling", "span_id", "trace_id")

    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    sampling: Sampling
    random: bool
    request_id: str | None

    def __init__(  # noqa: PLR0913 - what a request may carry, by name
        self,
        *,
        trace_id: str | None = None,
        span_id: str | None = None,
        parent_span_id: str | None = None,
        sampling: Sampling = Sampling.DEFER,
        random: bool = False,
        request_id: str | None = None,
    ) -> None:
        if (trace_id is None) is not (span_id is None):
            raise ValueError("trace_id and span_id come together")
        if trace_id is not None and not _TRACE_ID(trace_id):
            raise ValueError("trace_id: not 16 or 32 lower-case hex digits, or all zero")
        if span_id is not None and not _SPAN_ID(span_id):
            raise ValueError("span_id: not 16 lower-case hex digits, or all zero")
        if parent_span_id is not None:
            if span_id is None:
                raise ValueError("parent_span_id: a parent of no span")
            if not _SPAN_ID(parent_span_id):
                raise ValueError("parent_span_id: not 16 lower-case hex digits, or all zero")
        self.hold(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent_span_id,
            sampling=sampling,
            random=random,
            request_id=request_id,
        )

    def __bool__(self) -> bool:
        """Whether the request carried anything at all."""
        return (
            self.trace_id is not None
            or self.request_id is not None
            or self.sampling is not Sampling.DEFER
        )

    @property
    def trace_flags(self) -> int:
        """
        The flags as W3C Trace Context spells them: bit 0 is *sampled*, bit 1 is *random*.

        >>> TraceContext(sampling=Sampling.DEBUG).trace_flags
        1
        """
        sampled = self.sampling in (Sampling.ACCEPT, Sampling.DEBUG)
        return sampled | self.random << 1

    def of_request(self, request_id: str | None) -> "TraceContext":
        """
        Give the same remote parent with a request's id.

        >>> TraceContext().of_request("85928aa8-1dc1-94e3-b747-d7afff585fd0").trace_id is None
        True
        """
        return TraceContext(**{**self.__getstate__(), "request_id": request_id})

"""
What spans of gRPC are called and what they tell, by OpenTelemetry's semantic conventions for RPC.

Source: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/ (they are not stable yet; these are
the names of version 1.23).
"""

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from meshtrace.otel.spans.conventions import ERROR_TYPE, Attributes, host_and_port

__all__ = ["CODE", "add_code", "of_call", "of_request"]

CODE: Final = "rpc.grpc.status_code"

_UNKNOWN: Final = 2

_SERVERS_FAULT: Final = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)


def _named(method: str | bytes) -> tuple[str, Attributes]:
    text = method.decode() if isinstance(method, bytes) else method
    full = text.removeprefix("/")
    service, _, name = full.rpartition("/")
    return full, {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}


def of_call(method: str | bytes, host: str | None) -> tuple[str, Attributes]:
    """
    Give the name of the span of a call, and what is known of it before it is made.

    Args:
        method: As gRPC has it, ``/package.Service/Method``.
        host: Where it leads, as ``host:port``, where that is known.

    >>> of_call("/shop.Reviews/Get", "reviews:9080")[0]
    'shop.Reviews/Get'
    """
    name, attributes = _named(method)
    if host:
        address, port = host_and_port(host)
        attributes["server.address"] = address
        if port is not None:
            attributes["server.port"] = port
    return name, attributes


def of_request(details: Any) -> tuple[str, Attributes]:  # noqa: ANN401 - grpc may be missing
    """
    Give the same for a call that is served.

    Args:
        details: What gRPC gives to an interceptor.
    """
    name, attributes = _named(details.method)
    found: Mapping[str, Any] = dict(details.invocation_metadata or ())
    if agent := found.get("user-agent"):
        attributes["user_agent.original"] = agent
    return name, attributes


def add_code(
    span: trace.Span,
    code: Any,  # noqa: ANN401 - grpc may be missing
    told: Attributes,
    *,
    served: bool,
    failed: bool = False,
) -> None:
    """
    Tell how a call has ended.

    Args:
        span: Its span.
        code: A ``grpc.StatusCode``.
        told: Where to note it.
        served: Whether it was served, and not made: then it may be the caller's fault.
        failed: Whether a handler has raised, of which gRPC makes a status when it is left.
    """
    told[CODE] = code.value[0] or (_UNKNOWN if failed else 0)
    if code.value[0] and (not served or code.name in _SERVERS_FAULT):
        told.setdefault(ERROR_TYPE, code.name)
        span.set_status(Status(StatusCode.ERROR))

"""
meshtrace carries the trace headers of an Envoy mesh through a Python service.

What came in goes out, byte for byte, on every call made for that request, and on no other:

    app.add_middleware(meshtrace.MeshTrace)                  # ASGI
    app.wsgi_app = meshtrace.MeshTraceWSGI(app.wsgi_app)     # WSGI
    meshtrace.patch()                                        # or meshtrace.wrap(session)

Importing acts on nothing.
"""

from typing import TYPE_CHECKING

from meshtrace.clients import patch, unpatch, wrap
from meshtrace.configuration import configure
from meshtrace.context import Sampling, TraceContext
from meshtrace.current import current, detached, set_header
from meshtrace.departure import headers
from meshtrace.errors import ConfigurationError, MalformedHeaderError, MeshTraceError
from meshtrace.handover import capture, carry, use
from meshtrace.inbound.asgi import MeshTrace
from meshtrace.inbound.wsgi import MeshTraceWSGI
from meshtrace.settings import Limits, Settings

if TYPE_CHECKING:
    from meshtrace.explanation import Explanation, explain
    from meshtrace.otel.propagator import MeshPropagator
    from meshtrace.outbound.requests import Session

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "Explanation",
    "Limits",
    "MalformedHeaderError",
    "MeshPropagator",
    "MeshTrace",
    "MeshTraceError",
    "MeshTraceWSGI",
    "Sampling",
    "Session",
    "Settings",
    "TraceContext",
    "capture",
    "carry",
    "configure",
    "current",
    "detached",
    "explain",
    "headers",
    "patch",
    "set_header",
    "unpatch",
    "use",
    "wrap",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    # `Session` is a class of requests, and `MeshPropagator` one of OpenTelemetry: each library is
    # loaded when its class is named. What explains is for the few that ask.
    if name == "Session":
        from meshtrace.outbound.requests import Session  # noqa: PLC0415 - see above

        return Session
    if name == "MeshPropagator":
        from meshtrace.otel.propagator import MeshPropagator  # noqa: PLC0415 - see above

        return MeshPropagator
    if name in ("Explanation", "explain"):
        from meshtrace import explanation  # noqa: PLC0415 - see above

        return getattr(explanation, name)
    raise AttributeError(f"module 'meshtrace' has no attribute {name!r}")

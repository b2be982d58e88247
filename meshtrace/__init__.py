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
from meshtrace.current import current, set_header
from meshtrace.departure import headers
from meshtrace.errors import ConfigurationError, MalformedHeaderError, MeshTraceError
from meshtrace.handover import capture, carry, detached, use
from meshtrace.inbound.asgi import MeshTrace
from meshtrace.inbound.wsgi import MeshTraceWSGI
from meshtrace.settings import Limits, Settings

if TYPE_CHECKING:
    from meshtrace.explanation import Explanation, explain
    from meshtrace.otel.propagator import MeshPropagator
    from meshtrace.outbound.requests import Session as Session

__version__ = "0.1.0"

# Without `Session`, which needs requests: `from meshtrace import *` works without it, too.
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
    from importlib.util import find_spec  # noqa: PLC0415 - for those who look around

    return sorted({*globals(), *__all__, *(["Session"] if find_spec("requests") else [])})


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

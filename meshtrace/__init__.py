"""
meshtrace carries the trace headers of an Envoy mesh through a Python service.

What came in goes out, byte for byte, on every call made for that request, and on no other:

    app.add_middleware(meshtrace.MeshTrace)                  # ASGI
    app.wsgi_app = meshtrace.MeshTraceWSGI(app.wsgi_app)     # WSGI
    meshtrace.patch()                                        # or meshtrace.wrap(session)

Importing acts on nothing.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would take longer to import than all of this

if TYPE_CHECKING:
    from meshtrace.ambient import current, set_header
    from meshtrace.clients import patch, unpatch, wrap
    from meshtrace.configuration import configure
    from meshtrace.context import Sampling, TraceContext
    from meshtrace.departure import headers
    from meshtrace.errors import ConfigurationError, MalformedHeaderError, MeshTraceError
    from meshtrace.explanation import Explanation, explain
    from meshtrace.handover import capture, carry, detached, use
    from meshtrace.inbound.asgi import MeshTrace
    from meshtrace.inbound.wsgi import MeshTraceWSGI
    from meshtrace.otel.propagator import MeshPropagator
    from meshtrace.outbound.requests import Session as Session
    from meshtrace.settings import Limits, Settings

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

_NAMES = {
    "ambient": "current set_header",
    "clients": "patch unpatch wrap",
    "configuration": "configure",
    "context": "Sampling TraceContext",
    "departure": "headers",
    "errors": "ConfigurationError MalformedHeaderError MeshTraceError",
    "explanation": "Explanation explain",
    "handover": "capture carry detached use",
    "inbound.asgi": "MeshTrace",
    "inbound.wsgi": "MeshTraceWSGI",
    "otel.propagator": "MeshPropagator",
    "outbound.requests": "Session",
    "settings": "Limits Settings",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}
"""The module of each name, which is loaded when the name is asked for."""


def __dir__() -> list[str]:
    from importlib.util import find_spec  # noqa: PLC0415 - for those who look around

    return sorted({*globals(), *__all__, *(["Session"] if find_spec("requests") else [])})


def __getattr__(name: str) -> object:
    # The command `meshtrace run` needs none of them, and starts every service.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'meshtrace' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"meshtrace.{home}"), name)
    return value

"""The middleware that nobody wrote, and putting it around an application."""

import logging
from typing import Any

from meshtrace import notices
from meshtrace.arrival import ASGI, WSGI
from meshtrace.inbound.asgi import MeshTrace
from meshtrace.inbound.wsgi import MeshTraceWSGI
from meshtrace.relay.rules import YieldingRules

__all__ = ["Outermost", "OutermostWSGI", "outermost"]


class Outermost(MeshTrace):
    """The ASGI middleware, whose settings are those of the process."""

    _kind_of_rules = YieldingRules


class OutermostWSGI(MeshTraceWSGI):
    """The WSGI middleware, whose settings are those of the process."""

    _kind_of_rules = YieldingRules


def outermost(app: Any) -> Any:  # noqa: ANN401 - an application of any kind, or none
    """
    Give the application with the middleware of its protocol around it.

    What speaks another protocol (ASGI 2, RSGI), or cannot be told, is given back as it is.

    Args:
        app: An ASGI or WSGI application.

    >>> async def asgi(scope, receive, send): ...
    >>> async def rsgi(scope, protocol): ...
    >>> type(outermost(asgi)).__name__, outermost(rsgi) is rsgi
    ('Outermost', True)
    """
    try:
        return _around(app)
    except Exception as error:  # noqa: BLE001 - the application is served in any case
        notices.once(
            logging.WARNING,
            "outermost",
            "meshtrace run: an application is served as it is: %r",
            error,
        )
        return app


def _around(app: Any) -> Any:  # noqa: ANN401 - as above
    if not callable(app) or isinstance(app, MeshTrace | MeshTraceWSGI) or hasattr(app, "__rsgi__"):
        return app
    import inspect  # noqa: PLC0415 - slow to import, and needed where a server starts only

    def takes(arguments: int) -> bool:
        try:
            signature.bind(*range(arguments))
        except TypeError:
            return False
        return True

    signature = inspect.signature(app)
    asynchronous = any(map(inspect.iscoroutinefunction, (app, type(app).__call__)))
    if takes(WSGI) and not asynchronous:
        return OutermostWSGI(app)
    return Outermost(app) if takes(ASGI) else app

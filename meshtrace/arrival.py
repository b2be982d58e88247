"""What every inbound room does the same way: settings, notices, and naming obvious mistakes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshtrace import notices
from meshtrace.configuration import Following, disabled
from meshtrace.policy import Share
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

if TYPE_CHECKING:
    from inspect import Signature

__all__ = ["ASGI", "WSGI", "Arrivals", "refuse_mistakes"]

ASGI = 3
"""``app(scope, receive, send)``."""

WSGI = 2
"""``app(environ, start_response)``."""


class Arrivals:
    """
    The requests that one middleware sees.

    Args:
        settings: Settings made elsewhere, or None.
        options: Keyword options, over *settings*.

    Attributes:
        off: Whether ``MESHTRACE_DISABLED`` was set when the middleware was made.

    Raises:
        ConfigurationError: An option is not valid.

    >>> Arrivals(None, {"incoming": "ids"}).rules.value.settings.incoming
    'ids'
    """

    def __init__(self, settings: Settings | None, options: Options) -> None:
        self.rules = Following(InboundRules, Settings.of(settings, options))
        self.off = disabled()

    def empty(self) -> Snapshot:
        """Give the context of a request whose headers could not be read."""
        notices.fault("reading the headers of a request")
        return Snapshot([], self.rules.value)

    def begin(self) -> None:
        """Note that a request came."""
        notices.request_came(self.rules.value.settings)

    def end(self, snapshot: Snapshot) -> bool:
        """
        Note that a request ended: by the end of the first with ids a client should be ready.

        Returns:
            Whether the next request is to be noted, too.
        """
        if not snapshot.accepted.ids:
            return True
        notices.request_ended_with_ids()
        return False

    def echoed(self, snapshot: Snapshot) -> tuple[str, str] | None:
        """Give the name and value of the field to echo, if one was asked for and came."""
        name = snapshot.rules.settings.response_header
        value = snapshot.fields(Share.MESH).get(name) if name else None
        return (name, value) if value else None


def refuse_mistakes(middleware: str, app: Callable[..., Any], arguments: int) -> None:
    """
    Refuse an application that speaks another protocol, naming the right class.

    Args:
        middleware: The class that is asked.
        app: What it was given.
        arguments: How many arguments its protocol calls an application with: `ASGI` or `WSGI`.

    Raises:
        TypeError: *app* is called with another number of arguments, or is Django's
            ``get_response``.

    >>> refuse_mistakes("MeshTrace", lambda environ, start_response: [], 3)
    Traceback (most recent call last):
        ...
    TypeError: MeshTrace was given a WSGI application: use meshtrace.MeshTraceWSGI
    """
    if not callable(app):
        raise TypeError(f"{middleware} needs an application, not {type(app).__name__}")
    import inspect  # noqa: PLC0415 - slow to import, and needed where applications are made only

    try:
        signature = inspect.signature(app)
    except Exception:  # noqa: BLE001 - what cannot be read may well be right
        return
    if _takes(signature, arguments):
        return
    if [*signature.parameters] == ["request"]:
        raise TypeError(
            f"{middleware} is no Django middleware: wrap Django's application instead, "
            "meshtrace.MeshTraceWSGI(get_wsgi_application()) "
            "or meshtrace.MeshTrace(get_asgi_application())"
        )
    for kind, right, count in (
        ("a WSGI", "meshtrace.MeshTraceWSGI", WSGI),
        ("an ASGI", "meshtrace.MeshTrace", ASGI),
    ):
        if _takes(signature, count):
            raise TypeError(f"{middleware} was given {kind} application: use {right}")


def _takes(signature: "Signature", arguments: int) -> bool:
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return False
    return True

"""What every inbound room does the same way: settings, notices, and naming obvious mistakes."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshtrace import notices
from meshtrace.configuration import Following, disabled
from meshtrace.policy import Share
from meshtrace.relay.request_ids import look_at_request
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

if TYPE_CHECKING:
    from inspect import Signature

    from meshtrace.otel.slot import Slot

__all__ = ["ASGI", "DJANGO", "WSGI", "Arrivals", "refuse_mistakes"]

ASGI = 3
"""``app(scope, receive, send)``."""

WSGI = 2
"""``app(environ, start_response)``."""

DJANGO = 1
"""``get_response(request)``."""


class Arrivals:
    """
    The requests that one middleware sees.

    Args:
        settings: Settings made elsewhere, or None.
        options: Keyword options, over *settings*.
        rules: What is made of them.

    Attributes:
        off: Whether ``MESHTRACE_DISABLED`` was set when the middleware was made.

    Raises:
        ConfigurationError: An option is not valid.

    >>> Arrivals(None, {"incoming": "ids"}).rules.value.settings.incoming
    'ids'
    """

    def __init__(
        self,
        settings: Settings | None,
        options: Options,
        rules: type[InboundRules] = InboundRules,
    ) -> None:
        own = Settings.of(settings, options, "in a middleware")
        self._given = own != Settings()
        self.rules = Following(rules, own)
        self.off = disabled()

    def empty(self) -> Snapshot:
        """Give the context of a request whose headers could not be read."""
        notices.fault("reading the headers of a request")
        return Snapshot([], self.rules.value)

    def outranks(self, snapshot: Snapshot) -> bool:
        """
        Tell whether this middleware is to read the headers again that an outer one has read.

        Args:
            snapshot: What the outer one read.
        """
        return snapshot.rules.yields and self._given

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
        return look_at_request(snapshot.accepted.ids.get("x-request-id"))

    def join(
        self, snapshot: Snapshot, protocol: str, request: object, within: object = None
    ) -> "Slot | None":
        """
        Let spans of the application's own have the request's remote parent, while it is served.

        Where spans are on, one of the request itself stands in between. To be asked only where
        ``snapshot.rules.joins`` says so.

        Args:
            snapshot: The request.
            protocol: What *request* is, of `meshtrace.otel.spans.protocols`.
            request: What the server knows of it.
            within: The application that is going to be called, if it may make the span itself.

        Returns:
            What to ``leave()`` when the application has been left, and to ``end()`` with the body.
        """
        try:
            if snapshot.rules.spans:
                from meshtrace.otel.spans.server import begin  # noqa: PLC0415 - loads OpenTelemetry

                return begin(snapshot, protocol, request, within)
            from meshtrace.otel.slot import enter  # noqa: PLC0415 - as above

            return enter(snapshot)
        except Exception:  # noqa: BLE001 - the request must be served
            notices.fault("telling OpenTelemetry of the remote parent")
            return None

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
        arguments: How many arguments its protocol calls an application with: `ASGI`, `WSGI` or
            `DJANGO`.

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
            f"{middleware} is no Django middleware: "
            "name meshtrace.inbound.django.Middleware in MIDDLEWARE, or wrap Django's application, "
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

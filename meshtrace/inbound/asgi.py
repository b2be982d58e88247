"""
The ASGI middleware.

    app.add_middleware(MeshTrace)          # Starlette, FastAPI: added last, it is the outermost
    app = MeshTrace(app)                   # any ASGI application
"""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Unpack

from meshtrace import notices
from meshtrace.ambient import CURRENT, leave
from meshtrace.arrival import ASGI, Arrivals, refuse_mistakes
from meshtrace.relay.extract import SCOPE_KEY, from_asgi
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

__all__ = ["MeshTrace"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[object]]
"""``app(scope, receive, send)``; frameworks have types of their own for the three."""

_REQUESTS = ("http", "websocket")
_RESPONSE_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class MeshTrace:
    """
    Keeps the trace headers of each request at hand for the calls made while it is served.

    It sees ``http`` and ``websocket`` scopes, passes everything else on untouched, and calls the
    application with the very scope it got. The context is set at the start of every request, even
    one without headers: on a reused connection an earlier request's context can still be there. A
    snapshot stays in the scope, so that ``meshtrace.use(request)`` finds it in a handler outside
    the middlewares.

    Args:
        app: The ASGI application.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: *app* is no ASGI application.

    >>> async def app(scope, receive, send): ...
    >>> app = MeshTrace(app, incoming="ids")
    """

    _kind_of_rules = InboundRules

    def __init__(
        self, app: ASGIApp, *, settings: Settings | None = None, **options: Unpack[Options]
    ) -> None:
        refuse_mistakes("MeshTrace", app, ASGI)
        self.app = app
        self._arrivals = Arrivals(settings, options, self._kind_of_rules)
        self._rules = self._arrivals.rules
        self._off = self._arrivals.off
        self._unsettled = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if self._off or scope.get("type") not in _REQUESTS:
            await self.app(scope, receive, send)
            return
        snapshot: Any = scope.get(SCOPE_KEY)
        # A scope that is served once more is a new request.
        arrived = (
            snapshot is None
            or not isinstance(snapshot, Snapshot)
            or snapshot.ended
            or self._arrivals.outranks(snapshot)
        )
        if arrived:
            snapshot = self._extract(scope)
        elif CURRENT.get() is snapshot:
            # Nested: the outer one has done it.
            await self.app(scope, receive, send)
            return
        if snapshot.rules.echoes:
            send = _echoing(send, self._arrivals.echoed(snapshot))
        if self._unsettled:
            self._arrivals.begin()
        token = CURRENT.set(snapshot)
        app, slot = self.app, None
        if snapshot.rules.joins:
            slot = self._arrivals.join(snapshot, "asgi", scope, app)
            app = app if slot is None else slot.around_asgi(app)
        try:
            await app(scope, receive, send)
        finally:
            leave(token)
            if slot is not None:
                slot.leave(end=True)
            if arrived:
                snapshot.ended = True
            if self._unsettled:
                self._unsettled = self._arrivals.end(snapshot)

    def _extract(self, scope: Scope) -> Snapshot:
        try:
            headers = scope["headers"]
            if headers.__class__ is not list and isinstance(headers, Iterator):
                # Reading them must leave them to the application.
                headers = scope["headers"] = [*headers]
            snapshot = scope[SCOPE_KEY] = from_asgi(headers, self._rules.value)
        except Exception:  # noqa: BLE001 - the request must be served
            snapshot = self._arrivals.empty()
        return snapshot


def _echoing(send: Send, echoed: tuple[str, str] | None) -> Send:
    if echoed is None:
        return send
    name, value = (text.encode("latin-1") for text in echoed)

    async def echo(message: Message) -> None:
        try:
            if message["type"] in _RESPONSE_STARTS:
                headers = [*message.get("headers", ())]
                if all(present.lower() != name for present, _ in headers):
                    headers.append((name, value))
                message = {**message, "headers": headers}
        except Exception:  # noqa: BLE001 - a strange message is the server's affair
            notices.fault("echoing a header")
        await send(message)

    return echo

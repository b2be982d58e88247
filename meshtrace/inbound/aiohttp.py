"""
The middleware for ``aiohttp.web``, whose server speaks neither ASGI nor WSGI.

    app = web.Application(middlewares=[middleware])                     # first: the outermost
    app = web.Application(middlewares=[Middleware(incoming="ids")])     # with settings
    setup(app, response_header="x-request-id")                          # the same, and more
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Unpack, cast

from meshtrace.extras import needed

with needed("aiohttp"):
    from aiohttp import web

from meshtrace import notices
from meshtrace.ambient import CURRENT
from meshtrace.arrival import Arrivals
from meshtrace.relay.extract import SCOPE_KEY, from_asgi
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options, Settings

__all__ = ["Middleware", "middleware", "setup"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp 3.14 warns of keys that are texts; ones before it have no others.
_KEY: Any = web.RequestKey(SCOPE_KEY, Snapshot) if hasattr(web, "RequestKey") else SCOPE_KEY


class Middleware:
    """
    Keeps the trace headers of each request at hand for the calls made while it is served.

    The context is set at the start of every request, even one without headers. aiohttp serves each
    request in a task of its own, and the context ends with that task: what comes after the
    middlewares, such as ``on_response_prepare``, a body that is streamed and the access log, still
    belongs to the request. A snapshot stays in the request, so that ``meshtrace.use(request)``
    finds it.

    Args:
        mistaken: Nothing; here for aiohttp to be told that a class is no middleware.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: An application was given.

    >>> app = web.Application(middlewares=[Middleware(incoming="ids")])
    """

    def __init__(
        self, *mistaken: object, settings: Settings | None = None, **options: Unpack[Options]
    ) -> None:
        if mistaken:
            raise TypeError(
                "Middleware takes options only: "
                "web.Application(middlewares=[meshtrace.inbound.aiohttp.Middleware()])"
            )
        self._arrivals = Arrivals(settings, options)
        self._unsettled = True
        web.middleware(self)

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve one request."""
        if self._arrivals.off:
            return await handler(request)
        snapshot = request.get(_KEY)
        if (
            not isinstance(snapshot, Snapshot)
            or snapshot.ended
            or self._arrivals.outranks(snapshot)
        ):
            snapshot = self._extract(request)
        elif CURRENT.get() is snapshot:
            # Nested: the application around this one has done it.
            return await handler(request)
        if self._unsettled:
            self._arrivals.begin()
        CURRENT.set(snapshot)
        if snapshot.rules.joins:
            slot = self._arrivals.join(snapshot, "aiohttp", request)
            handler = handler if slot is None else _watched(slot, handler)
        try:
            response = await handler(request)
        except web.HTTPException as raised:
            await self.echo(request, raised)
            raise
        finally:
            if self._unsettled:
                self._unsettled = self._arrivals.end(snapshot)
        # One that has begun is left to the signal, which saw it before.
        if not getattr(response, "prepared", True):
            await self.echo(request, response)
        return response

    async def echo(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """
        Put the field that ``response_header`` names on a response; a signal, see `setup`.

        Args:
            request: What is answered.
            response: The answer.
        """
        try:
            snapshot = request.get(_KEY)
            if isinstance(snapshot, Snapshot) and snapshot.rules.echoes:
                echoed = self._arrivals.echoed(snapshot)
                if echoed is not None:
                    response.headers.setdefault(*echoed)
        except Exception:  # noqa: BLE001 - a strange response is the server's affair
            notices.fault("echoing a header")

    def _extract(self, request: web.Request) -> Snapshot:
        try:
            headers = [(name.lower(), value) for name, value in request.raw_headers]
            snapshot = request[_KEY] = from_asgi(headers, self._arrivals.rules.value)
            _at_end_of_task(functools.partial(setattr, snapshot, "ended", True))  # noqa: FBT003 - a value
        except Exception:  # noqa: BLE001 - the request must be served
            snapshot = self._arrivals.empty()
        return snapshot


def _watched(slot: Any, handler: Handler) -> Handler:  # noqa: ANN401 - of OpenTelemetry's room
    _at_end_of_task(slot.end)

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as raised:
            slot.answered(raised.status)
            raise
        except BaseException as error:
            slot.failed(error)
            raise
        slot.answered(getattr(response, "status", None))
        return response

    return handle


def _at_end_of_task(end: Callable[[], None]) -> None:
    cast("asyncio.Task[object]", asyncio.current_task()).add_done_callback(lambda _: end())


middleware = Middleware()
"""The middleware, with the settings of the process."""


def setup(
    app: web.Application, *, settings: Settings | None = None, **options: Unpack[Options]
) -> None:
    """
    Put the middleware around an application, and the echoed header on all of its responses.

    A response that a handler begins itself, such as a stream or a websocket, has left when a
    middleware sees it: ``response_header`` needs the signal that is connected here.

    Args:
        app: The application, before it is run.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: *app* is no ``web.Application``.

    >>> app = web.Application()
    >>> setup(app, response_header="x-request-id")
    """
    if not isinstance(app, web.Application):
        raise TypeError(f"setup needs an aiohttp.web.Application, not {type(app).__name__}")
    outermost = Middleware(settings=settings, **options)
    app.middlewares.insert(0, outermost)
    app.on_response_prepare.append(outermost.echo)

"""
The middleware for Django, under WSGI, under ASGI and under a mix of both.

    MIDDLEWARE = ["meshtrace.inbound.django.Middleware", ...]           # first: the outermost
    MESHTRACE = {"forward": "end-user", "mesh_hosts": ".prod"}          # optional
"""

import functools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from types import coroutine
from typing import Any, TypeVar, Unpack

from meshtrace.extras import needed

with needed("django"):
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django import conf
    from django.core.exceptions import MiddlewareNotUsed
    from django.core.signals import got_request_exception, setting_changed
    from django.http import HttpRequest, HttpResponseBase

from meshtrace import notices
from meshtrace.ambient import CURRENT, Stepwise, leave
from meshtrace.arrival import DJANGO, Arrivals, refuse_mistakes
from meshtrace.configuration import configure
from meshtrace.errors import ConfigurationError
from meshtrace.relay.extract import ENVIRON_KEY, SCOPE_KEY, from_environ
from meshtrace.relay.snapshot import Snapshot
from meshtrace.replacing import subclass
from meshtrace.settings import Options, Settings

__all__ = ["Middleware"]

T = TypeVar("T")

GetResponse = Callable[[HttpRequest], Any]


class Middleware:
    """
    Keeps the trace headers of each request at hand for the calls made while it is served.

    The context is set at the start of every request, even one without headers, and undone at its
    end. A streamed body runs in it, too. What happens around the middlewares does not: the signal
    ``request_finished`` (but for streamed bodies), and the handlers of the log records that Django
    writes of a 404 or a 403; in these, `meshtrace.logs` finds the ids by the request that they
    name. To have it all, wrap Django's application in `meshtrace.MeshTraceWSGI` or
    `meshtrace.MeshTrace`, beside this middleware or in its place. A snapshot stays in the request,
    so that ``meshtrace.use(request)`` finds it.

    The Django setting ``MESHTRACE``, a dict of the same options, goes to `meshtrace.configure`.

    Args:
        get_response: What Django gives.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Raises:
        ConfigurationError: An option, or the setting ``MESHTRACE``, is not valid.
        MiddlewareNotUsed: ``MESHTRACE_DISABLED`` is set; Django goes on without.
        TypeError: *get_response* is no such thing, but a WSGI or an ASGI application.

    >>> MIDDLEWARE = ["meshtrace.inbound.django.Middleware"]  # in settings.py
    >>> MESHTRACE = {"forward": "end-user"}
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self,
        get_response: GetResponse,
        *,
        settings: Settings | None = None,
        **options: Unpack[Options],
    ) -> None:
        refuse_mistakes("Middleware", get_response, DJANGO)
        _configure(getattr(conf.settings, "MESHTRACE", None))
        self._arrivals = Arrivals(settings, options)
        if self._arrivals.off:
            raise MiddlewareNotUsed("MESHTRACE_DISABLED is set")
        self.get_response = get_response
        self._unsettled = True
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request; give an awaitable if ``get_response`` does."""
        if self._is_async:
            return self._serve(request)
        snapshot, arrived = self._snapshot(request)
        if CURRENT.get() is snapshot:
            # Nested: the outer one has done it.
            _tell_of_django(snapshot, request)
            return self.get_response(request)
        with self._inside(snapshot, request, arrived=arrived) as finished:
            return finished(self.get_response(request))

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        snapshot, arrived = self._snapshot(request)
        if CURRENT.get() is snapshot:
            _tell_of_django(snapshot, request)
            return await self.get_response(request)
        with self._inside(snapshot, request, arrived=arrived) as finished:
            return finished(await self.get_response(request))

    def _snapshot(self, request: HttpRequest) -> tuple[Snapshot, bool]:
        arrived = True
        try:
            # Where a middleware around Django leaves it: in the environ, which is META, or in the
            # scope. There `use(request)` looks.
            scope = getattr(request, "scope", None)
            carrier, key = (request.META, ENVIRON_KEY) if scope is None else (scope, SCOPE_KEY)
            snapshot = carrier.get(key)
            # What is served once more is a new request.
            arrived = (
                not isinstance(snapshot, Snapshot)
                or snapshot.ended
                or self._arrivals.outranks(snapshot)
            )
            if arrived:
                rules = self._arrivals.rules.value
                snapshot = carrier[key] = from_environ(request.META, rules)
        except Exception:  # noqa: BLE001 - the request must be served
            snapshot = self._arrivals.empty()
        return snapshot, arrived

    @contextmanager
    def _inside(
        self, snapshot: Snapshot, request: HttpRequest, *, arrived: bool
    ) -> Iterator[Callable[[HttpResponseBase], HttpResponseBase]]:
        # What arrived here ends here, or when its body does.
        ends = arrived
        streams = False

        def finished(response: HttpResponseBase) -> HttpResponseBase:
            nonlocal ends, streams
            try:
                if slot is not None:
                    slot.answered(response.status_code)
                echoed = self._arrivals.echoed(snapshot) if snapshot.rules.echoes else None
                if echoed is not None:
                    response.headers.setdefault(*echoed)
                # A file is left to the server, which may have a fast path for it.
                if response.streaming and getattr(response, "file_to_stream", None) is None:
                    inside = CURRENT.get()
                    steps = Stepwise(inside) if slot is None else slot.steps(inside)
                    _stream(response, steps, snapshot if ends else None)
                    ends = False
                    streams = True
            except Exception:  # noqa: BLE001 - a strange response is the application's affair
                notices.fault("finishing a response of Django")
            return response

        if self._unsettled:
            self._arrivals.begin()
        token = CURRENT.set(snapshot)
        slot = self._arrivals.join(snapshot, "django", request) if snapshot.rules.joins else None
        try:
            yield finished
        finally:
            leave(token)
            if slot is not None:
                slot.leave(end=not streams)
            if ends:
                snapshot.ended = True
            if self._unsettled:
                self._unsettled = self._arrivals.end(snapshot)


def _tell_of_django(snapshot: Snapshot, request: HttpRequest) -> None:
    """Let the span of a middleware around Django have what Django knows."""
    serving = getattr(snapshot, "serving", None)
    if serving is not None:
        serving.known_as("django", request)


def _failed(*, request: HttpRequest | None = None, **_: object) -> None:
    """Note what came out of a view, of which Django makes a response."""
    scope = getattr(request, "scope", None)
    carrier = getattr(request, "META", {}) if scope is None else scope
    snapshot = carrier.get(ENVIRON_KEY if scope is None else SCOPE_KEY)
    serving, error = getattr(snapshot, "serving", None), sys.exception()
    if serving is not None and error is not None:
        serving.failed(error)


got_request_exception.connect(_failed)


class _Streamed:
    """A response that is streamed, and closed, in its request's context; mixed into its class."""

    meshtrace_steps: Stepwise
    meshtrace_ending: Snapshot | None

    def close(self) -> None:
        """Close the response, with which its request ends."""
        try:
            self.meshtrace_steps.run(super().close)  # type: ignore[misc]  # Django's
            # Let go of an asynchronous body now, so that it ends in its own context: collected with
            # the response it would end in whichever context is current then.
            if self.is_async:  # type: ignore[attr-defined]  # Django's
                self.streaming_content = ()
        finally:
            if self.meshtrace_ending is not None:
                self.meshtrace_ending.ended = True
            self.meshtrace_steps.end()


@functools.cache
def _streamed(kind: Any) -> type[_Streamed]:  # noqa: ANN401 - mypy: no Hashable
    made: type[_Streamed] = subclass(kind, _Streamed, kind)
    return made


def _stream(response: Any, steps: Stepwise, ending: Snapshot | None) -> None:  # noqa: ANN401 - Django has no types
    response.meshtrace_steps = steps
    response.meshtrace_ending = ending
    if not isinstance(response, _Streamed):
        # Of another class, as an attribute that closes would hold the response in a circle.
        kind: Any = type(response)
        response.__class__ = _streamed(kind)
    content = response.streaming_content
    if response.is_async:
        response.streaming_content = _parts(content, steps)
    else:
        response.streaming_content = iter(lambda: steps.run(next, content, None), None)


async def _parts(content: AsyncGenerator[bytes], steps: Stepwise) -> AsyncGenerator[bytes]:
    try:
        while (part := await _driven(anext(content, None), steps)) is not None:
            yield part
    finally:
        # With it goes the body's own generator: the event loop closes it in the context in which
        # it is let go.
        await _driven(content.aclose(), steps)


@coroutine
def _driven(awaitable: Awaitable[T], steps: Stepwise) -> Generator[Any, Any, T]:
    """Await something in steps, between which the outside has its own context."""
    waiting: Any = awaitable.__await__()
    step = functools.partial(waiting.send, None)
    while True:
        try:
            awaited = steps.run(step)
        except StopIteration as stop:
            result: T = stop.value
            return result
        try:
            step = functools.partial(waiting.send, (yield awaited))
        except BaseException as error:  # noqa: BLE001 - a cancellation is the body's to handle
            step = functools.partial(waiting.throw, error)


def _configure(given: object) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"MESHTRACE={given!r}: not a dict of settings")
    try:
        configure(**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"MESHTRACE: {error}") from None


def _settings_changed(*, setting: str, value: object, **_: object) -> None:
    """Follow ``override_settings``, which tests use."""
    if setting == "MESHTRACE":
        _configure({} if value is None else value)


setting_changed.connect(_settings_changed)

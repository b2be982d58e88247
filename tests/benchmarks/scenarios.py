"""What is timed: ASGI and WSGI, each inbound only and with one request sent from the endpoint."""

from __future__ import annotations

from inspect import iscoroutinefunction
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, cast

from tests.benchmarks.nowhere import StubAdapter, WritingAdapter
from tests.benchmarks.outbound import (
    Aiohttp,
    Clients,
    Httpx,
    Outbound,
    Requests,
    Urllib3,
    finish,
)
from tests.benchmarks.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Making = Callable[["Variant", Traffic], Outbound]


class Variant(Clients, Protocol):
    """What each module in `tests.benchmarks.variants` offers."""

    def install(self) -> None:
        """Set up what is set up once in a process."""

    def asgi(self, app: ASGIApp) -> ASGIApp:
        """Put the variant's middleware around *app*."""

    def wsgi(self, app: WSGIApplication) -> WSGIApplication:
        """Put the variant's middleware around *app*."""


class Scenario(Protocol):
    """A server that is hardly there: it makes requests untimed, and serves them timed."""

    outbound: Outbound | None

    def prepare(self, number: int) -> list[dict[str, Any]]:
        """Make *number* requests, as the server's parser would have left them."""

    def serve(self, arrivals: Iterable[dict[str, Any]]) -> None:
        """Run the application on each of them to its end."""

    def head(self, arrival: dict[str, Any]) -> dict[str, str]:
        """Give back the headers that *arrival* brought."""


class ASGIScenario:
    """Runs a batch of requests one after the other, as one coroutine."""

    def __init__(self, variant: Variant, outbound: Making | None = None) -> None:
        """Build the application and put *variant* around it."""
        traffic = Traffic()
        self.outbound = outbound(variant, traffic) if outbound else None
        self._scopes = traffic.scopes()
        app = variant.asgi(_asgi_endpoint(self.outbound))
        self._app = cast("Callable[..., Coroutine[Any, Any, None]]", app)

    def prepare(self, number: int) -> list[dict[str, Any]]:
        """Make *number* scopes, and the requests that will be sent while they are served."""
        if self.outbound:
            self.outbound.prepare(number)
        return list(islice(self._scopes, number))

    def serve(self, arrivals: Iterable[dict[str, Any]]) -> None:
        """Run the application on each of them to its end."""
        run = self.outbound.run if self.outbound else finish
        run(self._serve(arrivals))

    def head(self, arrival: dict[str, Any]) -> dict[str, str]:
        """Give back the headers that *arrival* brought."""
        return {name.decode(): value.decode() for name, value in arrival["headers"]}

    async def _serve(self, arrivals: Iterable[dict[str, Any]]) -> None:
        app = self._app
        for scope in arrivals:
            await app(scope, _receive, _send)


class WSGIScenario:
    """Calls, iterates and closes, as PEP 3333 tells a server to."""

    def __init__(self, variant: Variant, outbound: Making | None = None) -> None:
        """Build the application and put *variant* around it."""
        traffic = Traffic()
        self.outbound = outbound(variant, traffic) if outbound else None
        self._environs = traffic.environs()
        self._app = variant.wsgi(_wsgi_endpoint(self.outbound))

    def prepare(self, number: int) -> list[dict[str, Any]]:
        """Make *number* environs, and the requests that will be sent while they are served."""
        if self.outbound:
            self.outbound.prepare(number)
        return list(islice(self._environs, number))

    def serve(self, arrivals: Iterable[dict[str, Any]]) -> None:
        """Run the application on each of them to its end."""
        app = self._app
        for environ in arrivals:
            body = app(environ, _start_response)
            for _ in body:
                pass
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def head(self, arrival: dict[str, Any]) -> dict[str, str]:
        """Give back the headers that *arrival* brought."""
        return {
            key.removeprefix("HTTP_").replace("_", "-").lower(): value
            for key, value in arrival.items()
            if key.startswith("HTTP_")
        }


def scenarios(variant: Variant) -> dict[str, Scenario]:
    """Build them all, by name."""
    return {
        "asgi-inbound": ASGIScenario(variant),
        "asgi-sent": ASGIScenario(variant, _stubbed),
        "asgi-written": ASGIScenario(variant, _written),
        "asgi-httpx": ASGIScenario(variant, Httpx),
        "asgi-aiohttp": ASGIScenario(variant, Aiohttp),
        "wsgi-inbound": WSGIScenario(variant),
        "wsgi-sent": WSGIScenario(variant, _stubbed),
        "wsgi-written": WSGIScenario(variant, _written),
        "wsgi-urllib3": WSGIScenario(variant, Urllib3),
    }


def _stubbed(variant: Variant, traffic: Traffic) -> Outbound:
    return Requests(variant, traffic, StubAdapter())


def _written(variant: Variant, traffic: Traffic) -> Outbound:
    return Requests(variant, traffic, WritingAdapter())


def _asgi_endpoint(outbound: Outbound | None) -> ASGIApp:
    async def inbound_only(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    if outbound is None:
        return inbound_only

    send_on = outbound.send
    if iscoroutinefunction(send_on):

        async def awaiting(scope: Scope, receive: Receive, send: Send) -> None:
            await send_on()
            await inbound_only(scope, receive, send)

        return awaiting

    async def sending(scope: Scope, receive: Receive, send: Send) -> None:
        send_on()
        await inbound_only(scope, receive, send)

    return sending


def _wsgi_endpoint(outbound: Outbound | None) -> WSGIApplication:
    def inbound_only(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [b"ok"]

    if outbound is None:
        return inbound_only

    def sending(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        outbound.send()
        return inbound_only(environ, start_response)

    return sending


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Message) -> None:
    pass


def _start_response(
    _status: str, _headers: list[tuple[str, str]], _exc_info: object = None, /
) -> Callable[[bytes], object]:
    return _write


def _write(_data: bytes) -> object:
    return None

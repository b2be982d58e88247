"""One request sent from an endpoint: with each client, and nothing below it."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import aiohttp

from tests.benchmarks.nowhere import HOST, PORT, StubConnection, StubLoop, StubTransport

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    import httpx
    import requests
    import urllib3

    from tests.benchmarks.nowhere import StubAdapter
    from tests.benchmarks.traffic import Traffic

T = TypeVar("T")


class Clients(Protocol):
    """What makes the clients of one variant."""

    def session(self) -> requests.Session:
        """Make a session of requests."""

    def httpx_client(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        """Make a client of httpx on *transport*."""

    def aiohttp_session(self, connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
        """Make a session of aiohttp on *connector*."""

    def pool_manager(self) -> urllib3.PoolManager:
        """Make a pool manager of urllib3."""

    def headers(self) -> dict[str, str] | None:
        """Give what each call of aiohttp and urllib3 gets as its ``headers=``."""


class Outbound(Protocol):
    """What an endpoint sends with, and the requests that wait to be sent."""

    def prepare(self, number: int) -> None:
        """Make requests for so many runs of the endpoint."""

    def send(self) -> Coroutine[Any, Any, None] | None:
        """Send the next one; an asynchronous client's is to be awaited."""

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* to its end, in what the client needs around it."""

    def sent(self) -> Mapping[str, str]:
        """Give the headers that went last, names in lower case."""

    def close(self) -> None:
        """Close the client."""


class Requests:
    """Prepared requests, sent by a session."""

    def __init__(self, clients: Clients, traffic: Traffic, adapter: StubAdapter) -> None:
        """Make the variant's session, with no network below it."""
        self._adapter = adapter
        self._session = clients.session()
        self._session.mount("http://", adapter)
        # Looking for proxies in the environment would cost more than all that is compared here.
        self._session.trust_env = False
        self._waiting: deque[requests.PreparedRequest] = deque()
        self._calls = traffic.calls()

    def prepare(self, number: int) -> None:
        """Make requests for so many runs of the endpoint."""
        self._waiting.extend(islice(self._calls, number))

    def send(self) -> None:
        """Send the next one."""
        self._session.send(self._waiting.popleft())

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine*, which waits for nothing."""
        finish(coroutine)

    def sent(self) -> Mapping[str, str]:
        """Give the headers that went last."""
        return {name.lower(): value for name, value in self._adapter.last.headers.items()}

    def close(self) -> None:
        """Close the session."""
        self._session.close()


class Httpx:
    """Requests built beforehand, sent by an asynchronous client."""

    def __init__(self, clients: Clients, traffic: Traffic) -> None:
        """Make the variant's client, with no network below it."""
        self._transport = StubTransport()
        self._client = clients.httpx_client(self._transport)
        self._waiting: deque[httpx.Request] = deque()
        self._urls = traffic.urls()

    def prepare(self, number: int) -> None:
        """Make requests for so many runs of the endpoint."""
        for url in islice(self._urls, number):
            self._waiting.append(self._client.build_request("GET", url))

    async def send(self) -> None:
        """Send the next one."""
        await self._client.send(self._waiting.popleft())

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine*, which waits for nothing."""
        finish(coroutine)

    def sent(self) -> Mapping[str, str]:
        """Give the headers that went last."""
        return _parsed(self._transport.written)

    def close(self) -> None:
        """Close the client."""
        finish(self._client.aclose())


class Aiohttp:
    """URLs, got by a session in an event loop."""

    def __init__(self, clients: Clients, traffic: Traffic) -> None:
        """Make the variant's session, with no network below it."""

        async def session() -> aiohttp.ClientSession:
            return clients.aiohttp_session(aiohttp.UnixConnector("nowhere"))

        self._loop = StubLoop()
        self._session = self._loop.run_until_complete(session())
        self._headers = clients.headers
        self._waiting: deque[str] = deque()
        self._urls = traffic.urls()

    def prepare(self, number: int) -> None:
        """Make URLs for so many runs of the endpoint."""
        self._waiting.extend(islice(self._urls, number))

    async def send(self) -> None:
        """Get the next one."""
        async with self._session.get(self._waiting.popleft(), headers=self._headers()):
            pass

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* in the event loop."""
        self._loop.run_until_complete(coroutine)

    def sent(self) -> Mapping[str, str]:
        """Give the headers that went last."""
        return _parsed(self._loop.written)

    def close(self) -> None:
        """Close the session, and the loop."""
        self._loop.run_until_complete(self._session.close())
        self._loop.close()


class Urllib3:
    """URLs, got by a pool manager."""

    def __init__(self, clients: Clients, traffic: Traffic) -> None:
        """Make the variant's manager, with no network below it."""
        self._manager = clients.pool_manager()
        self._manager.connection_from_host(HOST, PORT).ConnectionCls = StubConnection
        self._headers = clients.headers
        self._waiting: deque[str] = deque()
        self._urls = traffic.urls()

    def prepare(self, number: int) -> None:
        """Make URLs for so many runs of the endpoint."""
        self._waiting.extend(islice(self._urls, number))

    def send(self) -> None:
        """Get the next one."""
        self._manager.request("GET", self._waiting.popleft(), headers=self._headers())

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine*, which waits for nothing."""
        finish(coroutine)

    def sent(self) -> Mapping[str, str]:
        """Give the headers that went last."""
        return _parsed(StubConnection.written)

    def close(self) -> None:
        """Close the pools."""
        self._manager.clear()


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine by hand: no event loop to be measured beside what matters."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("the endpoint waits for nothing, so neither may what is around it")


def _parsed(head: bytes) -> dict[str, str]:
    _, *lines = head.decode("latin-1").rstrip().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return {name.lower(): value for name, _, value in pairs}

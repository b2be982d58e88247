"""httpx and httpx2, which has its shape: their clients, blocking and awaited."""

from typing import Any, ClassVar

import httpx
import httpx2

from tests.outbound.driving import Ability, AsyncDriver, Headers, SyncDriver

__all__ = ["DRIVERS"]

ABILITIES = frozenset({Ability.REDIRECTS, Ability.REQUEST_OBJECTS, Ability.RETRIES_CONNECTING})

TIMEOUT = 60
"""In seconds: a machine that does much else at the same time is slow."""


def _header_types(library: Any) -> dict[str, Any]:  # noqa: ANN401 - one of two libraries
    return {
        "a dict": dict,
        "a list": lambda given: list(given.items()),
        "the library's own": library.Headers,
        "a dict of bytes": lambda given: {n.encode(): value.encode() for n, value in given.items()},
        "a list of bytes": lambda given: [(n.encode(), v.encode()) for n, v in given.items()],
    }


class Blocking(SyncDriver):
    """Calls of a `Client`."""

    name = "httpx"
    way = "blocking"
    abilities = ABILITIES
    header_types: ClassVar = _header_types(httpx)
    library: ClassVar[Any] = httpx

    def client(self) -> Any:  # noqa: ANN401 - of one of two libraries
        """Make a client that follows redirects."""
        transport = self.library.HTTPTransport(retries=self.retries) if self.retries else None
        # httpcore closes connections that are too many, even where another thread is about to use
        # one (encode/httpcore#1110), and the call fails: none are too many.
        limits = self.library.Limits(keepalive_expiry=None)
        client = self.library.Client(
            follow_redirects=True, transport=transport, timeout=TIMEOUT, limits=limits
        )
        self.closing.callback(client.close)
        return client

    def call(
        self,
        client: Any,  # noqa: ANN401 - of one of two libraries
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever httpx takes
    ) -> int:
        """Call."""
        status: int = client.request(method, url, headers=headers).status_code
        return status

    def request(self, client: Any, url: str, headers: Headers) -> Any:  # noqa: ANN401 - of one of two libraries
        """Build a request."""
        return client.build_request("GET", url, headers=headers)

    def send(self, client: Any, request: Any) -> int:  # noqa: ANN401 - of one of two libraries
        """Send a request."""
        status: int = client.send(request).status_code
        return status


class Awaited(AsyncDriver):
    """Calls of an `AsyncClient`."""

    name = "httpx"
    way = "on asyncio"
    abilities = ABILITIES
    header_types: ClassVar = _header_types(httpx)
    library: ClassVar[Any] = httpx

    def __init__(self) -> None:
        self._clients: list[Any] = []

    async def open(self) -> Any:  # noqa: ANN401 - of one of two libraries
        """Make a client that follows redirects."""
        transport = self.library.AsyncHTTPTransport(retries=self.retries) if self.retries else None
        client = self.library.AsyncClient(
            follow_redirects=True, transport=transport, timeout=TIMEOUT
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            await client.aclose()

    async def acall(self, client: Any, url: str, method: str, headers: Any) -> int:  # noqa: ANN401 - of one of two libraries
        """Call."""
        status: int = (await client.request(method, url, headers=headers)).status_code
        return status

    def request(self, client: Any, url: str, headers: Headers) -> Any:  # noqa: ANN401 - of one of two libraries
        """Build a request."""
        return client.build_request("GET", url, headers=headers)

    async def asend(self, client: Any, request: Any) -> int:  # noqa: ANN401 - of one of two libraries
        """Send a request."""
        status: int = (await client.send(request)).status_code
        return status


class AwaitedOnTrio(Awaited):
    """Calls of an `AsyncClient` in another event loop."""

    way = "on trio"
    backend = "trio"


class Blocking2(Blocking):
    """Calls of httpx2's `Client`."""

    name = "httpx2"
    header_types: ClassVar = _header_types(httpx2)
    library: ClassVar[Any] = httpx2


class Awaited2(Awaited):
    """Calls of httpx2's `AsyncClient`."""

    name = "httpx2"
    header_types: ClassVar = _header_types(httpx2)
    library: ClassVar[Any] = httpx2


class AwaitedOnTrio2(Awaited2):
    """Calls of httpx2's `AsyncClient` in another event loop."""

    way = "on trio"
    backend = "trio"


DRIVERS = (Blocking, Awaited, AwaitedOnTrio, Blocking2, Awaited2, AwaitedOnTrio2)

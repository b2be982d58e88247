"""Uses httpx and httpx2 in one way for all: blocking, on asyncio, on trio."""

from collections.abc import Awaitable, Callable
from typing import Any

from anyio.from_thread import BlockingPortal

__all__ = ["Use"]


class Use:
    """
    One library, used in one way.

    Args:
        library: httpx or httpx2.
        portal: Leads to the event loop; None for clients that block.

    Attributes:
        library: As given.
        kind: The class of its clients.
    """

    def __init__(self, library: Any, portal: BlockingPortal | None) -> None:  # noqa: ANN401 - one of two libraries
        self.library = library
        self.kind = library.Client if portal is None else library.AsyncClient
        self._portal = portal
        self._clients: list[Any] = []

    @property
    def blocks(self) -> bool:
        """Whether the calls block."""
        return self._portal is None

    def client(self, kind: Any = None, **options: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        """Make a client, of a class of its own or of the library's."""
        client = (kind or self.kind)(**options)
        self._clients.append(client)
        return client

    def do(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call gives
        """Do what blocks, or await it."""
        return call() if self._portal is None else self._portal.call(_awaiting, call)

    def stream(self, client: Any, url: str) -> bytes:  # noqa: ANN401 - of one of two libraries
        """Stream an answer."""

        async def read() -> bytes:
            async with client.stream("GET", url) as response:
                return b"".join([chunk async for chunk in response.aiter_bytes()])

        if self._portal is not None:
            return self._portal.call(read)
        with client.stream("GET", url) as response:
            return b"".join(response.iter_bytes())

    def hook(self, hook: Callable[[Any], None]) -> Callable[[Any], Any]:
        """Give a hook as the client takes it."""

        async def awaited(given: Any) -> None:  # noqa: ANN401 - a request or a response
            hook(given)

        return hook if self.blocks else awaited

    def transport(self, answer: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - of one of two libraries
        """Give a transport of the application's own."""
        library = self.library

        class Blocking(library.BaseTransport):  # type: ignore[misc,name-defined]  # of one of two libraries
            def handle_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
                return answer(request)

        class Awaited(library.AsyncBaseTransport):  # type: ignore[misc,name-defined]  # of one of two libraries
            async def handle_async_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
                return answer(request)

        return Blocking() if self.blocks else Awaited()

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            self.do(client.close if self.blocks else client.aclose)


async def _awaiting(call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever the call gives
    return await call()

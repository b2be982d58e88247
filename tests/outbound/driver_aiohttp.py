"""aiohttp: its session, and the function that makes one for a call."""

from typing import Any, ClassVar

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from tests.outbound.driving import Ability, AsyncDriver

__all__ = ["DRIVERS"]


class Retry:
    """
    A client middleware that tries again, as aiohttp's documentation shows one.

    Args:
        times: How often, at most.
    """

    def __init__(self, times: int) -> None:
        self._times = times

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send the same request until it is answered well."""
        for _ in range(self._times):
            try:
                response = await handler(request)
            except aiohttp.ClientConnectionError:
                continue
            if response.status != 503:
                return response
            response.release()
        return await handler(request)


class Awaited(AsyncDriver):
    """Calls of a session."""

    name = "aiohttp"
    abilities = frozenset(
        {
            Ability.REDIRECTS,
            Ability.RETRIES_AFTER_503,
            Ability.RETRIES_AFTER_LOSS,
            Ability.RETRIES_CONNECTING,
        }
    )
    header_types: ClassVar = {
        "a dict": dict,
        "a list": lambda given: list(given.items()),
        "the library's own": CIMultiDict,
        "the library's own, read only": lambda given: CIMultiDictProxy(CIMultiDict(given)),
    }

    def __init__(self) -> None:
        self._sessions: list[aiohttp.ClientSession] = []

    async def open(self) -> aiohttp.ClientSession:
        """Make a session."""
        retry = [Retry(self.retries)] if self.retries else []
        connector = aiohttp.TCPConnector(use_dns_cache=False)
        session = aiohttp.ClientSession(connector=connector, middlewares=retry)
        self._sessions.append(session)
        return session

    async def close(self) -> None:
        """Close the sessions."""
        for session in self._sessions:
            await session.close()

    async def acall(self, client: Any, url: str, method: str, headers: Any) -> int:  # noqa: ANN401 - as in every driver
        """Call."""
        async with client.request(method, url, headers=headers) as response:
            await response.read()
            status: int = response.status
            return status


DRIVERS = (Awaited,)

"""urllib3: a manager, a pool for each host, and what others build on them."""

import functools
from contextlib import ExitStack
from typing import Any, ClassVar
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, HTTPResponse, PoolManager
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.driver_requests import Sessions
from tests.outbound.driving import Ability, Driver, Several, SeveralDriver, SyncDriver

__all__ = ["DRIVERS"]

RETRIES = frozenset(
    {
        Ability.RETRIES_AFTER_503,
        Ability.RETRIES_AFTER_LOSS,
        Ability.RETRIES_CONNECTING,
    }
)


class _Urllib3(SyncDriver):
    """What the drivers have in common."""

    name = "urllib3"

    def retry(self) -> Retry:
        """Say how often to try again."""
        return Retry(
            total=None,
            connect=self.retries,
            read=self.retries,
            status=self.retries,
            redirect=9,
            status_forcelist=[503],
            backoff_factor=0,
        )


class Managers(_Urllib3):
    """Calls of a `PoolManager`."""

    way = "a manager"
    abilities = RETRIES | {Ability.REDIRECTS}
    header_types: ClassVar = {
        "a dict": dict,
        "the library's own": type(HTTPResponse().headers),
        "names in bytes": lambda given: {name.encode(): value for name, value in given.items()},
    }

    def client(self) -> PoolManager:
        """Make a manager."""
        manager = PoolManager(maxsize=32, retries=self.retry())
        self.closing.callback(manager.clear)
        return manager

    def call(
        self,
        client: Any,  # noqa: ANN401 - as in every driver
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever urllib3 takes
    ) -> int:
        """Call."""
        status: int = client.request(method, url, headers=headers).status
        return status


class _Pools(Several):
    """A pool for each host that is called."""

    def __init__(self, closing: ExitStack, retry: Retry) -> None:
        make = functools.partial(HTTPConnectionPool, maxsize=32, retries=retry)
        super().__init__(closing, make)
        self._pools: dict[str, HTTPConnectionPool] = {}

    def to(self, host: str, port: int | None) -> HTTPConnectionPool:
        """Give the pool of a host."""
        if host not in self._pools:
            self._pools[host] = self.one(host, port)
        return self._pools[host]


class Pools(_Urllib3, SeveralDriver):
    """Calls of an `HTTPConnectionPool`."""

    way = "a pool"
    abilities = RETRIES
    header_types: ClassVar = {"a dict": dict, "the library's own": type(HTTPResponse().headers)}

    def client(self) -> Any:  # noqa: ANN401 - as in every driver
        """Make pools."""
        return _Pools(self.closing, self.retry())

    def call(
        self,
        client: Any,  # noqa: ANN401 - as in every driver
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever urllib3 takes
    ) -> int:
        """Call."""
        parts = urlsplit(url)
        pool = client.to(parts.hostname, parts.port)
        status: int = pool.request(method, parts.path, headers=headers).status
        return status


class UnderRequests(Sessions):
    """Calls of sessions of requests, which itself is left as it is."""

    name = "urllib3"
    way = "under requests"
    abilities = RETRIES | {Ability.REQUEST_OBJECTS}
    header_types: ClassVar = {"a dict": dict}

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - as in every driver
        """Wrap the manager of a session."""
        manager = client.get_adapter("http://").poolmanager
        assert manager is meshtrace.wrap(manager, **options)
        return client


DRIVERS: tuple[type[Driver], ...] = (Managers, Pools, UnderRequests)

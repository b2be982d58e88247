"""urllib3: a manager, a pool for each host, and what others build on them."""

from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, PoolManager
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.driving import Ability, Driver, SyncDriver

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

    def __init__(self) -> None:
        self.managers: list[PoolManager] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the managers."""
        for manager in self.managers:
            manager.clear()

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
        self.managers.append(manager)
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


class _Pools:
    """A pool for each host that is called, all of them wrapped or none."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self.wrap: dict[str, Any] | None = None
        self.pools: dict[str, HTTPConnectionPool] = {}

    def to(self, host: str, port: int | None) -> HTTPConnectionPool:
        """Give the pool of a host."""
        if host not in self.pools:
            pool = HTTPConnectionPool(host, port, maxsize=32, retries=self._retry)
            self.pools[host] = pool if self.wrap is None else meshtrace.wrap(pool, **self.wrap)
        return self.pools[host]


class Pools(_Urllib3):
    """Calls of an `HTTPConnectionPool`."""

    way = "a pool"
    abilities = RETRIES
    header_types: ClassVar = {"a dict": dict, "the library's own": type(HTTPResponse().headers)}

    def __init__(self) -> None:
        super().__init__()
        self._pools: list[_Pools] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the pools."""
        for pools in self._pools:
            for pool in pools.pools.values():
                pool.close()

    def client(self) -> Any:  # noqa: ANN401 - as in every driver
        """Make pools."""
        self._pools.append(_Pools(self.retry()))
        return self._pools[-1]

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - as in every driver
        """Have each pool wrapped."""
        client.wrap = options
        for pool in client.pools.values():
            assert pool is meshtrace.wrap(pool, **options)
        return client

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


class UnderRequests(_Urllib3):
    """Calls of sessions of requests, which itself is left as it is."""

    way = "under requests"
    abilities = RETRIES | {Ability.REQUEST_OBJECTS}

    def __init__(self) -> None:
        super().__init__()
        self._sessions: list[requests.Session] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the sessions."""
        for session in self._sessions:
            session.close()

    def client(self) -> requests.Session:
        """Make a session."""
        session = requests.Session()
        session.mount("http://", HTTPAdapter(pool_maxsize=32, max_retries=self.retry()))
        self._sessions.append(session)
        return session

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - as in every driver
        """Wrap the manager of a session."""
        manager = client.get_adapter("http://").poolmanager
        assert manager is meshtrace.wrap(manager, **options)
        return client

    def call(
        self,
        client: Any,  # noqa: ANN401 - as in every driver
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever requests takes
    ) -> int:
        """Call."""
        status: int = client.request(method, url, headers=headers).status_code
        return status

    def request(self, client: Any, url: str, headers: Any) -> Any:  # noqa: ANN401 - as in every driver
        """Prepare a request."""
        return client.prepare_request(requests.Request("GET", url, headers=dict(headers)))

    def send(self, client: Any, request: Any) -> int:  # noqa: ANN401 - as in every driver
        """Send a prepared request."""
        status: int = client.send(request).status_code
        return status


DRIVERS: tuple[type[Driver], ...] = (Managers, Pools, UnderRequests)

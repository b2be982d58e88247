"""How the contract suite uses a client library: through a driver, one for each way of using it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from enum import Enum, auto
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

import meshtrace

__all__ = [
    "Ability",
    "AsyncDriver",
    "Call",
    "Driver",
    "Headers",
    "Several",
    "SeveralDriver",
    "SyncDriver",
]

Headers = Mapping[str, str]
Call = tuple[str, Headers]
"""Where a call goes, and what the request brought for which it is made."""


class Ability(Enum):
    """What some libraries do by themselves, and others do not."""

    REDIRECTS = auto()
    """Follows redirects."""
    REQUEST_OBJECTS = auto()
    """Sends a request that the caller has made, as often as the caller likes."""
    RETRIES_AFTER_503 = auto()
    """Sends again what was answered with 503, when told so."""
    RETRIES_AFTER_LOSS = auto()
    """Sends again where the connection was closed without an answer, when told so."""
    RETRIES_CONNECTING = auto()
    """Connects again where that was refused, when told so."""


class Driver(ABC):
    """
    Uses one client library in one way, as an application does.

    Clients are made by the driver, and closed with it. A call goes to the name in its URL, which
    leads to the recorder; it carries what is current in the thread that asks for it.

    Attributes:
        name: What `meshtrace.patch` takes.
        way: What distinguishes it from the library's other drivers; empty for the only one.
        abilities: What of the suite applies.
        header_types: How the library takes headers, in words, and how to make them from a dict.
        retries: How often the clients that are made from now on try again, if the library can.
    """

    name: ClassVar[str]
    way: ClassVar[str] = ""
    abilities: ClassVar[frozenset[Ability]] = frozenset()
    header_types: ClassVar[Mapping[str, Callable[[Mapping[str, str]], Any]]] = {"a dict": dict}
    retries = 0

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all clients that were made."""

    @abstractmethod
    def client(self) -> Any:  # noqa: ANN401 - each library has its own
        """Make a client as the library has it; it follows redirects, if it can."""

    def wrapped(self, **options: Any) -> Any:  # noqa: ANN401 - each library has its own
        """Make a client that is wrapped."""
        return self.wrap(self.client(), **options)

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - each library has its own
        """Wrap a client."""
        return meshtrace.wrap(client, **options)

    @abstractmethod
    def call(
        self,
        client: Any,  # noqa: ANN401 - each library has its own
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - each library has its own
    ) -> int:
        """Make a call, read its answer whole, and give the status."""

    def request(self, client: Any, url: str, headers: Headers) -> Any:  # noqa: ANN401 - each library has its own
        """Make a request that can be sent several times."""
        raise NotImplementedError

    def send(self, client: Any, request: Any) -> int:  # noqa: ANN401 - each library has its own
        """Send such a request, read its answer whole, and give the status."""
        raise NotImplementedError

    def set_header(self, request: Any, name: str, value: str) -> None:  # noqa: ANN401 - each library has its own
        """Set a header of such a request."""
        request.headers[name] = value

    @abstractmethod
    def burst(self, client: Any, calls: Sequence[Call], at_once: int) -> None:  # noqa: ANN401 - each library has its own
        """Make calls, each for a request of its own, so many of them at once."""


class SyncDriver(Driver):
    """
    Uses a library whose calls block.

    Attributes:
        closing: What closes the clients.
    """

    def __init__(self) -> None:
        self.closing = ExitStack()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all clients that were made."""
        self.closing.close()

    def burst(self, client: Any, calls: Sequence[Call], at_once: int) -> None:  # noqa: ANN401 - each library has its own
        """Make the calls in threads."""

        def call(one: Call) -> None:
            url, brought = one
            with meshtrace.use(brought):
                assert 200 == self.call(client, url)

        with ThreadPoolExecutor(at_once) as pool:
            for _ in pool.map(call, calls):
                pass


class Several:
    """
    What is one client to the suite where a library has one for each host, or for each call.

    Args:
        closing: What closes them.
        make: Makes one for a host and a port.
    """

    def __init__(self, closing: ExitStack, make: Callable[[str, int | None], Any]) -> None:
        self._closing = closing
        self._make = make
        self._options: dict[str, Any] | None = None
        self._made: list[Any] = []

    def one(self, host: str, port: int | None) -> Any:  # noqa: ANN401 - each library has its own
        """Make one, wrapped if all are."""
        one = self._make(host, port)
        self._closing.callback(one.close)
        self._made.append(one)
        if self._options is not None:
            assert one is meshtrace.wrap(one, **self._options)
        return one

    def wrap(self, **options: Any) -> None:  # noqa: ANN401 - each option has its own
        """Have each of them wrapped, also those that are made later."""
        self._options = options
        for one in self._made:
            assert one is meshtrace.wrap(one, **options)


class SeveralDriver(SyncDriver):
    """Uses a library by `Several`."""

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - each library has its own
        """Have each of them wrapped."""
        client.wrap(**options)
        return client


class AsyncDriver(Driver):
    """
    Uses a library whose calls are awaited, in an event loop that lives as long as the driver.

    A driver has coroutines in the place of the methods of `SyncDriver`: `open`, `acall` and, if it
    can, `asend`. What is current for the test is current in them.

    Attributes:
        backend: The event loop, as anyio calls it.
    """

    backend: ClassVar[str] = "asyncio"

    def __enter__(self) -> Self:
        self._portals = start_blocking_portal(self.backend)
        self._portal = self._portals.__enter__()
        return self

    _portals: AbstractContextManager[BlockingPortal]
    _portal: BlockingPortal

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the clients, and the loop."""
        self._portal.call(self.close)
        self._portals.__exit__(kind, error, traceback)

    @abstractmethod
    async def open(self) -> Any:  # noqa: ANN401 - each library has its own
        """Make a client as the library has it; it follows redirects, if it can."""

    @abstractmethod
    async def close(self) -> None:
        """Close all clients that were made."""

    @abstractmethod
    async def acall(self, client: Any, url: str, method: str, headers: Any) -> int:  # noqa: ANN401 - each library has its own
        """Make a call, read its answer whole, and give the status."""

    async def asend(self, client: Any, request: Any) -> int:  # noqa: ANN401 - each library has its own
        """Send a request that the caller has made, read its answer whole, and give the status."""
        raise NotImplementedError

    def client(self) -> Any:  # noqa: ANN401 - each library has its own
        """Make a client in the loop."""
        return self._portal.call(self.open)

    def call(
        self,
        client: Any,  # noqa: ANN401 - each library has its own
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - each library has its own
    ) -> int:
        """Make a call in the loop."""
        status: int = self._portal.call(self.acall, client, url, method, headers)
        return status

    def send(self, client: Any, request: Any) -> int:  # noqa: ANN401 - each library has its own
        """Send a request in the loop."""
        status: int = self._portal.call(self.asend, client, request)
        return status

    def burst(self, client: Any, calls: Sequence[Call], at_once: int) -> None:  # noqa: ANN401 - each library has its own
        """Make the calls in tasks."""
        waiting = iter(calls)

        async def work() -> None:
            for url, brought in waiting:
                with meshtrace.use(brought):
                    assert 200 == await self.acall(client, url, "GET", None)

        async def together() -> None:
            async with anyio.create_task_group() as group:
                for _ in range(at_once):
                    group.start_soon(work)

        self._portal.call(together)

"""http.client: connections that are used again, by ``request`` and by hand."""

from abc import abstractmethod
from email.message import Message
from http.client import HTTPConnection, HTTPMessage
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import meshtrace
from tests.outbound.driving import Driver, Headers, SyncDriver

__all__ = ["DRIVERS"]


def _as_message(given: Headers) -> Message:
    message = HTTPMessage()
    for name, value in given.items():
        message[name] = value
    return message


class _Connections:
    """The connections that wait to be used again, all of them wrapped or none."""

    def __init__(self) -> None:
        self.wrap: dict[str, Any] | None = None
        self._waiting: dict[str, list[HTTPConnection]] = {}
        self.made: list[HTTPConnection] = []

    def take(self, host: str, port: int | None) -> HTTPConnection:
        """Give a connection that nobody uses."""
        waiting = self._waiting.setdefault(host, [])
        try:
            connection = waiting.pop()
        except IndexError:
            connection = HTTPConnection(host, port)
            if self.wrap is not None:
                assert connection is meshtrace.wrap(connection, **self.wrap)
            self.made.append(connection)
        return connection

    def give_back(self, connection: HTTPConnection) -> None:
        """Let a connection wait for its next use."""
        self._waiting[connection.host].append(connection)

    def close(self) -> None:
        """Close all connections."""
        for connection in self.made:
            connection.close()


class _HttpClient(SyncDriver):
    """What the drivers have in common."""

    name = "http.client"

    def __init__(self) -> None:
        self._clients: list[_Connections] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    def client(self) -> Any:  # noqa: ANN401 - as in every driver
        """Make what gives connections."""
        self._clients.append(_Connections())
        return self._clients[-1]

    def wrap(self, client: Any, **options: Any) -> Any:  # noqa: ANN401 - as in every driver
        """Have each connection wrapped."""
        client.wrap = options
        for connection in client.made:
            assert connection is meshtrace.wrap(connection, **options)
        return client

    def call(
        self,
        client: Any,  # noqa: ANN401 - as in every driver
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever http.client takes
    ) -> int:
        """Call."""
        parts = urlsplit(url)
        connection = client.take(parts.hostname, parts.port)
        self.begin(connection, method, parts.path, headers)
        with connection.getresponse() as response:
            response.read()
            status: int = response.status
        client.give_back(connection)
        return status

    @abstractmethod
    def begin(self, connection: HTTPConnection, method: str, path: str, headers: Any) -> None:  # noqa: ANN401 - whatever http.client takes
        """Send a request."""


class ByRequest(_HttpClient):
    """Requests made by ``request``."""

    way = "by request"
    header_types: ClassVar = {
        "a dict": dict,
        "the library's own": _as_message,
        "a dict of bytes": lambda given: {n: value.encode() for n, value in given.items()},
    }

    def begin(self, connection: HTTPConnection, method: str, path: str, headers: Any) -> None:  # noqa: ANN401 - whatever http.client takes
        """Send a request."""
        connection.request(method, path, headers=headers or {})


class ByHand(_HttpClient):
    """Requests put together by hand."""

    way = "by hand"
    header_types: ClassVar = {
        "texts": dict,
        "bytes": lambda given: {n.encode(): value.encode() for n, value in given.items()},
    }

    def begin(self, connection: HTTPConnection, method: str, path: str, headers: Any) -> None:  # noqa: ANN401 - whatever http.client takes
        """Send a request."""
        connection.putrequest(method, path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()


DRIVERS: tuple[type[Driver], ...] = (ByRequest, ByHand)

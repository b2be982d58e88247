"""http.client: connections that are used again, by ``request`` and by hand."""

from abc import abstractmethod
from contextlib import ExitStack
from email.message import Message
from http.client import HTTPConnection, HTTPMessage
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.outbound.driving import Driver, Headers, Several, SeveralDriver

__all__ = ["DRIVERS"]


def _as_message(given: Headers) -> Message:
    message = HTTPMessage()
    for name, value in given.items():
        message[name] = value
    return message


class _Connections(Several):
    """The connections that wait to be used again."""

    def __init__(self, closing: ExitStack) -> None:
        super().__init__(closing, HTTPConnection)
        self._waiting: dict[str, list[HTTPConnection]] = {}

    def take(self, host: str, port: int | None) -> HTTPConnection:
        """Give a connection that nobody uses."""
        try:
            return self._waiting.setdefault(host, []).pop()
        except IndexError:
            connection: HTTPConnection = self.one(host, port)
            return connection

    def give_back(self, connection: HTTPConnection) -> None:
        """Let a connection wait for its next use."""
        self._waiting[connection.host].append(connection)


class _HttpClient(SeveralDriver):
    """What the drivers have in common."""

    name = "http.client"

    def client(self) -> Any:  # noqa: ANN401 - as in every driver
        """Make what gives connections."""
        return _Connections(self.closing)

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

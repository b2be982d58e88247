"""urllib.request: openers."""

import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.request import OpenerDirector, Request

from tests.outbound.driving import Ability, Headers, SyncDriver

__all__ = ["DRIVERS"]


class Openers(SyncDriver):
    """Calls of an opener."""

    name = "urllib"
    abilities = frozenset({Ability.REDIRECTS, Ability.REQUEST_OBJECTS})

    def client(self) -> OpenerDirector:
        """Make an opener."""
        return urllib.request.build_opener()

    def call(
        self,
        client: OpenerDirector,
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - as in every driver
    ) -> int:
        """Call."""
        return self.send(client, Request(url, headers=headers or {}, method=method))  # noqa: S310 - http

    def request(self, client: OpenerDirector, url: str, headers: Headers) -> Request:  # noqa: ARG002 - as in every driver
        """Make a request."""
        return Request(url, headers=dict(headers))  # noqa: S310 - http

    def send(self, client: OpenerDirector, request: Request) -> int:
        """Open a request."""
        try:
            with client.open(request) as response:
                response.read()
                status: int = response.status
        except HTTPError as error:
            with error:
                return error.code
        return status

    def set_header(self, request: Request, name: str, value: str) -> None:
        """Set a header of a request."""
        request.add_header(name, value)


DRIVERS = (Openers,)

"""requests: the calls of its sessions."""

from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util.retry import Retry

from tests.outbound.driving import Ability, Headers, SyncDriver

__all__ = ["DRIVERS"]


class Sessions(SyncDriver):
    """Calls of a session."""

    name = "requests"
    abilities = frozenset(
        {
            Ability.REDIRECTS,
            Ability.REQUEST_OBJECTS,
            Ability.RETRIES_AFTER_503,
            Ability.RETRIES_AFTER_LOSS,
            Ability.RETRIES_CONNECTING,
        }
    )
    header_types: ClassVar = {
        "a dict": dict,
        "requests' own": CaseInsensitiveDict,
        "names in bytes": lambda given: {name.encode(): value for name, value in given.items()},
    }

    def client(self) -> requests.Session:
        """Make a session."""
        session = self.closing.enter_context(requests.Session())
        retry = Retry(total=self.retries, status_forcelist=[503], backoff_factor=0)
        session.mount("http://", HTTPAdapter(pool_maxsize=32, max_retries=retry))
        return session

    def call(
        self,
        client: requests.Session,
        url: str,
        *,
        method: str = "GET",
        headers: Any = None,  # noqa: ANN401 - whatever requests takes
    ) -> int:
        """Call."""
        return client.request(method, url, headers=headers).status_code

    def request(self, client: requests.Session, url: str, headers: Headers) -> Any:  # noqa: ANN401 - as promised
        """Prepare a request."""
        return client.prepare_request(requests.Request("GET", url, headers=dict(headers)))

    def send(self, client: requests.Session, request: Any) -> int:  # noqa: ANN401 - as promised
        """Send a prepared request."""
        return client.send(request).status_code


DRIVERS = (Sessions,)

"""Calls at the edge of what is allowed: credentials, sessions with a mind of their own."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

import meshtrace


class Redirecting(BaseAdapter):
    """Answers without a network, with the redirects it was told, and keeps what came."""

    def __init__(self, redirects: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.redirects = redirects or {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        """Answer."""
        url = request.url or ""
        lowered = {str(name).lower(): str(value) for name, value in request.headers.items()}
        self.seen.append((url, lowered))
        response = requests.Response()
        response.status_code = 302 if url in self.redirects else 200
        response.headers["Location"] = self.redirects.get(url, "")
        response.url, response.request = url, request
        response.raw = HTTPResponse(io.BytesIO(b""), preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""


def _mounted(session: requests.Session, redirects: Mapping[str, str] | None = None) -> Redirecting:
    adapter = Redirecting(redirects)
    session.mount("http://", adapter)
    session.trust_env = False
    return adapter


def test_credentials_that_were_replaced_do_not_come_back_for_a_foreign_host() -> None:
    """What requests takes away on a redirect stays away, whatever had been replaced before."""
    session = requests.Session()
    adapter = _mounted(session, {"http://orders/": "http://evil.example/"})
    meshtrace.wrap(session, authorization_hosts="orders", on_conflict="replace")
    with meshtrace.use({"authorization": "Bearer user", "b3": "0"}):
        session.get("http://orders/", headers={"Authorization": "Bearer service"})
    (_, first), (url, second) = adapter.seen
    assert "Bearer user" == first["authorization"]
    assert ("http://evil.example/", False, "0") == (url, "authorization" in second, second["b3"])


def test_the_host_that_the_session_chooses_is_judged() -> None:
    """A session's own `send` may lead a call elsewhere: that host decides what goes."""

    class Elsewhere(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
            request.url = "http://api.example.com/"
            return super().send(request, **kwargs)

    session = meshtrace.wrap(Elsewhere())
    adapter = _mounted(session)
    with meshtrace.use({"b3": "0"}):
        meshtrace.set_header("end-user", "alice")
        session.get("http://reviews/")
    ((url, headers),) = adapter.seen
    assert ("http://api.example.com/", "0", False) == (url, headers["b3"], "end-user" in headers)


def test_a_session_keeps_its_own_attributes() -> None:
    """What wrapping keeps on a session has names of its own."""

    class Limited(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self._rules = ["10/s"]

    session = meshtrace.wrap(Limited())
    adapter = _mounted(session)
    session._rules = ["20/s"]  # noqa: SLF001 - the application's own
    with meshtrace.use({"b3": "0"}):
        session.get("http://reviews/")
    assert (["20/s"], "0") == (session._rules, adapter.seen[0][1]["b3"])  # noqa: SLF001 - as above


def test_a_session_that_skips_our_init_sends_as_requests_does() -> None:
    """A class that does not call `meshtrace.Session.__init__` works, without our headers."""

    class Mixin(requests.Session):
        def __init__(self) -> None:
            requests.Session.__init__(self)

    class Own(Mixin, meshtrace.Session):
        """Whose bases do not know of each other."""

    session = Own()
    adapter = _mounted(session)
    with meshtrace.use({"b3": "0"}):
        assert 200 == session.get("http://reviews/").status_code
    assert "b3" not in adapter.seen[0][1]


def test_a_new_request_of_a_sent_one_is_new() -> None:
    """Who makes a request of the class of a sent one gets one that remembers nothing."""
    session = meshtrace.wrap(requests.Session())
    adapter = _mounted(session)
    with meshtrace.use({"b3": "0"}):
        sent = session.get("http://reviews/").request
        new = type(sent)()
        new.prepare("GET", "http://ratings/", headers={})
        assert {} == dict(copy.copy(new).headers)
        assert {} == dict(pickle.loads(pickle.dumps(new)).headers)  # noqa: S301 - made here
        session.send(new.copy())
    assert ("http://ratings/", "0") == (adapter.seen[1][0], adapter.seen[1][1]["b3"])


@pytest.mark.parametrize("host", ["reviews", "api.example.com"])
def test_names_in_bytes_are_names(host: str) -> None:
    """A name that the caller gave in bytes is the caller's, and wins."""
    session = meshtrace.wrap(requests.Session())
    _mounted(session)
    request = requests.Request("GET", f"http://{host}/").prepare()
    names: dict[Any, str] = {b"b3": "1"}
    request.headers.update(names)
    with meshtrace.use({"b3": "0", "x-request-id": "r"}):
        session.send(request)
    assert [b"b3", "x-request-id"] == [*request.headers]

"""The other end of the calls, and what the request brought for which they are made."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import httpx2
import pytest
import requests
from anyio.from_thread import start_blocking_portal

import meshtrace
from tests.outbound.httpx_use import Use
from tests.outbound.recording import Recorder, _Server, serving


@pytest.fixture(scope="session")
def _server() -> Iterator[_Server]:
    with serving() as server:
        yield server


@pytest.fixture
def recorder(_server: _Server, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Give a server on loopback that stands behind every host name, at every port."""
    recorder = _server.recorder_of_a_test()
    monkeypatch.setattr(socket, "getaddrinfo", recorder.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", recorder.leading_here(socket.socket.connect))
    monkeypatch.setenv("NO_PROXY", "*")
    return recorder


def _patched() -> requests.Session:
    meshtrace.patch("requests")
    return requests.Session()


@pytest.fixture(
    params=[
        pytest.param(lambda: meshtrace.wrap(requests.Session()), id="a wrapped session"),
        pytest.param(meshtrace.Session, id="meshtrace.Session"),
        pytest.param(_patched, id="a session of patched requests"),
    ]
)
def session(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[requests.Session]:
    """Give a session that relays, made in each way in which one is made."""
    assert [] == recorder.received
    make: Callable[[], requests.Session] = request.param
    with make() as session:
        yield session


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def _way(request: pytest.FixtureRequest) -> str:
    way: str = request.param
    return way


@pytest.fixture(params=[pytest.param(library, id=library.__name__) for library in (httpx, httpx2)])
def use(request: pytest.FixtureRequest, _way: str) -> Iterator[Use]:
    """Give httpx and httpx2, in each way in which they are used."""
    with ExitStack() as stack:
        portal = None
        if _way != "blocking":
            portal = stack.enter_context(start_blocking_portal(_way))
        use = Use(request.param, portal)
        stack.callback(use.close)
        yield use

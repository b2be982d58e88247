"""The other end of the calls, and what the request brought for which they are made."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

import meshtrace
from tests.outbound.recording import Recorder, _Server, serving


@pytest.fixture(scope="session")
def _server() -> Iterator[_Server]:
    with serving() as server:
        yield server


@pytest.fixture
def recorder(_server: _Server, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Give a server on loopback that stands behind every host name, at every port."""
    recorder = _server.recorder = Recorder(_server.server_address[1])

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        recorder.looked_up.append(host)
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        return [(*stream, "", ("127.0.0.1", recorder.port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
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

"""Whatever a request is made of, and whatever goes wrong in meshtrace, the call goes on."""

import io
import logging
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import requests
from requests.adapters import BaseAdapter

import meshtrace
from meshtrace.relay.inject import OutboundRules
from tests.outbound.recording import IDS, OTHER, Recorder

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}


class Anything(BaseAdapter):
    """Takes whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[dict[Any, Any] | None] = []

    def send(self, request: Any, *_: object, **__: object) -> requests.Response:  # noqa: ANN401 - anything
        """Keep the headers."""
        self.headers.append(None if request.headers is None else dict(request.headers))
        response = requests.Response()
        response.status_code = 204
        response.request = request
        response.raw = io.BytesIO()
        return response

    def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def adapter(session: requests.Session) -> Anything:
    """Give what stands behind every URL of the session."""
    session.adapters.clear()
    adapter = Anything()
    session.mount("", adapter)
    return adapter


def _prepared(**parts: object) -> requests.PreparedRequest:
    prepared = requests.Request("GET", URL).prepare()
    prepared.headers.clear()
    vars(prepared).update(parts)
    return prepared


class _Sealing(type):
    """Makes one class, and none that derives from it."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> type:
        if any(isinstance(base, _Sealing) for base in bases):
            raise TypeError("no subclass")
        return super().__new__(cls, name, bases, members)


class Stubborn(requests.PreparedRequest, metaclass=_Sealing):
    """A request of a class that cannot be built upon."""


def _stubborn() -> requests.PreparedRequest:
    stubborn = Stubborn()
    stubborn.prepare("GET", URL)
    stubborn.headers.clear()
    return stubborn


STRANGE: list[Any] = [
    pytest.param(lambda: _prepared(headers=None), None, id="no headers"),
    pytest.param(lambda: _prepared(headers={}), OTHER_IDS, id="headers in a plain dict"),
    pytest.param(
        lambda: _prepared(headers={"B3": "0"}),
        {"B3": "0", "x-request-id": OTHER["x-request-id"]},
        id="a caller's own in a plain dict",
    ),
    pytest.param(
        lambda: _prepared(headers=MappingProxyType({"a": "b"})), {"a": "b"}, id="read-only headers"
    ),
    pytest.param(lambda: _prepared(headers={"host": None}), {"host": None}, id="no host's name"),
    pytest.param(
        lambda: _prepared(headers={"Host": b"reviews"}), {"Host": b"reviews"}, id="Host in bytes"
    ),
    pytest.param(lambda: _prepared(url="reviews"), {}, id="a URL without a scheme"),
    pytest.param(lambda: _prepared(url=""), {}, id="an empty URL"),
    pytest.param(lambda: _prepared(url="http+unix://%2Frun%2Fd.sock/"), {}, id="a socket's URL"),
    pytest.param(
        lambda: SimpleNamespace(method="GET", url=URL, headers={}, hooks={}),
        {},
        id="something like a request",
    ),
    pytest.param(_stubborn, {}, id="a request that cannot be marked"),
]


@pytest.mark.parametrize(("make", "expected"), STRANGE)
def test_a_strange_carrier(
    make: Callable[[], Any],
    expected: dict[str, str] | None,
    session: requests.Session,
    adapter: Anything,
) -> None:
    """What cannot carry our fields is sent as it is, each time."""
    meshtrace.configure(deny_hosts="none")
    strange = make()
    with meshtrace.use(OTHER):
        assert 204 == session.send(strange).status_code
        assert 204 == session.send(strange).status_code
    assert [expected, expected] == adapter.headers


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(None, id="none at all"),
        pytest.param(b"http://reviews/", id="bytes"),
        pytest.param("http://[", id="half an address"),
    ],
)
def test_a_strange_url(
    url: object, session: requests.Session, adapter: Anything, caplog: pytest.LogCaptureFixture
) -> None:
    """A URL that cannot be read raises what requests raises without us."""
    errors = AttributeError, TypeError, ValueError
    with requests.Session() as plain, pytest.raises(errors) as without:
        plain.send(_prepared(url=url))
    with meshtrace.use(OTHER), pytest.raises(errors) as within:
        session.send(_prepared(url=url))
    assert repr(without.value) == repr(within.value)
    assert [] == adapter.headers
    assert all(record.levelno <= logging.WARNING for record in caplog.records)


def test_a_mocked_request(session: requests.Session, adapter: Anything) -> None:
    """A mock in the place of a request carries the fields like any other."""
    request = mock.Mock(spec=requests.PreparedRequest(), url=URL, headers={"a": "b"}, hooks={})
    with meshtrace.use(OTHER):
        assert 204 == session.send(request).status_code
    assert [{"a": "b", **OTHER_IDS}] == adapter.headers


def test_a_fault_of_ours(
    session: requests.Session,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault while deciding is logged once, with its traceback, and each call goes on without."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(OutboundRules, "decide", fail)
    with meshtrace.use(IDS):
        session.get(URL)
        session.get(URL)
    assert [{}, {}] == recorder.relayed
    assert ["a fault while adding headers to a call of requests; going on without"] == [
        record.getMessage().removeprefix("meshtrace: ") for record in caplog.records
    ]
    assert [RuntimeError] == [record.exc_info[0] for record in caplog.records if record.exc_info]


def test_a_fault_the_second_time(
    session: requests.Session, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault when a request is sent again leaves nothing of the first time on it."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    prepared = session.prepare_request(requests.Request("GET", URL))
    with meshtrace.use(IDS):
        session.send(prepared)
    monkeypatch.setattr(OutboundRules, "decide", fail)
    with meshtrace.use(OTHER):
        session.send(prepared)
    assert [IDS, {}] == recorder.relayed


def test_an_interrupt_is_not_held_back(
    session: requests.Session, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is meant to stop the program, such as Ctrl-C, goes through."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OutboundRules, "decide", interrupt)
    with meshtrace.use(IDS), pytest.raises(KeyboardInterrupt):
        session.get(URL)
    assert [] == recorder.received

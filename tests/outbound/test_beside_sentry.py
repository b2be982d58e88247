"""
Sentry's SDK puts a ``baggage`` of its own on every request of http.client: still one line goes.

What stands in for the SDK here does as its integration of the standard library does; the real one
changes its process for good, and has processes of its own elsewhere.
"""

import http.client
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import requests
import urllib3

import meshtrace
from tests.outbound.recording import Recorder

URL = "http://reviews:9080/"
SENTRYS = "sentry-trace_id=1,sentry-sampled=true"
CAME = {"baggage": "cart=42;ttl=1"}
Call = Callable[[], object]
ENDS = (http.client.HTTPConnection.endheaders, http.client.HTTPConnection.send)


def _ends() -> tuple[Any, ...]:
    return (http.client.HTTPConnection.endheaders, http.client.HTTPConnection.send)


def _load_sentry(monkeypatch: pytest.MonkeyPatch, baggage: str = SENTRYS) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
    original = http.client.HTTPConnection.endheaders

    def endheaders(self: http.client.HTTPConnection, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
        self.putheader("baggage", baggage)
        original(self, *args, **kwargs)

    monkeypatch.setattr(http.client.HTTPConnection, "endheaders", endheaders)


def _by_requests() -> Call:
    meshtrace.patch("requests")
    return lambda: requests.get(URL, timeout=5)


def _by_urllib3() -> Call:
    meshtrace.patch("urllib3")
    return lambda: urllib3.PoolManager().request("GET", URL)


def _by_a_session() -> Call:
    session = meshtrace.wrap(requests.Session())
    return lambda: session.get(URL, timeout=5, headers={"connection": "close"})


@pytest.fixture(autouse=True)
def _forwarded() -> Iterator[None]:
    meshtrace.configure(forward="baggage")
    yield
    meshtrace.unpatch()
    assert _ends() == ENDS


@pytest.mark.parametrize("first", [False, True], ids=["after us", "before us"])
@pytest.mark.parametrize(
    "ready",
    [
        pytest.param(_by_requests, id="requests"),
        pytest.param(_by_urllib3, id="urllib3"),
        pytest.param(_by_a_session, id="a wrapped session"),
    ],
)
def test_one_line(
    ready: Callable[[], Call], recorder: Recorder, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    """What came goes first, byte for byte, and Sentry's after it."""
    with monkeypatch.context() as patch:
        if first:
            _load_sentry(patch)
            call = ready()
        else:
            patch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
            call = ready()
            _load_sentry(patch)
        with meshtrace.use(CAME):
            call()
    assert [f"cart=42;ttl=1,{SENTRYS}"] == [
        value for name, value in recorder.received[0].lines if name.lower() == "baggage"
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["cart=42"], ["cart=42"], id="one of the caller's"),
        pytest.param(["cart=42", "user=7"], ["cart=42", "user=7"], id="two of the caller's"),
        pytest.param([SENTRYS], [SENTRYS], id="one of Sentry's"),
        pytest.param([SENTRYS, "cart=42"], [f"cart=42,{SENTRYS}"], id="Sentry's comes first"),
        pytest.param(
            ["sentry-a=1,cart=42", SENTRYS], [f"sentry-a=1,cart=42,{SENTRYS}"], id="a mixed one"
        ),
    ],
)
def test_lines_by_hand(
    lines: list[str], expected: list[str], recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where one line is Sentry's, and another is not, the two become one."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
    meshtrace.patch("requests")
    connection = http.client.HTTPConnection("reviews", 9080)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", "3")
    for line in lines:
        connection.putheader("baggage", line)
    connection.endheaders(b"abc")
    connection.getresponse().read()
    connection.close()
    [received] = recorder.received
    assert expected == [value for name, value in received.lines if name == "baggage"]
    assert b"abc" == received.body


def test_a_body_is_left_alone(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like headers in a body is no header, sent by itself or together with the head."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
    meshtrace.patch("requests")
    body = f"a\r\nbaggage: cart=42\r\nbaggage: {SENTRYS}\r\n\r\n".encode()

    class Connection(http.client.HTTPConnection):
        """Sends a body together with the head, as botocore does."""

        def send(self, data: Any) -> None:  # noqa: ANN401 - http.client's own
            super().send(data + body if data.startswith(b"POST /together") else data)

    for kind, path, given in (
        (http.client.HTTPConnection, "/alone", body),
        (Connection, "/together", None),
    ):
        connection = kind("reviews", 9080)
        connection.putrequest("POST", path)
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(given)
        connection.getresponse().read()
        connection.close()
    assert [body, body] == [received.body for received in recorder.received]


def test_only_beside_sentry() -> None:
    """Without the SDK, and for clients that do not use http.client, nothing is replaced."""
    meshtrace.patch("requests")
    assert _ends() == ENDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
        meshtrace.unpatch("requests")
        meshtrace.patch("httpx")
        assert _ends() == ENDS


def test_until_the_last_client_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays for as long as one of those clients is patched."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))
    meshtrace.patch("requests", "urllib3")
    meshtrace.unpatch("requests")
    assert _ends() != ENDS
    meshtrace.unpatch("urllib3")
    assert _ends() == ENDS

"""
Sentry's SDK puts a ``baggage`` of its own on calls: still one line goes, with all of both.

What stands in for the SDK here does as its integration of the standard library does; the real one
changes its process for good, and has processes of its own elsewhere.
"""

import http.client
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Literal

import httpx
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


def _lines(recorder: Recorder) -> list[list[str]]:
    return [
        [value for name, value in received.lines if name.lower() == "baggage"]
        for received in recorder.received
    ]


def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", ModuleType("sentry_sdk"))


def _load_sentry(monkeypatch: pytest.MonkeyPatch, baggage: str = SENTRYS) -> None:
    _known(monkeypatch)
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
def _forwarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delitem(sys.modules, "sentry_sdk", raising=False)
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
            call = ready()
            _load_sentry(patch)
        with meshtrace.use(CAME):
            call()
    assert [[f"cart=42;ttl=1,{SENTRYS}"]] == _lines(recorder)


def _make_a_call_with_baggage(monkeypatch: pytest.MonkeyPatch) -> None:
    _known(monkeypatch)
    call = _by_requests()
    with meshtrace.use(CAME):
        call()


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
    _make_a_call_with_baggage(monkeypatch)
    connection = http.client.HTTPConnection("reviews", 9080)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", "3")
    for line in lines:
        connection.putheader("baggage", line)
    connection.endheaders(b"abc")
    connection.getresponse().read()
    connection.close()
    assert [["cart=42;ttl=1"], expected] == _lines(recorder)
    assert b"abc" == recorder.received[1].body


def test_a_body_is_left_alone(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like headers in a body is no header, sent by itself or together with the head."""
    _make_a_call_with_baggage(monkeypatch)
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
    assert [b"", body, body] == [received.body for received in recorder.received]


def test_only_beside_sentry(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is replaced before a call by http.client has baggage, and the SDK is there."""
    call = _by_requests()
    with meshtrace.use(CAME):
        call()
    assert _ends() == ENDS
    _known(monkeypatch)
    call()
    with meshtrace.use({"b3": "0"}):
        call()
    meshtrace.patch("httpx")
    with meshtrace.use(CAME):
        httpx.get(URL)
    assert _ends() == ENDS
    with meshtrace.use(CAME):
        call()
    assert _ends() != ENDS
    assert [[CAME["baggage"]], [], [], [CAME["baggage"]], [CAME["baggage"]]] == _lines(recorder)


def test_until_the_last_client_is_taken_back(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays for as long as a client is patched."""
    meshtrace.patch("urllib3")
    _make_a_call_with_baggage(monkeypatch)
    meshtrace.unpatch("requests")
    assert _ends() != ENDS
    meshtrace.unpatch("urllib3")
    assert _ends() == ENDS
    assert [[CAME["baggage"]]] == _lines(recorder)


@pytest.mark.parametrize("setting", ["keep", "replace"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "cart=42;ttl=1", id="none"),
        pytest.param({"Baggage": SENTRYS}, f"cart=42;ttl=1,{SENTRYS}", id="Sentry's"),
        pytest.param({"baggage": f"user=7,{SENTRYS}"}, None, id="the caller's, with Sentry's"),
        pytest.param(
            {"baggage": SENTRYS, "authorization": "AWS4-HMAC-SHA256 SignedHeaders=baggage;host"},
            None,
            id="Sentry's, signed",
        ),
    ],
)
def test_written_first(
    given: dict[str, str],
    expected: str | None,
    setting: Literal["keep", "replace"],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Sentry has put on a call goes on behind what came; any other baggage is the caller's."""
    _known(monkeypatch)
    meshtrace.configure(forward="baggage", on_conflict=setting)
    others = {"keep": given.get("baggage"), "replace": "cart=42;ttl=1"}[setting]
    with meshtrace.wrap(httpx.Client()) as client:
        request = client.build_request("GET", URL, headers=given)
        for came in (CAME, CAME, {}):
            with meshtrace.use(came):
                client.send(request)
    sent = [expected or others]
    assert [sent, sent, httpx.Headers(given).get_list("baggage")] == _lines(recorder)


def test_written_by_the_connection_first(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set up after us, Sentry's SDK puts its headers right after a request is begun."""
    with monkeypatch.context() as patch:
        _known(patch)
        meshtrace.patch("http.client")
        original = http.client.HTTPConnection.putrequest

        def putrequest(self: http.client.HTTPConnection, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
            original(self, *args, **kwargs)
            self.putheader("baggage", SENTRYS)

        patch.setattr(http.client.HTTPConnection, "putrequest", putrequest)
        connection = http.client.HTTPConnection("reviews", 9080)
        with meshtrace.use(CAME):
            connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
    assert [[f"cart=42;ttl=1,{SENTRYS}"]] == _lines(recorder)

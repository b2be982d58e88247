"""What every outbound room does the same way, without any client library."""

import logging
from collections.abc import Iterator, MutableMapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import meshtrace
from meshtrace.departure import NOTHING, Departures, put_on, take_off
from meshtrace.relay.inject import Sent
from meshtrace.settings import Settings

CAME = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "b3": "0"}
REVIEWS = "http://reviews:9080/"


class _Strange(MutableMapping[str, Any]):
    """Headers that cannot be read."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        raise OSError

    __setitem__ = __delitem__ = __len__ = __getitem__  # type: ignore[assignment]  # all the same

    def __iter__(self) -> Iterator[str]:
        raise OSError


def test_what_is_decided_is_put_on_and_taken_off() -> None:
    """What a call may have is written to its headers, and off again nothing is left of it."""
    carrier = httpx.Headers({"accept": "*/*"})
    with meshtrace.use(CAME):
        sent = Departures("some", Settings()).decide(carrier, REVIEWS)
    put_on(carrier, sent)
    assert {"accept": "*/*", **CAME} == dict(carrier)
    take_off(carrier, sent)
    assert {"accept": "*/*"} == dict(carrier)


def test_headers_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is one line, and the call goes on with nothing added."""
    departures = Departures("some", Settings(deny_hosts="payments"))
    with meshtrace.use(CAME):
        decided = [departures.decide(_Strange(), REVIEWS).fields for _ in range(2)]
    assert [(), ()] == decided
    assert ["meshtrace: a fault while adding headers to a call of some; going on without"] == [
        record.getMessage() for record in caplog.records
    ]


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where meshtrace is switched off, a call is given nothing."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    assert NOTHING is Departures("some", Settings()).decide({}, REVIEWS, Sent(()))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(REVIEWS, [logging.WARNING], id="a call to another service is"),
        pytest.param("http://testserver/product", [], id="a test client's to the application"),
    ],
)
def test_half_is_missing(url: str, expected: list[int], caplog: pytest.LogCaptureFixture) -> None:
    """A call before any middleware ran is warned of, unless a test client makes it."""
    Departures("some", Settings()).decide({}, url)
    assert expected == [record.levelno for record in caplog.records]


def test_starlettes_test_client(caplog: pytest.LogCaptureFixture) -> None:
    """The test client is patched like any client, and its first call is nothing strange."""
    meshtrace.patch()
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("ok"))])
    app.add_middleware(meshtrace.MeshTrace)
    assert "ok" == TestClient(app).get("/").text
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]

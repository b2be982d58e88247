"""What is kept of the calls, where it is asked for."""

import logging

import pytest
import requests

import meshtrace
from meshtrace.relay.record import Call, Record, host_and_port, rehearsing


@pytest.mark.parametrize(
    ("url", "host"),
    [
        pytest.param("http://reviews/", "reviews", id="a host without a port"),
        pytest.param("http://reviews:9080/a?b", "reviews:9080", id="a host with a port"),
        pytest.param("http://me:secret@reviews/", "reviews", id="a password is not shown"),
        pytest.param("http://[::1]:80/", "[::1]:80", id="an address with colons"),
        pytest.param("/reviews", "an unknown host", id="no host"),
        pytest.param(None, "an unknown host", id="no URL"),
        pytest.param("http://[reviews/", "an unknown host", id="no URL that can be read"),
    ],
)
def test_a_host_is_read_from_a_url(url: str | None, host: str) -> None:
    """Host and port are shown, and nothing else of a URL."""
    assert host == host_and_port(url)


def test_a_call_is_said_in_one_line() -> None:
    """A call says where it went, what was sent, and what was not, by reason."""
    call = Call(
        "requests",
        "reviews:9080",
        sent=("x-request-id",),
        withheld=(("b3", "already-set"), ("end-user", "not-mesh-host"), ("sw8", "not-mesh-host")),
        replaced=("traceparent",),
        redirected=True,
    )
    assert (
        "requests to reviews:9080, after a redirect: sent x-request-id; "
        "not sent: b3 (already-set); not sent: end-user, sw8 (not-mesh-host); "
        "in the place of: traceparent"
    ) == str(call)


def test_the_last_calls_are_kept() -> None:
    """Of a request that makes very many calls, the last hundred are kept, and all are counted."""
    record = Record()
    for number in range(105):
        record.note(Call("requests", f"host-{number}"))
    assert (105, 100, "host-104") == (record.number, len(record.calls), record.calls[-1].host)


def test_what_is_only_tried_out_is_not_noted() -> None:
    """A decision for no call leaves no trace in the record."""
    record = Record()
    with rehearsing():
        record.note(Call("requests", "reviews"))
    assert ((), 0) == (tuple(record.calls), record.number)


def test_a_log_that_is_sent_over_http_does_not_go_round_in_circles(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The call that a log handler makes to send the line about a call is not noted."""

    class OverHttp(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sent.append(record.getMessage())
            meshtrace.headers("http://logs:80/")

    sent: list[str] = []
    handler = OverHttp()
    caplog.set_level(logging.DEBUG, "meshtrace")
    meshtrace.configure(explain=True)
    logging.getLogger("meshtrace").addHandler(handler)
    with meshtrace.use({"b3": "0"}):
        meshtrace.headers("http://reviews:9080/")
        calls = meshtrace.explain().calls
    logging.getLogger("meshtrace").removeHandler(handler)
    assert ["reviews:9080"] == [call.host for call in calls]
    assert ["meshtrace: headers() to reviews:9080: sent b3"] == sent


def test_a_fault_in_explaining_costs_no_headers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that cannot be noted goes out with its headers, and one warning says so."""

    def note(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Record, "note", note)
    meshtrace.configure(explain=True)
    with meshtrace.use({"b3": "0"}):
        assert {"b3": "0"} == meshtrace.headers("http://reviews:9080/")
    assert "a fault while explaining a call" in caplog.text


def test_nothing_is_noted_where_nobody_asked() -> None:
    """With the setting off, no call is kept, and none goes the careful way."""
    with meshtrace.use({"b3": "0"}):
        session = meshtrace.wrap(requests.Session())
        session.prepare_request(requests.Request("GET", "http://reviews:9080/"))
        meshtrace.headers("http://reviews:9080/")
        explanation = meshtrace.explain()
    assert (False, (), 0) == (
        explanation.recorded,
        explanation.calls,
        explanation.number_of_calls,
    )

"""What is said in the log: each thing once, and what is missing when half is."""

import logging
import threading
from collections.abc import Callable

import pytest
import requests

import meshtrace
from meshtrace import notices
from meshtrace.options import CLIENTS

TRACEPARENT = "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01"


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meshtrace")


class TestOnce:
    """A thing is said once a process."""

    def test_by_its_key(self, caplog: pytest.LogCaptureFixture) -> None:
        """What has the same key was said already, whatever its words."""
        assert notices.is_news("a")
        notices.once(logging.INFO, "a", "first %s", "word")
        assert not notices.is_news("a")
        notices.once(logging.WARNING, "a", "second")
        notices.once(logging.WARNING, ("a", 1), "third")
        assert [(logging.INFO, "first word"), (logging.WARNING, "third")] == [
            (record.levelno, record.getMessage()) for record in caplog.records
        ]

    def test_not_without_end(self, caplog: pytest.LogCaptureFixture) -> None:
        """Of things without number, as names of hosts are, only so many are said."""
        for number in range(1000):
            notices.once(logging.INFO, number, "number %d", number)
        assert 500 == len(caplog.records)
        notices.once(logging.WARNING, "late", "late")
        assert 500 == len(caplog.records)
        assert [False, False] == [notices.is_news(499), notices.is_news("late")]

    def test_by_the_logger_of_the_project(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged under `meshtrace`, by which it can be turned down."""
        notices.once(logging.WARNING, "a", "said")
        assert ["meshtrace"] == [record.name for record in caplog.records]

    def test_after_a_start(self, caplog: pytest.LogCaptureFixture) -> None:
        """After `reset`, all is as after a start."""
        notices.client_ready("requests")
        notices.request_came("settings")
        notices.reset()
        notices.request_came("again")
        assert "meshtrace is on: again; clients: none yet" == caplog.messages[-1]


class TestFault:
    """A fault of meshtrace is told with its traceback."""

    def test_once_a_task(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each thing that failed is told once, as a warning, with the error that it was."""
        for doing, number in (("a", "one"), ("a", None), ("b", None)):
            try:
                int(number)  # type: ignore[arg-type]  # that is what fails
            except (TypeError, ValueError):
                notices.fault(doing)
        assert [
            ("meshtrace: a fault while a; going on without", ValueError, logging.WARNING),
            ("meshtrace: a fault while b; going on without", TypeError, logging.WARNING),
        ] == [
            (record.getMessage(), record.exc_info[0], record.levelno)
            for record in caplog.records
            if record.exc_info
        ]

    def test_even_when_much_was_said(self, caplog: pytest.LogCaptureFixture) -> None:
        """A fault is told also after all that is said of hosts."""
        for number in range(1000):
            notices.once(logging.DEBUG, number, "")
        notices.fault("a")
        assert ["meshtrace: a fault while a; going on without"] == caplog.messages


NO_CLIENT = (
    "meshtrace: trace headers came in, but no HTTP client is wrapped or patched, "
    "so none go out. Call meshtrace.patch() at start-up, or meshtrace.wrap(session). "
    "(A service that calls no other may ignore this.)"
)
NO_MIDDLEWARE = (
    "meshtrace: a call went out without trace headers: no middleware ever ran here. "
    "Add app.add_middleware(MeshTrace), or wrap the application in MeshTrace or MeshTraceWSGI. "
    "(A process that serves no requests may ignore this.)"
)


def _serve(headers: dict[str, str]) -> None:
    environ = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
    list(meshtrace.MeshTraceWSGI(lambda _environ, _start: [b""])(environ, lambda *_: print))


class TestHalfIsMissing:
    """The two halves, middleware and clients, know of each other."""

    @pytest.mark.parametrize(
        "make_ready",
        [
            pytest.param(meshtrace.patch, id="patched"),
            pytest.param(lambda: meshtrace.wrap(requests.Session()), id="wrapped"),
            pytest.param(meshtrace.Session, id="made"),
            pytest.param(meshtrace.headers, id="asked for headers"),
        ],
    )
    def test_a_client_is_ready(
        self, make_ready: Callable[[], object], caplog: pytest.LogCaptureFixture
    ) -> None:
        """With a client made ready in any way, nothing is missing."""
        make_ready()
        _serve({"traceparent": TRACEPARENT})
        assert NO_CLIENT not in caplog.messages

    def test_no_client(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where ids came in and no client is ready, it is said once, as a warning."""
        for _ in range(3):
            _serve({"traceparent": TRACEPARENT})
        assert 1 == caplog.messages.count(NO_CLIENT)
        assert [logging.WARNING] == [
            record.levelno for record in caplog.records if record.getMessage() == NO_CLIENT
        ]

    def test_no_ids(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where no ids came in, there is nothing to send, and nothing is said."""
        _serve({"end-user": "jason"})
        assert NO_CLIENT not in caplog.messages

    def test_no_middleware(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where a call goes out and no middleware ever ran, it is said once, as a warning."""
        for _ in range(3):
            notices.client_sent_without_context()
        assert [(logging.WARNING, NO_MIDDLEWARE)] == [
            (record.levelno, record.getMessage()) for record in caplog.records
        ]

    def test_a_middleware_ran(self, caplog: pytest.LogCaptureFixture) -> None:
        """Once a middleware ran, a call outside any request is nothing strange."""
        _serve({})
        notices.client_sent_without_context()
        assert NO_MIDDLEWARE not in caplog.messages


class TestOn:
    """When it starts working, what is on is said."""

    def test_what_is_on(self, caplog: pytest.LogCaptureFixture) -> None:
        """At the first request: the settings that differ, and the clients, as they came."""
        meshtrace.configure(incoming="ids", mesh_hosts=".prod")
        meshtrace.patch()
        meshtrace.headers()
        meshtrace.patch()
        for _ in range(3):
            _serve({})
        clients = ", ".join((*CLIENTS, "headers()"))
        assert [
            (
                logging.INFO,
                f"meshtrace is on: incoming=ids, mesh_hosts=.prod; clients: {clients}",
            )
        ] == [(record.levelno, record.getMessage()) for record in caplog.records]

    def test_by_many_threads(self, caplog: pytest.LogCaptureFixture) -> None:
        """Many threads that start at once raise nothing."""
        failed: list[BaseException] = []

        def start() -> None:
            try:
                for number in range(200):
                    notices.once(logging.INFO, number, "")
                    notices.client_ready(f"client {number}")
                    notices.request_came("settings")
                    notices.request_ended_with_ids()
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failed
        assert 200 <= len(caplog.records)

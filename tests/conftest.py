"""What every test has: a clean start, and nothing logged as an error behind its back."""

import logging
import os
import sys
from collections.abc import Iterator

import hypothesis
import pytest

import meshtrace
from meshtrace import configuration, notices

EXAMPLES = int(os.environ.get("EXAMPLES", "50"))
"""How many examples a property is tried with; twice as many by hand."""

hypothesis.settings.register_profile("here", deadline=None, max_examples=2 * EXAMPLES)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def _as_after_a_start(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give each test a process that nobody has configured, and that has said nothing yet."""
    if "coexistence" not in request.path.parts:
        for name in ("asgi_correlation_id", "starlette_context"):
            monkeypatch.delitem(sys.modules, name, raising=False)
    for name in list(os.environ):
        if name.startswith("MESHTRACE_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(configuration, "_authorization_wanted", False)
    monkeypatch.setattr(configuration, "_joining", False)
    meshtrace.configure()
    notices.reset()
    yield
    # What the test has put over ours goes first: below it, ours would stay in place.
    monkeypatch.undo()
    meshtrace.unpatch()
    meshtrace.configure()
    notices.reset()


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.records.append(record)


@pytest.fixture(autouse=True)
def _no_error_logged(request: pytest.FixtureRequest) -> Iterator[list[logging.LogRecord]]:
    """
    Fail a test during which an error was logged.

    Servers, event loops and OpenTelemetry ("Failed to detach context") log what they cannot raise.
    """
    handler = _Errors()
    logging.getLogger().addHandler(handler)
    yield handler.records
    logging.getLogger().removeHandler(handler)
    if "errors_logged" not in request.fixturenames:
        assert [] == [record.getMessage() for record in handler.records]


@pytest.fixture
def errors_logged(_no_error_logged: list[logging.LogRecord]) -> list[logging.LogRecord]:
    """Give the records logged as errors, to a test in which there may be some."""
    return _no_error_logged

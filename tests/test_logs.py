"""The ids of the current request on log records."""

from __future__ import annotations

import functools
import io
import json
import logging
import logging.config
import logging.handlers
import queue
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

import meshtrace
from meshtrace import logs
from meshtrace.ambient import CURRENT
from meshtrace.relay.extract import ENVIRON_KEY, SCOPE_KEY

TRACE_ID = "80f198ee56343ba864fe8b2a57d3eff7"
SPAN_ID = "e457b5a2e4d86bd1"
REQUEST_ID = "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"
CAME = {"b3": f"{TRACE_ID}-{SPAN_ID}-1", "x-request-id": REQUEST_ID}
FORMAT = "%(message)s %(trace_id)s %(span_id)s %(trace_flags)s %(request_id)s"
LINE = f"hello {TRACE_ID} {SPAN_ID} 01 {REQUEST_ID}"
NOTHING = "hello - - - -"


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    logs.uninstall()
    logging.setLogRecordFactory(factory)


class Log:
    """A logger with a handler that writes what it gets."""

    def __init__(self, name: str, *filters: Any) -> None:  # noqa: ANN401 - logging.Filter or the like
        self.written = io.StringIO()
        self.handler = logging.StreamHandler(self.written)
        self.handler.setFormatter(logging.Formatter(FORMAT))
        for one in filters:
            self.handler.addFilter(one)
        self.logger = logging.Logger(name, logging.INFO)  # noqa: LOG001 - for one test
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        """What was written."""
        return self.written.getvalue().splitlines()


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        pytest.param(CAME, (TRACE_ID, SPAN_ID, "01", REQUEST_ID), id="everything"),
        pytest.param({"x-request-id": "7"}, ("-", "-", "-", "7"), id="a request id alone"),
        pytest.param({"b3": "0"}, ("-", "-", "-", "-"), id="a decision alone"),
        pytest.param({}, ("-", "-", "-", "-"), id="nothing"),
        pytest.param(
            {"b3": f"{TRACE_ID[16:]}-{SPAN_ID}-0"},
            (f"{'0' * 16}{TRACE_ID[16:]}", SPAN_ID, "00", "-"),
            id="a trace id of 64 bits, which becomes one of 128",
        ),
        pytest.param({"b3": f"{TRACE_ID}-{SPAN_ID}"}, (TRACE_ID, SPAN_ID, "00", "-"), id="defer"),
        pytest.param({"b3": f"{TRACE_ID}-{SPAN_ID}-d"}, (TRACE_ID, SPAN_ID, "01", "-"), id="debug"),
        pytest.param(
            {"traceparent": f"00-{TRACE_ID.upper()}-{SPAN_ID.upper()}-03"},
            (TRACE_ID, SPAN_ID, "03", "-"),
            id="upper case, which becomes lower, and the random flag",
        ),
        pytest.param({"b3": "?", "traceparent": "?"}, ("-", "-", "-", "-"), id="malformed"),
    ],
)
def test_ids(came: dict[str, str], expected: tuple[str, ...]) -> None:
    """The fields are those of OpenTelemetry for logs that are not OTLP, and the request's id."""
    with meshtrace.use(came):
        assert dict(zip(logs.FIELDS, expected, strict=True)) == logs.ids()


def test_ids_outside_any_request() -> None:
    """Outside any request all of them are there, and say so; how, can be chosen."""
    assert dict.fromkeys(logs.FIELDS, "-") == logs.ids()
    assert dict.fromkeys(logs.FIELDS, "") == logs.ids("")


def test_ids_are_the_same_after_the_end() -> None:
    """A line that is logged after the request has ended has its ids."""
    found = []

    def app(_environ: object, _start_response: object) -> list[bytes]:
        found.append(meshtrace.carry(logs.ids))
        return []

    meshtrace.MeshTraceWSGI(app)({"HTTP_X_REQUEST_ID": "7"}, lambda *_: print)
    assert "7" == found[0]()["request_id"]


def test_filter() -> None:
    """With the filter on a handler, every line has the ids, inside a request and outside."""
    log = Log("shop", logs.TraceFilter())
    with meshtrace.use(CAME):
        log.logger.info("hello")
    log.logger.info("hello")
    assert [LINE, NOTHING] == log.lines


def test_filter_lets_everything_through() -> None:
    """No record is dropped, whatever its name, its level or the state of things."""
    record = logging.LogRecord("", logging.NOTSET, "", 0, "", (), None)
    assert logs.TraceFilter().filter(record) is True


def test_filter_with_another_default() -> None:
    """What stands for nothing can be chosen."""
    log = Log("shop", logs.TraceFilter(default="none"))
    log.logger.info("hello")
    assert ["hello none none none none"] == log.lines


@pytest.mark.parametrize("installed", [False, True], ids=["by the filter", "by the factory"])
def test_extra_wins(*, installed: bool) -> None:
    """What the caller says in ``extra`` stays as it is, and the rest is filled in."""
    log = Log("shop", *[] if installed else [logs.TraceFilter()])
    if installed:
        logs.install()
    with meshtrace.use(CAME):
        log.logger.info("hello", extra={"request_id": "mine", "other": 1})
        log.logger.info("hello", extra=dict.fromkeys(logs.FIELDS, ""))
        log.logger.info("hello", extra={})
    assert [f"hello {TRACE_ID} {SPAN_ID} 01 mine", "hello    ", LINE] == log.lines


def test_extra_is_not_changed() -> None:
    """The caller's own dictionary is left as it was."""
    logs.install()
    extra = {"request_id": "mine"}
    Log("shop").logger.info("hello", extra=extra)
    assert {"request_id": "mine"} == extra


def test_extra_that_logging_refuses() -> None:
    """What logging itself refuses, it still refuses."""
    logs.install()
    with pytest.raises(KeyError, match="Attempt to overwrite 'message'"):
        Log("shop").logger.info("hello", extra={"message": "mine", "request_id": "mine"})


def test_installed() -> None:
    """With the factory, every record has the fields, whoever made it; without, none."""
    log = Log("shop")
    logs.install()
    with meshtrace.use(CAME):
        log.logger.info("hello")
        log.handler.handle(logging.makeLogRecord({"msg": "hello"}))
    log.logger.info("hello")
    logs.uninstall()
    assert [LINE, LINE, NOTHING] == log.lines
    assert "trace_id" not in vars(logging.makeLogRecord({}))
    assert logging.getLogRecordFactory() is logging.LogRecord


def test_record_from_elsewhere() -> None:
    """A record that came over a socket keeps the ids with which it was made."""
    logs.install()
    with meshtrace.use(CAME):
        sent = vars(logging.makeLogRecord({"msg": "hello"}))
    assert TRACE_ID == vars(logging.makeLogRecord(sent))["trace_id"]


def test_installed_twice() -> None:
    """Twice is once, with the later default; and once is enough to take it back."""
    logs.install()
    factory = logging.getLogRecordFactory()
    logs.install(default="none")
    assert factory is logging.getLogRecordFactory()
    assert "none" == vars(logging.makeLogRecord({}))["trace_id"]
    logs.uninstall()
    logs.uninstall()
    assert logging.getLogRecordFactory() is logging.LogRecord


def _marking(factory: Callable[..., Any]) -> Callable[..., Any]:
    def mark(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a record factory
        record = factory(*args, **kwargs)
        record.mark = "marked"
        return record

    return mark


def test_over_another_factory() -> None:
    """A factory that is there is still called."""
    mine = _marking(logging.LogRecord)
    logging.setLogRecordFactory(mine)
    logs.install()
    record = vars(logging.makeLogRecord({}))
    assert ("marked", "-") == (record["mark"], record["trace_id"])
    logs.uninstall()
    assert mine is logging.getLogRecordFactory()


@pytest.mark.parametrize("told", [True, False], ids=["that tells", "that does not tell"])
def test_under_another_factory(*, told: bool) -> None:
    """Under a factory that was set later, ours works on, is not doubled, and can be taken back."""
    logs.install()
    ours = logging.getLogRecordFactory()
    mine = _marking(ours)
    logging.setLogRecordFactory(functools.wraps(ours)(mine) if told else mine)
    logs.install()
    record = vars(logging.makeLogRecord({}))
    assert ("marked", "-") == (record["mark"], record["trace_id"])
    logs.uninstall()
    record = vars(logging.makeLogRecord({}))
    assert ("marked", False) == (record["mark"], "trace_id" in record)


def test_factory_and_filters_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them see a record, the ids are read once."""
    reads = []

    def read() -> meshtrace.TraceContext:
        reads.append(1)
        return meshtrace.TraceContext()

    monkeypatch.setattr(logs, "current", read)
    logs.install()
    log = Log("shop", logs.TraceFilter(), logs.TraceFilter())
    log.logger.info("hello")
    assert [NOTHING] == log.lines
    assert [1] == reads


@pytest.mark.parametrize("installed", [False, True], ids=["by the filter", "by the factory"])
def test_level_that_is_off(monkeypatch: pytest.MonkeyPatch, *, installed: bool) -> None:
    """A line that is not logged reads nothing."""
    monkeypatch.setattr(logs, "current", None)
    if installed:
        logs.install()
    Log("shop", logs.TraceFilter()).logger.debug("hello")


@pytest.mark.parametrize("installed", [False, True], ids=["by the filter", "by the factory"])
def test_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, installed: bool
) -> None:
    """A fault of ours costs the ids, and not the line; it is said once."""
    monkeypatch.setattr(logs, "current", None)
    log = Log("shop", *[] if installed else [logs.TraceFilter()])
    if installed:
        logs.install()
    for _ in range(2):
        log.logger.info("hello")
    assert [NOTHING] * 2 == log.lines
    assert ["meshtrace: a fault while reading the ids for a log record; going on without"] == (
        caplog.messages
    )


def test_line_about_the_headers_themselves(caplog: pytest.LogCaptureFixture) -> None:
    """What meshtrace logs while it judges a request's headers has that request's ids, too."""
    logs.install()
    caplog.set_level(logging.DEBUG, "meshtrace")
    with meshtrace.use({"x-request-id": "7", "traceparent": "?"}):
        logging.getLogger("shop").warning("hello")
    found = [(record.getMessage(), vars(record)["request_id"]) for record in caplog.records]
    assert [("meshtrace: not relayed", "7"), ("hello", "7")] == [
        (message.partition(":" if "hello" in message else ": {")[0], request_id)
        for message, request_id in found
    ]


def test_queue() -> None:
    """On a queue's handler, the filter runs where the line is logged."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    log = Log("shop")
    sending = logging.handlers.QueueHandler(records)
    sending.addFilter(logs.TraceFilter())
    logger = logging.Logger("shop")  # noqa: LOG001 - for one test
    logger.addHandler(sending)
    listener = logging.handlers.QueueListener(records, log.handler)
    listener.start()
    with meshtrace.use(CAME):
        logger.info("hello")
    listener.stop()
    assert [LINE] == log.lines


def test_threads() -> None:
    """Each thread's lines have its own request's ids."""
    log = Log("shop", logs.TraceFilter())

    def work(number: int) -> None:
        with meshtrace.use({"x-request-id": str(number)}):
            for _ in range(20):
                log.logger.info("%d", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 160 == len(log.lines)
    assert all(line.split()[0] == line.split()[-1] for line in log.lines)


def _request(attribute: str, key: str) -> Any:  # noqa: ANN401 - some framework's request
    """Make a request that a middleware has seen, and that has ended."""
    with meshtrace.use(CAME):
        return SimpleNamespace(**{attribute: {key: CURRENT.get()}})


REQUESTS = pytest.mark.parametrize(
    ("attribute", "key"),
    [("scope", SCOPE_KEY), ("META", ENVIRON_KEY), ("environ", ENVIRON_KEY)],
    ids=["ASGI", "Django under WSGI", "WSGI"],
)


@REQUESTS
@pytest.mark.parametrize("factory", [False, True], ids=["a filter", "a factory"])
def test_a_record_that_names_its_request(attribute: str, key: str, *, factory: bool) -> None:
    """Outside any request, it has the ids of the one that it names; inside, of the current one."""
    log = Log("shop", logs.TraceFilter("none")) if not factory else Log("shop")
    if factory:
        logs.install("none")
    request = _request(attribute, key)
    log.logger.info("hello", extra={"request": request})
    with meshtrace.use({"x-request-id": "other"}):
        log.logger.info("hello", extra={"request": request})
    assert [LINE, "hello none none none other"] == log.lines


def test_a_record_that_names_its_request_and_an_id() -> None:
    """What the caller says counts, and so does what another factory says."""
    before = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - as logging has it
        record = before(*args, **kwargs)
        record.span_id = "theirs"
        return record

    logging.setLogRecordFactory(factory)
    logs.install()
    log = Log("shop")
    request = _request("scope", SCOPE_KEY)
    log.logger.info("hello", extra={"request": request, "request_id": "mine"})
    log.logger.info("hello", extra={"request": request, "trace_id": "-"})
    assert [
        f"hello {TRACE_ID} theirs 01 mine",
        f"hello - theirs 01 {REQUEST_ID}",
    ] == log.lines


class _Strange:
    """What no request is, and an application may call so: it fails wherever it is touched."""

    def __getattribute__(self, name: str) -> object:
        """Fail."""
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param("GET /", id="a text"),
        pytest.param(_Strange(), id="one that fails"),
        pytest.param(SimpleNamespace(META={}, scope=None), id="one that nobody has seen"),
        pytest.param(SimpleNamespace(META={ENVIRON_KEY: "?"}), id="one with something else"),
    ],
)
def test_a_request_that_is_none(request_: object, caplog: pytest.LogCaptureFixture) -> None:
    """A record that names something else has no ids, and nothing is said of it."""
    log = Log("shop", logs.TraceFilter())
    log.logger.info("hello", extra={"request": request_})
    assert [NOTHING] == log.lines
    assert [] == caplog.messages


@pytest.fixture
def _root_logger() -> Iterator[None]:
    """Put logging back as it was."""
    root = logging.getLogger()
    before = root.level, [*root.handlers]
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.mark.usefixtures("_root_logger")
@pytest.mark.parametrize(
    ("options", "expected"), [({}, NOTHING), ({"default": "none"}, "hello none none none none")]
)
def test_dict_config(
    options: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In ``dictConfig`` the filter is named by its dotted path, with its options."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"trace": {"()": "meshtrace.logs.TraceFilter", **options}},
            "formatters": {"line": {"format": FORMAT}},
            "handlers": {
                "console": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "filters": ["trace"],
                    "formatter": "line",
                }
            },
            "root": {"handlers": ["console"], "level": "INFO"},
        }
    )
    logging.getLogger("shop").info("hello")
    assert f"{expected}\n" == capsys.readouterr().out


def test_structlog() -> None:
    """As a processor of structlog it adds the fields, and leaves those that are there."""
    written = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(written),
        processors=[logs.add_ids, structlog.processors.JSONRenderer(sort_keys=True)],
    )
    with meshtrace.use(CAME):
        log.info("hello", request_id="mine")
    log.info("hello")
    expected = {"event": "hello", "span_id": SPAN_ID, "trace_flags": "01", "trace_id": TRACE_ID}
    assert [
        {**expected, "request_id": "mine"},
        {"event": "hello", **dict.fromkeys(logs.FIELDS, "-")},
    ] == [json.loads(line) for line in written.getvalue().splitlines()]


def test_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, the fields are there, and say that there is nothing."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    log = Log("shop", logs.TraceFilter())
    with meshtrace.use(CAME):
        log.logger.info("hello")
    assert [NOTHING] == log.lines

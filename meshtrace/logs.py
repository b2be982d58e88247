"""
The ids of the current request on every log record.

As a filter, in ``dictConfig`` by its dotted path; as a record factory, for every record of the
process; as a processor of structlog; as a plain dict, for anything else:

    "filters": {"trace": {"()": "meshtrace.logs.TraceFilter"}}
    meshtrace.logs.install()
    structlog.configure(processors=[meshtrace.logs.add_ids, ...])
    meshtrace.logs.ids()

The fields are ``trace_id``, ``span_id``, ``trace_flags`` (the names of OpenTelemetry's
specification "Trace Context in non-OTLP Log Formats") and ``request_id``. All are always there, so
that a format that names them never fails; nothing here raises, and no record is dropped.

A record that is written outside any request, and names one (``extra={"request": request}``), has
the ids of that one. Django writes its own so, of a 404 for one, when its middlewares have ended.
"""

import functools
import logging
from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar

from meshtrace import notices
from meshtrace.ambient import CURRENT, current
from meshtrace.context import TraceContext
from meshtrace.relay.extract import ENVIRON_KEY, SCOPE_KEY
from meshtrace.relay.snapshot import Snapshot
from meshtrace.replacing import Function, Replacement

__all__ = ["FIELDS", "NONE", "TraceFilter", "add_ids", "ids", "install", "uninstall"]

M = TypeVar("M", bound=MutableMapping[str, Any])

FIELDS = ("trace_id", "span_id", "trace_flags", "request_id")
"""The fields of a record."""

NONE = "-"
"""What a field says that the request does not have, and every field outside any request."""

_TRACE_ID_DIGITS = 32
_PLACES = (("scope", SCOPE_KEY), ("META", ENVIRON_KEY), ("environ", ENVIRON_KEY))
"""Where a request object has what a middleware kept."""


def ids(default: str = NONE) -> dict[str, str]:
    """
    Give the ids of the current request, for a log.

    Args:
        default: What a field says that the request does not have.

    Returns:
        The `FIELDS`: ``trace_id`` of 32 lower-case hex digits (one that came with 16 has 16 zeros
        before them), ``span_id`` of 16 (the caller's span: Envoy's), ``trace_flags`` of two (01 is
        sampled), and ``request_id`` as it came.

    >>> from meshtrace.handover import use
    >>> with use({"b3": "463ac35c9f6413ad-a2fb4a1d1a96d312-1"}):
    ...     ids()["trace_id"], ids()["trace_flags"], ids()["request_id"]
    ('0000000000000000463ac35c9f6413ad', '01', '-')
    """
    return _told(None, default)


def _told(request: object, default: str) -> dict[str, str]:
    try:
        context = _context(request)
        trace_id, span_id, flags = default, default, default
        if context.trace_id is not None and context.span_id is not None:
            trace_id = context.trace_id.rjust(_TRACE_ID_DIGITS, "0")
            span_id = context.span_id
            flags = f"{context.trace_flags:02x}"
        values = (trace_id, span_id, flags, context.request_id or default)
    except Exception:  # noqa: BLE001 - the application's line must be logged
        notices.fault("reading the ids for a log record")
        values = (default, default, default, default)
    return dict(zip(FIELDS, values, strict=True))


def _context(request: object) -> TraceContext:
    snapshot = None
    if request is not None and CURRENT.get() is None:
        snapshot = _kept_in(request)
    return current() if snapshot is None else snapshot.remote_parent()


def _kept_in(request: object) -> Snapshot | None:
    for attribute, key in _PLACES:
        try:
            kept = getattr(request, attribute, {}).get(key)
        except Exception:  # noqa: BLE001, S112 - it may be anything that the application calls so
            continue
        if isinstance(kept, Snapshot):
            return kept
    return None


class TraceFilter(logging.Filter):
    """
    Puts the ids of the current request on every record, and lets every record through.

    On a handler it sees all records that the handler writes; on a logger, those of that logger and
    of none below it. A field that a record has already stays as it is.

    Args:
        default: What a field says that the request does not have.

    >>> record = logging.makeLogRecord({"msg": "hello", "request_id": "mine"})
    >>> TraceFilter().filter(record), record.trace_id, record.request_id
    (True, '-', 'mine')
    """

    def __init__(self, default: str = NONE) -> None:
        super().__init__()
        self.default = default

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the ids on *record*."""
        _fill(record.__dict__, self.default)
        return True


def add_ids(_logger: object, _method: str, event: M) -> M:
    """
    Put the ids of the current request into an event of structlog: a processor.

    >>> add_ids(None, "info", {"event": "hello", "request_id": "mine"})["request_id"]
    'mine'
    """
    _fill(event, NONE)
    return event


def install(default: str = NONE) -> None:
    """
    Put the ids of the current request on every record of the process, whoever handles it.

    A record factory that is there stays at work under this one. Installing twice is installing
    once, with the later *default*. What a caller says in ``extra`` counts.

    Args:
        default: What a field says that the request does not have.

    >>> install()
    >>> logging.makeLogRecord({}).trace_id
    '-'
    >>> uninstall()
    """
    global _default  # noqa: PLW0603 - a process has one record factory
    _default = default
    _EXTRA.put()
    factory: Function | None = logging.getLogRecordFactory()
    while factory is not None and factory not in _originals:
        factory = getattr(factory, "__wrapped__", None)
    if factory is None:
        logging.setLogRecordFactory(_filling(logging.getLogRecordFactory()))


def uninstall() -> None:
    """Undo `install`; where another factory stands over ours, ours stays and does nothing."""
    _EXTRA.give_back()
    factory = logging.getLogRecordFactory()
    if factory in _originals:
        logging.setLogRecordFactory(_originals.pop(factory))


def _fill(fields: MutableMapping[str, Any], default: str) -> None:
    # Where two filters and a factory see one record, the ids are read once.
    if any(name not in fields for name in FIELDS):
        for name, value in _told(fields.get("request"), default).items():
            fields.setdefault(name, value)


_default = NONE
_originals: dict[Function, Function] = {}


def _filling(original: Function) -> Function:
    @functools.wraps(original, updated=())
    def factory(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the original's own
        record = original(*args, **kwargs)
        if _EXTRA.on:
            _fill(record.__dict__, _default)
        return record

    _originals[factory] = original
    return factory


def _letting_extra_win(original: Function) -> Function:
    def make_record(  # noqa: PLR0913, PLR0917 - as Logger.makeRecord has it
        self: logging.Logger,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: object,
        exc_info: object,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        # The original refuses to overwrite what the factory has put on the record.
        theirs = {field: extra[field] for field in FIELDS if field in extra} if extra else {}
        if extra and theirs:
            extra = {field: value for field, value in extra.items() if field not in theirs}
        record: logging.LogRecord = original(
            self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo
        )
        record.__dict__.update(theirs)
        if extra and "request" in extra:
            # The factory did not know of it.
            for field, value in _told(extra["request"], _default).items():
                if field not in theirs and record.__dict__.get(field) == _default:
                    setattr(record, field, value)
        return record

    return make_record


_EXTRA = Replacement(logging.Logger, "makeRecord", _letting_extra_win)

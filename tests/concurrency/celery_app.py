"""Tasks for a worker, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, signals

import meshtrace
from tests.concurrency.ways import Seen, look

__all__ = [
    "app",
    "fail",
    "look_again",
    "look_and_send",
    "looked",
    "note",
    "sum_up",
    "wait_and_note",
]

FOLDER = os.environ.get("CELERY_TEST_FOLDER", "")
"""Where a worker in a process of its own has its broker."""

app = Celery("shop")
app.conf.update(
    broker_url="filesystem://" if FOLDER else "memory://",
    broker_transport_options={
        "data_folder_in": f"{FOLDER}/messages",
        "data_folder_out": f"{FOLDER}/messages",
        "control_folder": f"{FOLDER}/control",
    }
    if FOLDER
    else {"polling_interval": 0.01},
    result_backend=f"file://{FOLDER}" if FOLDER else "cache+memory://",
    broker_connection_retry_on_startup=True,
)
if FOLDER:
    meshtrace.patch("celery")


def _leave_logging_alone(**_: object) -> None:
    """Make the worker leave logging to the tests."""


signals.setup_logging.connect(_leave_logging_alone)


def _task(**options: Any) -> Callable[[Callable[..., Any]], Any]:  # noqa: ANN401 - Celery has no types
    """Make a function a task."""

    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - Celery has no types
        return app.task(**options)(function)

    return decorate


@_task()
def looked(*_: object) -> Seen:
    """Look."""
    return look()


@_task()
def note(path: str) -> None:
    """Look, and note what was seen in a file."""
    with Path(path).open("a") as file:
        file.write(json.dumps(look()) + "\n")


@_task()
def fail() -> None:
    """Fail."""
    raise LookupError


@_task(bind=True, max_retries=1, default_retry_delay=0)
def look_again(task: Any) -> list[Any]:  # noqa: ANN401 - Celery has no types
    """Look at the second attempt."""
    if not task.request.retries:
        raise task.retry()
    return [task.request.retries, look()]


@_task()
def look_and_send() -> list[Any]:
    """Look, and send another task, which looks."""
    return [look(), look.__name__, looked.delay().id]


@_task()
def sum_up(found: list[Seen]) -> list[Seen]:
    """Add what is seen here to what others saw."""
    return [*found, look()]


@_task()
def wait_and_note(path: str) -> None:
    """Say that it has begun; once that was taken away, note what is seen."""
    Path(path).write_text('"begun"\n')
    while Path(path).read_text():
        time.sleep(0.01)
    note(path)


@_task(bind=True, max_retries=1, default_retry_delay=0)
def retry_and_note(task: Any, path: str) -> None:  # noqa: ANN401 - Celery has no types
    """Note what is seen at the second attempt."""
    if not task.request.retries:
        raise task.retry()
    note(path)

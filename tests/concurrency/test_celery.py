"""Celery: a task runs for the request that sent it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group, signals
from celery.contrib.testing.worker import start_worker

import meshtrace
from meshtrace.concurrency import celery
from tests.concurrency.celery_app import (
    app,
    fail,
    look_again,
    look_and_send,
    looked,
    note,
    sum_up,
    wait_and_note,
)
from tests.concurrency.ways import CAME, look

ROOT = Path(__file__).parents[2]
OTHER = {"b3": "1"}
SECONDS = 20


@pytest.fixture(scope="module", autouse=True)
def _worker() -> Iterator[None]:
    """Run a worker with one thread in this process, and an in-memory broker."""
    with start_worker(
        app, pool="threads", concurrency=1, perform_ping_check=False, shutdown_timeout=30
    ):
        yield


@pytest.fixture(autouse=True)
def _patched() -> None:
    meshtrace.patch("celery")


def _got(result: Any) -> Any:  # noqa: ANN401 - Celery has no types
    return result.get(timeout=SECONDS, interval=0.01)


def test_task() -> None:
    """A task runs for the request that sent it; one that was sent outside any, for none."""
    found = []
    for came in (CAME, OTHER):
        with meshtrace.use(came):
            found.append(looked.delay())
    found.append(looked.apply_async(headers={"mine": "1"}))
    assert [CAME, OTHER, {}] == [_got(result) for result in found]


def test_user_data() -> None:
    """What the application set goes along, and is there though the request has ended."""
    results: list[Any] = []

    def serve(_environ: object, _start_response: object) -> list[bytes]:
        meshtrace.set_header("end-user", "jason")
        results.append(looked.apply_async(countdown=0.1))
        return []

    meshtrace.MeshTraceWSGI(serve)({"HTTP_B3": "0"}, lambda *_: print)
    assert {"b3": "0", "end-user": "jason"} == _got(results[0])


def test_headers_of_the_caller_stay() -> None:
    """The caller's own message headers go along, and its dictionary stays as it was."""
    headers = {"mine": "1"}
    with meshtrace.use(CAME):
        assert CAME == _got(looked.apply_async(headers=headers))
    assert {"mine": "1"} == headers


def test_retry() -> None:
    """A retry runs for the request, too."""
    with meshtrace.use(CAME):
        assert [1, CAME] == _got(look_again.delay())


def test_task_of_a_task() -> None:
    """What a task sends runs for the request."""
    with meshtrace.use(CAME):
        seen, _, inner = _got(look_and_send.delay())
    assert [CAME, CAME] == [seen, _got(app.AsyncResult(inner))]


def test_canvas() -> None:
    """Each task of a chain, a group and a chord runs for the request."""
    with meshtrace.use(CAME):
        results = [
            chain(looked.si(), looked.s(), looked.s())(),
            group(looked.s(), looked.s())(),
            chord([looked.s(), looked.s()], sum_up.s())(),
        ]
    assert [CAME, [CAME, CAME], [CAME, CAME, CAME]] == [_got(result) for result in results]


@pytest.mark.usefixtures("errors_logged")
def test_callbacks(tmp_path: Path) -> None:
    """What is linked to a task, for its success or for its failure, runs for the request."""
    notes = tmp_path / "notes"
    with meshtrace.use(CAME):
        looked.apply_async(link=note.si(str(notes)))
        failed = fail.apply_async(link_error=note.si(str(notes)))
    with pytest.raises(LookupError):
        _got(failed)
    assert [CAME, CAME] == _lines(notes, 2)


@pytest.mark.usefixtures("errors_logged")
def test_nothing_is_kept() -> None:
    """After a task that failed, the next one that was sent outside any request sees none."""
    with meshtrace.use(CAME):
        failed = fail.delay()
    with pytest.raises(LookupError):
        _got(failed)
    assert {} == _got(looked.delay())


def test_eager() -> None:
    """An eager task runs for its caller, who keeps the request; in a task, for that task's."""
    with meshtrace.use(CAME):
        assert CAME == looked.apply().get()
        assert CAME == looked.apply(headers={"meshtrace": {"b3": "1"}}).get()
        assert [1, CAME] == look_again.apply().get()
        assert CAME == look()
    assert {} == looked.apply().get()


def _speak(protocol: int) -> None:
    app.conf.task_protocol = protocol
    # Celery keeps what makes its messages.
    vars(app.amqp).pop("create_task_message", None)


@pytest.fixture
def _older_protocol() -> Iterator[None]:
    _speak(1)
    yield
    _speak(2)


@pytest.mark.usefixtures("_older_protocol")
def test_older_protocol() -> None:
    """Version 1 of Celery's message protocol carries the context as well."""
    sent: list[object] = []

    def keep(body: object, **_: object) -> None:
        sent.append(body)

    signals.before_task_publish.connect(keep)
    with meshtrace.use(CAME):
        assert CAME == _got(looked.delay())
    signals.before_task_publish.disconnect(keep)
    # In version 2 it is a tuple.
    assert [dict] == [*map(type, sent)]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"b3": "no"}, id="a header that is malformed"),
        pytest.param({}, id="an empty one"),
        pytest.param(7, id="a number"),
        pytest.param("b3", id="a text"),
        pytest.param(["b3"], id="a list"),
    ],
)
def test_strange_message(header: object) -> None:
    """A message with something strange in it is worked on, for no request."""
    assert {} == _got(looked.apply_async(headers={celery.HEADER: header}))


@pytest.mark.parametrize(("ours", "doing"), [("capture", "sending"), ("use", "starting")])
def test_fault(
    ours: str, doing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours keeps no task from being sent, and none from being worked on."""
    monkeypatch.setattr(celery, ours, None)
    with meshtrace.use(CAME):
        result = looked.delay()
    assert {} == _got(result)
    assert [f"meshtrace: a fault while {doing} a task of Celery; going on without"] == [
        record.getMessage() for record in caplog.records if record.name == "meshtrace"
    ]


def test_unpatched() -> None:
    """Taken back, nothing of ours listens; patching twice is patching once."""
    meshtrace.patch("celery")
    meshtrace.unpatch("celery")
    with meshtrace.use(CAME):
        assert {} == _got(looked.delay())
    for beginning in (signals.before_task_publish, signals.task_prerun):
        assert "meshtrace" not in str(beginning.receivers)


def test_unpatched_while_a_task_is_at_work(tmp_path: Path) -> None:
    """A task that is at work keeps its request to its end, and leaves nothing behind."""
    notes = tmp_path / "notes"
    with meshtrace.use(CAME):
        result = wait_and_note.delay(str(notes))
    assert ["begun"] == _lines(notes, 1)
    meshtrace.unpatch("celery")
    notes.write_text("")
    _got(result)
    assert [CAME] == _lines(notes, 1)
    assert {} == _got(looked.delay())


def _lines(path: Path, number: int) -> list[Any]:
    """Wait until a file has so many lines of JSON."""
    deadline = time.monotonic() + SECONDS
    lines: list[str] = []
    while len(lines) < number and time.monotonic() < deadline:
        time.sleep(0.01)
        lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


@pytest.fixture
def worker_folder(tmp_path: Path) -> Iterator[Path]:
    """Run a worker with a process for its tasks, in a process of its own; give its folder."""
    for folder in ("messages", "control"):
        (tmp_path / folder).mkdir()
    log = tmp_path / "log"
    worker = [sys.executable, "-m", "celery", "-A", "tests.concurrency.celery_app", "worker"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*worker, "--pool", "prefork", "--concurrency", "1", "--without-mingle"],
            cwd=ROOT,
            env={**os.environ, "CELERY_TEST_FOLDER": str(tmp_path)},
            stdout=output,
            stderr=output,
        )
    try:
        yield tmp_path
    finally:
        process.send_signal(signal.SIGQUIT)  # a cold shutdown
        process.wait(30)


SENDING = """
import sys, meshtrace
from tests.concurrency.celery_app import note, retry_and_note
notes = sys.argv[1]
with meshtrace.use({"b3": "0"}):
    retry_and_note.delay(notes)
with meshtrace.use({"b3": "1"}):
    note.delay(notes)
note.delay(notes)
"""


def test_worker_process(worker_folder: Path) -> None:
    """Between processes it is the same, for retries as well; the worker's process keeps nothing."""
    subprocess.run(
        [sys.executable, "-c", SENDING, str(worker_folder / "notes")],
        cwd=ROOT,
        env={**os.environ, "CELERY_TEST_FOLDER": str(worker_folder)},
        check=True,
    )
    found = _lines(worker_folder / "notes", 3)
    assert [{}, {"b3": "0"}, {"b3": "1"}] == sorted(found, key=lambda seen: seen.get("b3", ""))

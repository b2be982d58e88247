"""Recipes for work that is queued, scheduled, or done by a worker that a request starts."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

import meshtrace
from tests.concurrency.ways import CAME, Seen, look

ROOT = Path(__file__).parents[2]
OTHER = {"b3": "1"}
USER_DATA = {"end-user": "jason"}

WORKER = """
import json, sys, meshtrace
for line in sys.stdin:
    job = json.loads(line)
    with meshtrace.use(job["trace"]):
        print(json.dumps([job["order"], meshtrace.headers("http://reviews/")]))
"""


def _message(order: int) -> str:
    return json.dumps({"order": order, "trace": meshtrace.capture()})


def test_queue() -> None:
    """A worker in another process, without settings, does each job for the request it came from."""
    messages = []
    for order, came in enumerate([CAME, OTHER, {}]):
        with meshtrace.use(came):
            meshtrace.set_header("end-user", "jason")
            messages.append(_message(order))
    messages.append(_message(3))
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        cwd=ROOT,
        input="\n".join(messages),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [
        [0, {**CAME, **USER_DATA}],
        [1, {**OTHER, **USER_DATA}],
        [2, USER_DATA],
        [3, {}],
    ] == [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["nothing patched", "everything patched"])
def _patches(request: pytest.FixtureRequest) -> None:
    if request.param == "everything patched":
        meshtrace.patch("concurrent.futures", "threading")


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    """Give a scheduler of APScheduler that nobody has started yet."""
    scheduler = BackgroundScheduler(timezone="UTC")
    yield scheduler
    # Its thread forgets a job after it has begun, and must not be interrupted at that.
    deadline = time.monotonic() + 10
    while scheduler.get_jobs() and time.monotonic() < deadline:
        time.sleep(0.001)
    scheduler.shutdown()


@pytest.mark.usefixtures("_patches")
def test_scheduled_job(scheduler: BackgroundScheduler) -> None:
    """A scheduled job has no context, also if a request has scheduled it: nothing is sent."""
    found: queue.SimpleQueue[Seen] = queue.SimpleQueue()
    scheduler.start()
    with meshtrace.use(CAME):
        scheduler.add_job(lambda: found.put(look()))
    assert {} == found.get(timeout=10)


@pytest.mark.usefixtures("_patches")
def test_scheduler_that_a_request_starts(scheduler: BackgroundScheduler) -> None:
    """A scheduler that is started inside a request is started detached; jobs can be carried."""
    found: queue.SimpleQueue[Seen] = queue.SimpleQueue()
    with meshtrace.use(CAME):
        with meshtrace.detached():
            scheduler.start()
        scheduler.add_job(lambda: found.put(look()))
        assert {} == found.get(timeout=10)
        scheduler.add_job(meshtrace.carry(lambda: found.put(look())))
        assert CAME == found.get(timeout=10)


class Worker:
    """A worker that is started when it is first needed."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def do(self, job: Callable[[], object]) -> None:
        """Have a job done."""
        if self.thread is None:
            with meshtrace.detached():
                self.thread = threading.Thread(target=self._serve)
                self.thread.start()
        self.jobs.put(job)

    def _serve(self) -> None:
        while job := self.jobs.get():
            job()

    def end(self) -> None:
        """End."""
        self.jobs.put(None)
        if self.thread:
            self.thread.join()


@pytest.mark.usefixtures("_patches")
def test_worker_that_a_request_starts() -> None:
    """The first request that needs the worker is not taken for that of all the jobs after."""
    worker = Worker()
    found: list[Seen] = []

    def job() -> None:
        found.append(look())

    with meshtrace.use(CAME):
        worker.do(job)
        worker.do(meshtrace.carry(job))
    worker.do(job)
    with meshtrace.use(OTHER):
        worker.do(meshtrace.carry(job))
    worker.end()
    assert [{}, CAME, {}, OTHER] == found

"""
How a way is run: inside a request, with what its code names, here or in a process of its own.

``python -m tests.concurrency.running CODE [PATCH]``: do the work, which prints what it sees.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import inspect
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from multiprocessing import get_context
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import CodeType
from typing import Any

import anyio.to_thread
import gevent
import gevent.pool
import greenlet
from gevent import monkey

import meshtrace
from tests.concurrency import ways
from tests.concurrency.ways import CAME, Seen, Way, seen

__all__ = ["run"]

ROOT = Path(__file__).parents[2]
SECONDS = 20

Jobs = queue.SimpleQueue[Callable[[], object]]


def run(way: Way, code: str, patch: str = "") -> list[Seen]:
    """
    Run one way's *code* inside a request, and give what was seen.

    Args:
        way: How it is to be run.
        code: What is to be run.
        patch: What to patch.
    """
    if way.alone:
        return _run_alone(code, patch)
    seen.clear()
    _run_here(code, patch, sync=way.sync)
    return [*seen]


def _run_alone(code: str, patch: str) -> list[Seen]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.concurrency.running", code, patch],
        cwd=ROOT,
        env={**os.environ, ways.ALONE: "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _run_here(code: str, patch: str, *, sync: bool) -> None:
    if patch:
        meshtrace.patch(patch)
    if sync:
        _run_sync(code)
    else:
        asyncio.run(_run_async(code))


def _run_sync(code: str) -> None:
    before = signal.signal(signal.SIGTERM, ways.work)
    try:
        with meshtrace.use(CAME):
            names = _run_code(code)
            if isinstance(names["value"], Iterator):
                # What is lazy is done when it is asked for.
                list(names["value"])
    finally:
        signal.signal(signal.SIGTERM, before)
        gevent.get_hub().destroy(destroy_loop=True)


async def _run_async(code: str) -> None:
    task_jobs: asyncio.Queue[Callable[[], object]] = asyncio.Queue()
    task = asyncio.create_task(_take(task_jobs))
    with _thread() as thread_jobs, ThreadPool(1) as thread_pool, meshtrace.use(CAME):
        names = _run_code(
            code,
            loop=asyncio.get_running_loop(),
            task_made_before=task_jobs,
            thread_made_before=thread_jobs,
            thread_pool=thread_pool,
        )
        if inspect.iscoroutine(names["value"]):
            await names["value"]
        deadline = time.monotonic() + SECONDS
        while not seen and time.monotonic() < deadline:  # noqa: ASYNC110 - work knows of no event
            await asyncio.sleep(0.001)
    task.cancel()


def _run_code(code: str, **more: object) -> dict[str, Any]:
    names = {**_NAMES, **more, "value": None}
    names["value"] = eval(_compiled(code), names) or names["value"]  # noqa: S307 - it stands in the tests
    return names


_NAMES: dict[str, Any] = {
    **{name: getattr(ways, name) for name in ("work", "work_async", "work_with", "lines")},
    "other": lambda: asyncio.sleep(0),
    "other_work": lambda: time.sleep(0.05),
    "urls": ["http://reviews:9080/", "http://details:9080/"],
    "capture": meshtrace.capture,
    "carry": meshtrace.carry,
    "meshtrace": meshtrace,
    "anyio": anyio,
    "asyncio": asyncio,
    "atexit": atexit,
    "gevent": gevent,
    "greenlet": greenlet,
    "monkey": monkey,
    "run_coroutine_threadsafe": asyncio.run_coroutine_threadsafe,
    "signal": signal,
    "Context": Context,
    "ProcessPoolExecutor": ProcessPoolExecutor,
    "Thread": threading.Thread,
    "ThreadPoolExecutor": ThreadPoolExecutor,
    "Timer": threading.Timer,
    "copy_context": copy_context,
    "fork": get_context("fork"),
    "spawn": get_context("spawn"),
}


def _compiled(code: str) -> CodeType:
    tree = ast.parse(code)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.Assign([ast.Name("value", ast.Store())], last.value)
    compiled: CodeType = compile(
        ast.fix_missing_locations(tree), "<way>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    return compiled


@contextmanager
def _thread() -> Iterator[Jobs]:
    """Run a thread that was there before the request, and does what is put on its queue."""
    jobs: Jobs = queue.SimpleQueue()
    goes_on = True

    def take() -> None:
        while goes_on:
            jobs.get()()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield jobs
    finally:
        goes_on = False
        jobs.put(int)
        thread.join()


async def _take(jobs: asyncio.Queue[Callable[[], object]]) -> None:
    while True:
        (await jobs.get())()


if __name__ == "__main__":
    _run_here(*sys.argv[1:3], sync=True)

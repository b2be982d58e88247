"""
The ways to run code elsewhere: each is run as it stands here, and shown as it stands here.

In the code of a way, ``work`` is what is to be run for the request: a function that looks which
request it runs for. ``work_async`` and ``lines`` are a coroutine function and a generator function
that do the same, ``work_with`` takes what ``meshtrace.capture`` gave.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import meshtrace

__all__ = ["ALONE", "CAME", "TABLES", "Seen", "Way", "lines", "look", "seen", "work", "work_async"]

Seen = dict[str, str]

CAME = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "sw8": "1-a-b-3-c-d-e-f"}
"""The headers of the request."""

seen: list[Seen] = []
"""What was at hand each time that the work was done in this process."""

ALONE = "WAY_RUNS_ALONE"
"""The variable of processes, and of those that they start, in which work prints what it sees."""


def look() -> Seen:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers("http://reviews:9080/reviews/0")


def work(*_: object) -> Seen:
    """Do the work."""
    found = look()
    seen.append(found)
    if ALONE in os.environ:
        print(json.dumps(found), flush=True)  # noqa: T201 - that is how it is told
    return found


async def work_async() -> Seen:
    """Do the work."""
    return work()


def lines() -> Iterator[Seen]:
    """Do the work in steps."""
    yield work()


def work_with(message: dict[str, str]) -> Seen:
    """Do the work for the request in a message."""
    with meshtrace.use(message):
        return work()


@dataclass(frozen=True)
class Way:
    """
    One way to run code elsewhere.

    Args:
        code: Runs the work.
        follows: Whether the context is there, without a patch and without anything else written.
        patch: What `meshtrace.patch` makes it be there.
        write: What else does.
        alone: Run it in a process of its own.
        sync: Run it outside of any event loop.
    """

    code: str
    follows: bool = False
    patch: str = ""
    write: str = ""
    alone: bool = False
    sync: bool = False


TABLES = {
    "asyncio": (
        Way("await work_async()", follows=True),
        Way("await asyncio.create_task(work_async())", follows=True),
        Way("await asyncio.gather(work_async(), work_async())", follows=True),
        Way("await asyncio.wait_for(work_async(), 5)", follows=True),
        Way("asyncio.run(work_async())", follows=True, sync=True),
        Way("loop.call_soon(work)", follows=True),
        Way("loop.call_later(0.01, work)", follows=True),
        Way("asyncio.create_task(other()).add_done_callback(work)", follows=True),
        Way("await asyncio.to_thread(work)", follows=True),
        Way("await anyio.to_thread.run_sync(work)", follows=True),
        Way(
            "await loop.run_in_executor(None, work)",
            patch="concurrent.futures",
            write="await loop.run_in_executor(None, carry(work))",
        ),
        Way("await task_made_before.put(work)", write="await task_made_before.put(carry(work))"),
        Way(
            "Thread(target=loop.call_soon_threadsafe, args=[work]).start()",
            patch="threading",
            write="Thread(target=loop.call_soon_threadsafe, args=[carry(work)]).start()",
        ),
        Way(
            "Thread(target=lambda: run_coroutine_threadsafe(work_async(), loop)).start()",
            patch="threading",
            write="carried = carry(work_async); "
            "Thread(target=lambda: run_coroutine_threadsafe(carried(), loop)).start()",
        ),
    ),
    "threads": (
        Way(
            "ThreadPoolExecutor().submit(work)",
            patch="concurrent.futures",
            write="ThreadPoolExecutor().submit(carry(work))",
        ),
        Way(
            "ThreadPoolExecutor().map(work, urls)",
            patch="concurrent.futures",
            write="ThreadPoolExecutor().map(carry(work), urls)",
        ),
        Way(
            "ThreadPoolExecutor().submit(other_work).add_done_callback(work)",
            write="ThreadPoolExecutor().submit(other_work).add_done_callback(carry(work))",
        ),
        Way(
            "Thread(target=work).start()",
            patch="threading",
            write="Thread(target=carry(work)).start()",
        ),
        Way(
            "Timer(0.01, work).start()",
            patch="threading",
            write="Timer(0.01, carry(work)).start()",
        ),
        Way("thread_pool.apply_async(work)", write="thread_pool.apply_async(carry(work))"),
        Way(
            "thread_made_before.put(work)",
            write="thread_made_before.put(carry(work))",
        ),
    ),
    "gevent": (
        Way(
            "gevent.spawn(work).join()",
            patch="gevent",
            write="gevent.spawn(carry(work)).join()",
            sync=True,
        ),
        Way(
            "gevent.spawn_later(0.01, work).join()",
            patch="gevent",
            write="gevent.spawn_later(0.01, carry(work)).join()",
            sync=True,
        ),
        Way(
            "gevent.pool.Pool(2).map(work, urls)",
            patch="gevent",
            write="gevent.pool.Pool(2).map(carry(work), urls)",
            sync=True,
        ),
        Way(
            "gevent.pool.Group().imap_unordered(work, urls)",
            patch="gevent",
            write="gevent.pool.Group().imap_unordered(carry(work), urls)",
            sync=True,
        ),
        Way(
            "monkey.patch_all(); Thread(target=work).start()",
            patch="gevent",
            write="monkey.patch_all(); Thread(target=carry(work)).start()",
            alone=True,
            sync=True,
        ),
        Way(
            "gevent.get_hub().threadpool.spawn(work).get()",
            write="gevent.get_hub().threadpool.spawn(carry(work)).get()",
            sync=True,
        ),
        Way(
            "greenlet.greenlet(work).switch()",
            write="greenlet.greenlet(carry(work)).switch()",
            sync=True,
        ),
    ),
    "processes": (
        Way(
            "ProcessPoolExecutor(1, fork).submit(work).result()",
            write="ProcessPoolExecutor(1, fork).submit(work_with, capture()).result()",
            alone=True,
            sync=True,
        ),
        Way(
            "ProcessPoolExecutor(1, spawn).submit(work).result()",
            write="ProcessPoolExecutor(1, spawn).submit(work_with, capture()).result()",
            alone=True,
            sync=True,
        ),
        Way(
            "fork.Process(target=work).start()",
            write="fork.Process(target=carry(work)).start()",
            alone=True,
            sync=True,
        ),
        Way(
            "atexit.register(work)",
            write="atexit.register(carry(work))",
            alone=True,
            sync=True,
        ),
    ),
    "python": (
        Way("copy_context().run(work)", follows=True, sync=True),
        Way("Context().run(work)", write="Context().run(carry(work))", sync=True),
        Way("Context().run(list, lines())", write="Context().run(list, carry(lines)())", sync=True),
        Way("signal.raise_signal(signal.SIGTERM)", follows=True, sync=True),
    ),
}
"""The ways, by the heading under which they stand."""

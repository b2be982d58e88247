"""concurrent.futures: the jobs of a pool run for the request that submitted them."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import meshtrace
from meshtrace.concurrency import futures
from tests.concurrency.ways import CAME, Seen, look

ROOT = Path(__file__).parents[2]
OTHER = {"b3": "1"}


@pytest.fixture(name="pool")
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Give a pool with one thread, whose jobs follow."""
    meshtrace.patch("concurrent.futures")
    with ThreadPoolExecutor(1) as pool:
        yield pool


def look_on(*_: object) -> Seen:
    """Give what is at hand, whatever is asked."""
    return look()


def test_default() -> None:
    """It is on with all the others."""
    meshtrace.patch()
    with ThreadPoolExecutor(1) as pool, meshtrace.use(CAME):
        assert CAME == pool.submit(look).result()


def test_each_job_has_its_own(pool: ThreadPoolExecutor) -> None:
    """Each job runs for the request that submitted it; the thread keeps none of them."""
    jobs = []
    for came in (CAME, OTHER, {}):
        with meshtrace.use(came):
            jobs.append(pool.submit(look))
    jobs.append(pool.submit(look))
    assert [CAME, OTHER, {}, {}] == [job.result() for job in jobs]


def test_many_requests() -> None:
    """Many requests at once submit to one pool: no job sees another's."""
    meshtrace.patch("concurrent.futures")

    def request(number: int) -> list[str]:
        with meshtrace.use({"x-request-id": str(number)}):
            jobs = [pool.submit(look) for _ in range(10)] + [pool.submit(look)]
            return [job.result()["x-request-id"] for job in jobs]

    with ThreadPoolExecutor(8) as pool, ThreadPoolExecutor(32) as requests:
        found = list(requests.map(request, range(100)))
    assert [[str(number)] * 11 for number in range(100)] == found


def test_map_is_called_here(pool: ThreadPoolExecutor) -> None:
    """The items of map run for the request that called it, whoever asks for the results."""
    with meshtrace.use(CAME):
        results = pool.map(look_on, [1, 2])
    with meshtrace.use(OTHER):
        assert [CAME, CAME] == list(results)


def test_map_of_several_iterables(pool: ThreadPoolExecutor) -> None:
    """Arguments, chunk size, timeout and errors of map are those of the original."""
    assert [11, 22] == list(pool.map(lambda a, b: a + b, [1, 2], [10, 20], timeout=5, chunksize=2))
    with pytest.raises(ZeroDivisionError):
        list(pool.map(lambda number: 1 / number, [0]))


def test_map_consumes_as_before(pool: ThreadPoolExecutor) -> None:
    """What is to be mapped is asked for its items in the caller's thread and context."""
    asked: list[tuple[object, Seen]] = []

    def items() -> Iterator[int]:
        asked.append((threading.current_thread(), look()))
        yield 1

    with meshtrace.use(CAME):
        pool.map(look_on, items())
    assert [(threading.current_thread(), CAME)] == asked


class _Lazy(ThreadPoolExecutor):
    """A pool whose map submits when results are asked for, as with ``buffersize``."""

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:  # noqa: ANN401 - as Executor.map
        return (self.submit(fn, *args).result() for args in zip(*iterables, strict=True))


def test_map_that_submits_later() -> None:
    """Where map submits when it is asked for more, the context is still that of its call."""
    meshtrace.patch("concurrent.futures")
    replaced = futures._mapping(_Lazy.map)  # noqa: SLF001 - what Python 3.14 does
    with _Lazy(1) as pool:
        with meshtrace.use(CAME):
            results = replaced(pool, look_on, [1, 2])
        with meshtrace.use(OTHER):
            assert [CAME, CAME] == list(results)


class _Named(ThreadPoolExecutor):
    """A pool that notes what is submitted."""

    def __init__(self) -> None:
        super().__init__(1)
        self.submitted: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as Executor.submit
        """Note the name, and submit."""
        self.submitted.append(fn.__name__)
        return super().submit(fn, *args, **kwargs)


def test_subclass() -> None:
    """A subclass's own submit is called, with a function that has its name."""
    meshtrace.patch("concurrent.futures")
    with _Named() as pool, meshtrace.use(CAME):
        assert CAME == pool.submit(look).result()
        assert [CAME] == list(pool.map(look_on, [1]))
    assert ["look", "look_on"] == pool.submitted


def test_results_and_errors(pool: ThreadPoolExecutor) -> None:
    """Arguments, result, error and future are those of the original."""
    assert 8 == pool.submit(pow, 2, exp=3).result()
    job = pool.submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        job.result()
    assert Future is type(job)
    assert ["self", "fn", "args", "kwargs"] == [*inspect.signature(type(pool).submit).parameters]
    with pytest.raises(TypeError):
        pool.submit()  # type: ignore[call-arg]  # that is the mistake
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(look)


def test_coroutine_function(pool: ThreadPoolExecutor) -> None:
    """A coroutine function's job is to make a coroutine, as before."""

    async def look_later() -> Seen:
        return look()

    coroutine = pool.submit(look_later).result()
    with meshtrace.use(CAME):
        assert CAME == asyncio.run(coroutine)


def test_what_a_job_changes_stays_in_it(pool: ThreadPoolExecutor) -> None:
    """A context that a job sets and forgets is gone with it."""
    block = meshtrace.use(OTHER)
    pool.submit(block.__enter__).result()
    assert {} == pool.submit(look).result()


def test_user_data_ends_with_the_request(pool: ThreadPoolExecutor) -> None:
    """A job that outlives its request has the ids, and no user data any more."""
    go_on = threading.Event()

    def job() -> tuple[Seen, Seen]:
        first = look()
        during.set()
        go_on.wait(10)
        return first, look()

    during = threading.Event()
    jobs: list[Future[Any]] = []

    def app(_environ: object, _start_response: object) -> list[bytes]:
        jobs.append(pool.submit(job))
        during.wait(10)
        return []

    environ = {"HTTP_B3": "0", "HTTP_END_USER": "jason"}
    meshtrace.MeshTraceWSGI(app, forward="end-user")(environ, lambda *_: print)
    go_on.set()
    assert ({"b3": "0", "end-user": "jason"}, {"b3": "0"}) == jobs[0].result()


def test_explicit_context_wins(pool: ThreadPoolExecutor) -> None:
    """What was carried, or runs in a copied context, runs for that request."""
    with meshtrace.use(CAME):
        carried, context = meshtrace.carry(look), copy_context()
    with meshtrace.use(OTHER):
        assert CAME == pool.submit(carried).result()
        assert CAME == pool.submit(context.run, look).result()


async def _everywhere() -> list[Seen]:
    loop = asyncio.get_running_loop()
    with meshtrace.use(CAME):
        found = [await loop.run_in_executor(None, look), await asyncio.to_thread(look)]
        block = meshtrace.use(OTHER)
        await asyncio.to_thread(block.__enter__)
        found.append(look())
    return [*found, await loop.run_in_executor(None, look), await asyncio.to_thread(look)]


def test_loop() -> None:
    """The executor of a loop follows; ``to_thread`` does what it did, and only once."""
    meshtrace.patch("concurrent.futures")
    assert [CAME, CAME, CAME, {}, {}] == asyncio.run(_everywhere())


def test_nothing_is_kept_alive(pool: ThreadPoolExecutor) -> None:
    """Once a job is done, neither its function nor its argument is kept."""

    class Argument:
        """Something that can be watched."""

    argument = Argument()
    watched = weakref.ref(argument)
    with meshtrace.use(CAME):
        pool.submit(lambda _: None, argument).result()
    pool.submit(int).result()
    del argument
    gc.collect()
    assert watched() is None


def test_threads_are_started_for_nobody() -> None:
    """What a pool starts at its first job belongs to no request: it serves the later ones, too."""
    meshtrace.patch("concurrent.futures", "threading")
    found: list[Seen] = []
    with (
        meshtrace.use(CAME),
        ThreadPoolExecutor(1, initializer=lambda: found.append(look())) as pool,
    ):
        assert CAME == pool.submit(look).result()
    assert [{}] == found


def _job() -> Callable[..., Any]:
    jobs: list[Callable[..., Any]] = []

    class Watching(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:  # noqa: ANN401 - as Executor.submit
            jobs.append(fn)
            done: Future[Any] = Future()
            done.set_result(None)
            return done

    with Watching(1) as watching:
        list(watching.map(len, ["abc"]))
    return jobs[0]


def test_job_is_pickled_as_its_function() -> None:
    """An executor that sends its jobs elsewhere sends the function, without anything of ours."""
    meshtrace.patch("concurrent.futures")
    pickled = pickle.dumps(_job())
    assert b"meshtrace" not in pickled
    assert 3 == pickle.loads(pickled)("abc")  # noqa: S301 - our own


def test_unpatched() -> None:
    """Taken back, a pool is what it was; a job that was submitted before keeps its request."""
    submit, map_ = ThreadPoolExecutor.submit, ThreadPoolExecutor.map
    meshtrace.patch("concurrent.futures")
    meshtrace.patch("concurrent.futures")
    with ThreadPoolExecutor(1) as pool:
        go_on = threading.Event()
        pool.submit(go_on.wait)
        with meshtrace.use(CAME):
            job = pool.submit(look)
            meshtrace.unpatch("concurrent.futures")
            go_on.set()
            assert CAME == job.result()
            assert {} == pool.submit(look).result()
    assert (submit, map_) == (ThreadPoolExecutor.submit, ThreadPoolExecutor.map)
    assert "map" not in vars(ThreadPoolExecutor)


def test_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, nothing is replaced."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    submit = ThreadPoolExecutor.submit
    meshtrace.patch("concurrent.futures")
    assert submit is ThreadPoolExecutor.submit


def test_fault(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """An executor that cannot be patched works as without meshtrace, and that is said."""
    monkeypatch.setattr(futures, "_replaced", None)
    meshtrace.patch("concurrent.futures")
    monkeypatch.undo()
    with ThreadPoolExecutor(1) as pool:
        assert 3 == pool.submit(len, "abc").result()
    assert any("patching concurrent.futures" in record.getMessage() for record in caplog.records)


def _printed(code: str) -> list[Any]:
    """Run *code* in an interpreter of its own, and give the lines of JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_patched_before_it_is_loaded() -> None:
    """Patching imports nothing, and takes effect when a pool is loaded; so does taking it back."""
    assert [[False, False, False], CAME, {}] == _printed(
        f"""
import json, sys, meshtrace
meshtrace.patch("concurrent.futures")
names = ["concurrent.futures", "concurrent.futures.thread", "meshtrace.concurrency.futures"]
print(json.dumps([name in sys.modules for name in names]))
from concurrent.futures import ThreadPoolExecutor
with meshtrace.use({CAME}), ThreadPoolExecutor() as pool:
    print(json.dumps(pool.submit(meshtrace.headers, "http://reviews/").result()))
    meshtrace.unpatch("concurrent.futures")
    print(json.dumps(pool.submit(meshtrace.headers, "http://reviews/").result()))
"""
    )


def test_taken_back_before_it_is_loaded() -> None:
    """What was taken back before a pool was loaded never takes effect."""
    assert [{}] == _printed(
        f"""
import json, sys, concurrent.futures, meshtrace
meshtrace.patch("concurrent.futures")
meshtrace.unpatch("concurrent.futures")
with meshtrace.use({CAME}), concurrent.futures.ThreadPoolExecutor() as pool:
    print(json.dumps(pool.submit(meshtrace.headers, "http://reviews/").result()))
"""
    )


PROCESSES = [
    pytest.param(start, patches, id=f"{start}, {' and '.join(patches) or 'nothing'} patched")
    for start in ("fork", "spawn")
    for patches in ([], ["concurrent.futures"], ["concurrent.futures", "threading"])
]


@pytest.mark.parametrize(("start", "patches"), PROCESSES)
def test_processes_keep_nothing(start: str, patches: list[str]) -> None:
    """
    A pool of processes that is first used inside a request keeps it for nobody.

    Neither do its processes, nor the thread that manages them and runs the callbacks.
    """
    assert [{}, {}, {}] == _printed(
        f"""
import json, meshtrace
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
meshtrace.patch(*{patches})
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("{start}")) as pool:
        def tell(_):
            print(json.dumps(meshtrace.headers("http://reviews/")), flush=True)
        with meshtrace.use({CAME}):
            job = pool.submit(meshtrace.headers, "http://reviews/")
            print(json.dumps(job.result()), flush=True)
        job = pool.submit(meshtrace.headers, "http://reviews/")
        slow = pool.submit(__import__("time").sleep, 0.2)
        slow.add_done_callback(tell)
        print(json.dumps(job.result()), flush=True)
"""
    )


def test_process_pool_still_pickles() -> None:
    """A function goes to a process as it is: with its arguments, by submit and by map."""
    meshtrace.patch("concurrent.futures")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool, meshtrace.use(CAME):
        assert 8 == pool.submit(pow, 2, 3).result()
        assert [3] == list(pool.map(len, ["abc"], chunksize=2))

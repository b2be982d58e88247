"""threading: a thread runs for the request inside which it is started."""

from __future__ import annotations

import gc
import logging
import logging.handlers
import multiprocessing.dummy
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

import pytest

import meshtrace
from meshtrace import notices
from tests.concurrency.ways import CAME, Seen, look

OTHER = {"b3": "1"}


@pytest.fixture(autouse=True)
def _patched() -> None:
    meshtrace.patch("threading")


@pytest.fixture
def found() -> list[Seen]:
    """Give a list for what is seen in threads."""
    return []


def _started(thread: threading.Thread) -> threading.Thread:
    with meshtrace.use(CAME):
        thread.start()
    return thread


class _Looking(threading.Thread):
    """A thread of a class of its own."""

    def __init__(self, found: list[Seen]) -> None:
        super().__init__()
        self.found = found

    def run(self) -> None:
        """Look."""
        self.found.append(look())


class _Eager(_Looking):
    """One that starts in its own way."""

    def start(self) -> None:
        """Look, and start."""
        self.found.append(look())
        super().start()


def test_thread(found: list[Seen]) -> None:
    """A thread sees the request in which it is started, and not the one in which it was made."""
    with meshtrace.use(OTHER):
        thread = threading.Thread(target=lambda: found.append(look()))
    _started(thread).join()
    assert [CAME] == found


def test_outside_any_request(found: list[Seen]) -> None:
    """One that is started outside any request sees none."""
    thread = threading.Thread(target=lambda: found.append(look()))
    thread.start()
    thread.join()
    assert [{}] == found


def test_arguments(found: list[object]) -> None:
    """Arguments go through."""
    _started(
        threading.Thread(target=lambda *a, **k: found.append((a, k)), args=(1,), kwargs={"b": 2})
    ).join()
    assert [((1,), {"b": 2})] == found


def test_thread_of_a_thread(found: list[Seen]) -> None:
    """A thread that is started by such a thread sees the request, too."""
    inner = _Looking(found)

    def start() -> None:
        inner.start()
        inner.join()

    _started(threading.Thread(target=start)).join()
    assert [CAME] == found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(_Looking, [CAME], id="a subclass"),
        pytest.param(_Eager, [CAME, CAME], id="a subclass that starts in its own way"),
    ],
)
def test_subclass(kind: type[_Looking], expected: list[Seen], found: list[Seen]) -> None:
    """A subclass's ``run`` sees the request."""
    _started(kind(found)).join()
    assert expected == found


def test_timer(found: list[Seen]) -> None:
    """A timer sees the request in which it is started."""
    _started(threading.Timer(0.01, lambda: found.append(look()))).join()
    assert [CAME] == found


def test_timer_that_is_cancelled(found: list[Seen]) -> None:
    """A timer can be cancelled."""
    timer = threading.Timer(60, lambda: found.append(look()))
    _started(timer)
    timer.cancel()
    timer.join()
    assert [] == found


def test_run_of_one_thread(found: list[Seen]) -> None:
    """A thread whose ``run`` was replaced on the object runs that."""
    thread = threading.Thread()
    thread.run = lambda: found.append(look())  # type: ignore[method-assign]  # what is tested
    mine = thread.run
    _started(thread).join()
    assert [CAME] == found
    assert mine is thread.run


def test_started_twice() -> None:
    """Starting twice is threading's own error, and leaves the thread as it was."""
    thread = _started(threading.Thread(target=int))
    thread.join()
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        _started(thread)
    assert "run" not in vars(thread)


def test_nothing_is_kept_alive() -> None:
    """A thread that has ended is gone when nobody has it, without the garbage collector."""
    gc.disable()
    try:
        thread = _started(threading.Thread(target=int))
        thread.join()
        watched = weakref.ref(thread)
        del thread
        assert watched() is None
    finally:
        gc.enable()


def test_user_data_ends_with_the_request(found: list[Seen]) -> None:
    """A thread that outlives its request has the ids, and no user data any more."""
    go_on = threading.Event()

    def work() -> None:
        go_on.wait(10)
        found.append(look())

    thread = threading.Thread(target=work)

    def app(_environ: object, _start_response: object) -> list[bytes]:
        thread.start()
        return []

    environ = {"HTTP_B3": "0", "HTTP_END_USER": "jason"}
    meshtrace.MeshTraceWSGI(app, forward="end-user")(environ, lambda *_: print)
    go_on.set()
    thread.join()
    assert [{"b3": "0"}] == found


def test_detached(found: list[Seen]) -> None:
    """A worker that is started in ``detached`` belongs to nobody."""
    with meshtrace.use(CAME), meshtrace.detached():
        thread = _Looking(found)
        thread.start()
    thread.join()
    assert [{}] == found


def _executor() -> Iterator[Callable[[], Seen]]:
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(look).result()


def _thread_pool() -> Iterator[Callable[[], Seen]]:
    with meshtrace.use(CAME):
        pool = ThreadPool(1)
    with pool:
        yield lambda: pool.apply(look)


def _callback_of_a_thread_pool() -> Iterator[Callable[[], Seen]]:
    with meshtrace.use(CAME):
        pool = ThreadPool(1)

    def look_in_callback() -> Seen:
        seen: queue.SimpleQueue[Seen] = queue.SimpleQueue()
        pool.apply_async(int, callback=lambda _: seen.put(look()))
        return seen.get(timeout=10)

    with pool:
        yield look_in_callback


def _listener() -> Iterator[Callable[[], Seen]]:
    seen: queue.SimpleQueue[Seen] = queue.SimpleQueue()

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            seen.put(look())

    records: queue.SimpleQueue[object] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, Handler())
    with meshtrace.use(CAME):
        listener.start()

    def log() -> Seen:
        records.put(logging.makeLogRecord({}))
        return seen.get(timeout=10)

    yield log
    listener.stop()


@pytest.mark.parametrize(
    "pools",
    [
        pytest.param(_executor, id="an executor"),
        pytest.param(_thread_pool, id="a pool of multiprocessing"),
        pytest.param(_callback_of_a_thread_pool, id="its callbacks"),
        pytest.param(_listener, id="a listener of logging"),
    ],
)
def test_threads_that_serve_all(pools: Callable[[], Iterator[Callable[[], Seen]]]) -> None:
    """A thread of the standard library's that serves all belongs to none, whoever starts it."""
    for ask in pools():
        with meshtrace.use(CAME):
            assert {} == ask()
        assert {} == ask()


def test_thread_by_another_name(found: list[Seen]) -> None:
    """A thread that stands in for a process serves its starter's pool, and belongs to none."""
    thread = multiprocessing.dummy.Process(target=lambda: found.append(look()))
    with meshtrace.use(CAME):
        thread.start()
    thread.join()
    assert [{}] == found


def test_what_serves_the_caller(found: list[Seen]) -> None:
    """A thread that runs a public function of such a package does so for the request."""

    class Handler(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            found.append(look())

    _started(threading.Thread(target=Handler().handle, args=(logging.makeLogRecord({}),))).join()
    assert [CAME] == found


def test_a_strange_target(found: list[Seen]) -> None:
    """What a thread runs may be called anything."""

    class Work:
        __name__ = None

        def __call__(self) -> None:
            found.append(look())

    _started(threading.Thread(target=Work(), name="strange")).join()
    assert [CAME] == found


def _as_a_method(original: Callable[..., None]) -> Callable[..., None]:
    def start(self: threading.Thread) -> None:
        original(self)

    return start


def _by_any_arguments(original: Callable[..., None]) -> Callable[..., None]:
    def start(*args: threading.Thread) -> None:
        original(*args)

    return start


def _of_run(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap a thread's ``run``, too, as Sentry does: as a function that is given the thread."""

    def start(self: threading.Thread) -> None:
        before: Callable[..., None] = getattr(self.run, "__func__", self.run)
        self.run = lambda: before(self)  # type: ignore[method-assign]  # as Sentry has it
        original(self)

    return start


@pytest.fixture(
    name="wrapped",
    params=[
        pytest.param((wrapper, first), id=f"{what}, {'before' if first else 'after'} us")
        for wrapper, what in (
            (_as_a_method, "a method"),
            (_by_any_arguments, "any arguments"),
            (_of_run, "run as well"),
        )
        for first in (True, False)
    ],
)
def _wrapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have another library's wrapper around ``start``."""
    wrapper, first = request.param
    if first:
        meshtrace.unpatch("threading")
    monkeypatch.setattr(threading.Thread, "start", wrapper(threading.Thread.start))
    meshtrace.patch("threading")
    yield
    meshtrace.unpatch("threading")


@pytest.mark.usefixtures("wrapped")
def test_another_wrapper(found: list[Seen]) -> None:
    """Beside another library's wrapper, a thread follows, and one that serves all does not."""
    _started(_Looking(found)).join()
    with ThreadPoolExecutor(1) as pool, meshtrace.use(CAME):
        assert {} == pool.submit(look).result()
    with meshtrace.use(CAME):
        threads = ThreadPool(1)
    with threads:
        assert {} == threads.apply(look)
    assert [CAME] == found


def test_start_without_a_caller(found: list[Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python cannot tell who calls, the thread follows."""
    monkeypatch.setattr("inspect.currentframe", lambda: None)
    _started(_Looking(found)).join()
    assert [CAME] == found


def test_unpatched(found: list[Seen]) -> None:
    """Taken back, a thread sees nothing; patching twice is patching once."""
    patched = threading.Thread.start
    meshtrace.patch("threading")
    assert patched is threading.Thread.start
    meshtrace.unpatch("threading")
    assert patched is not threading.Thread.start
    _started(_Looking(found)).join()
    assert [{}] == found


def test_what_is_no_client_makes_none_ready(caplog: pytest.LogCaptureFixture) -> None:
    """Following into threads sends nothing: that no client is patched is still said."""
    meshtrace.patch("concurrent.futures", "threading")
    notices.request_ended_with_ids()
    assert [True] == ["no HTTP client is wrapped or patched" in line for line in caplog.messages]

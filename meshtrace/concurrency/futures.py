"""
concurrent.futures: the jobs of a `ThreadPoolExecutor` run for the request that submitted them.

``loop.run_in_executor`` submits, too. Jobs for other processes are pickled as they are; a request's
context ends where its process does.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from meshtrace import imports, notices
from meshtrace.ambient import CURRENT, leave
from meshtrace.relay.snapshot import Snapshot
from meshtrace.replacing import Function, Replacement

__all__ = ["patch", "unpatch"]

_THREADS = "concurrent.futures.thread"
_PROCESSES = "concurrent.futures.process"

_replaced: dict[tuple[str, str], Replacement] = {}


class _Job:
    """
    A function that runs for one request, or for none, wherever it is called.

    Also for none: on some builds of Python a pool's thread inherits the context of its first job.
    """

    __slots__ = ("_fn", "_snapshot")

    def __init__(self, fn: Callable[..., Any], snapshot: Snapshot | None) -> None:
        self._fn = fn
        self._snapshot = snapshot

    def __call__(self, /, *args: object, **kwargs: object) -> object:
        token = CURRENT.set(self._snapshot)
        try:
            return self._fn(*args, **kwargs)
        finally:
            leave(token)

    def __getattr__(self, name: str) -> object:
        # A subclass of the executor may ask the function for its name.
        return getattr(self._fn, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # For executors that send their jobs to another interpreter, which need not know meshtrace.
        return partial, (self._fn,)


def patch() -> None:
    """
    Make the jobs of every `ThreadPoolExecutor` run for the request that submitted them.

    The context is that of the call of ``submit`` or ``map``, and is set and undone around each job.

    >>> patch()
    >>> unpatch()
    """
    imports.when_imported(_THREADS, partial(_when_loaded, _patch_threads))
    imports.when_imported(_PROCESSES, partial(_when_loaded, _patch_processes))


def unpatch() -> None:
    """Undo `patch`."""
    imports.forget(_THREADS)
    imports.forget(_PROCESSES)
    for replacement in _replaced.values():
        replacement.give_back()


def _when_loaded(replace: Callable[[], None]) -> None:
    try:
        replace()
    except Exception:  # noqa: BLE001 - who imports the pool must get it
        notices.fault("patching concurrent.futures")


def _patch_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - it is loaded here

    _put(ThreadPoolExecutor, "submit", _submitting)
    _put(ThreadPoolExecutor, "map", _mapping)


def _patch_processes() -> None:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - it is loaded here

    _put(ProcessPoolExecutor, "submit", _starting)


def _put(executor: type, name: str, around: Callable[[Function], Function]) -> None:
    key = (executor.__name__, name)
    if key not in _replaced:
        _replaced[key] = Replacement(executor, name, around)
    _replaced[key].put()


def _submitting(original: Function) -> Function:
    started = _starting(original)

    def submit(self: object, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> object:
        return started(self, _job(fn), *args, **kwargs)

    return submit


def _mapping(original: Function) -> Function:
    # It submits, but with a ``buffersize`` (Python 3.14) not all at once, and later calls may come
    # from elsewhere.
    def map_(self: object, fn: Callable[..., Any], *args: object, **kwargs: object) -> object:
        return original(self, _job(fn), *args, **kwargs)

    return map_


def _starting(original: Function) -> Function:
    # What a pool starts at its first job serves every later one, too.
    def submit(*args: object, **kwargs: object) -> object:
        token = CURRENT.set(None)
        try:
            return original(*args, **kwargs)
        finally:
            leave(token)

    return submit


def _job(fn: Callable[..., Any]) -> Callable[..., Any]:
    return fn if type(fn) is _Job else _Job(fn, CURRENT.get())

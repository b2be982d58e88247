"""
threading: a thread that is started inside a request runs for it, a `threading.Timer` as well.

For applications that start a thread for a piece of a request's work. A worker that a request
happens to start, and that serves others afterwards, has to be started in ``detached()``.
"""

import inspect
import threading
from collections.abc import Callable

from meshtrace.ambient import CURRENT, Entered
from meshtrace.replacing import Function, Replacement

__all__ = ["patch", "unpatch"]

_SERVE_ALL = ("concurrent.futures", "logging", "multiprocessing")
"""Packages whose threads serve the process, whoever is first to need one."""


def patch() -> None:
    """
    Make every thread run for the request inside which it is started.

    >>> patch()
    >>> unpatch()
    """
    _START.put()


def unpatch() -> None:
    """Undo `patch`; threads that have been started keep their request."""
    _START.give_back()


def _starting(original: Function) -> Function:
    def start(self: threading.Thread) -> None:
        snapshot = CURRENT.get()
        if snapshot is None or _serves_all(self):
            original(self)
            return
        own: Callable[[], None] | None = vars(self).get("run")

        # Who wraps `start` inside of us may take it for the class's, and give it the thread.
        def run(*_: object) -> None:
            take_back()
            with Entered(snapshot):
                self.run()

        def take_back() -> None:
            # At once, for what refers to its thread keeps it.
            vars(self).pop("run", None)
            if own is not None:
                self.run = own  # type: ignore[method-assign]  # as it was

        self.run = run  # type: ignore[method-assign]  # for this one thread
        try:
            original(self)
        except BaseException:
            take_back()
            raise

    return start


_START = Replacement(threading.Thread, "start", _starting)


def _serves_all(thread: threading.Thread) -> bool:
    return any(map(_is_of_those, (_caller(), type(thread).__module__, _runs(thread))))


def _is_of_those(module: str) -> bool:
    return f"{module}.".startswith(tuple(f"{package}." for package in _SERVE_ALL))


def _caller() -> str:
    frame = inspect.currentframe()
    # Out of here, of `_serves_all`, of `start` and of what stands in for it in the class.
    for _ in range(4):
        frame = frame and frame.f_back
    return str(frame.f_globals.get("__name__")) if frame else ""


def _runs(thread: threading.Thread) -> str:
    """
    Name the module whose own work a thread does.

    Where others have wrapped `start`, no caller tells of it, and no public attribute does.
    """
    target = vars(thread).get("_target")
    is_its_own = str(getattr(target, "__name__", "")).startswith("_")
    return str(getattr(target, "__module__", "")) if is_its_own else ""

"""
Notes each HTTP request that this interpreter sends: from which line, in which thread.

A stack is what black-box checks lack: it names the line that lost the context. It is taken where
bytes are given to a socket; event loops written in C (uvloop) do that out of sight.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import sysconfig
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

_request = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S").match
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_HERE = os.path.dirname(os.path.abspath(__file__))
_CLIENTS = ("requests", "httpx", "httpx2", "aiohttp", "urllib3", "urllib.request", "http.client")
_TRACERS = (
    "ddtrace",
    "elasticapm",
    "newrelic",
    "opencensus",
    "opentelemetry.sdk.trace",
    "scout_apm",
    "sentry_sdk",
    "skywalking",
)
_MOST_FRAMES = 5
_POOL = "concurrent.futures.thread"
_TRIES = 50

Entry = tuple[str, int, str, str]
_submitted: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()


def install(control: Any) -> None:
    """
    Watch what is sent from now on.

    Args:
        control: Where notes go.
    """
    for name in ("send", "sendall", "sendmsg"):
        setattr(socket.socket, name, _watched(getattr(socket.socket, name), control))


def _watched(original: Any, control: Any) -> Any:
    def send(self: socket.socket, data: Any, *rest: Any) -> Any:
        try:
            if self.family in _INTERNET and _request(_beginning(data)):
                note = _note(sys._getframe(1))  # noqa: SLF001 - there is no other way to a stack
                control.tell({"note": dict(note, port=self.getsockname()[1])})
        except Exception:  # noqa: BLE001, S110 - the request must go out
            pass
        return original(self, data, *rest)

    return send


def _beginning(data: Any) -> bytes:
    first = data[0] if isinstance(data, (list, tuple)) else data
    return bytes(memoryview(first)[:16])


def _note(frame: FrameType | None) -> dict[str, Any]:
    stack = _stack(frame)
    own = [entry for entry in stack if _is_own(entry[0])]
    outside = stack[: stack.index(own[0])] if own else stack
    return {
        "frames": _lines(own) or _submitted_at(frame),
        "client": _client([entry[3] for entry in outside]),
        "thread": threading.current_thread().name,
        "root": _root(stack),
        "inside": any(entry[3].startswith("meshtrace.inbound") for entry in stack),
        "context": _context(),
        "facts": _facts(),
    }


def _stack(frame: FrameType | None) -> list[Entry]:
    stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, _of(frame)))
        frame = frame.f_back
    return stack


def _lines(own: list[Entry]) -> list[str]:
    return [f"{_short(entry[0])}:{entry[1]} in {entry[2]}" for entry in own[:_MOST_FRAMES]]


def _submitted_at(frame: FrameType | None) -> list[str]:
    """
    Give the lines that submitted what a pool's thread runs, where that is a library's function.

    They are remembered from the first such call on, so that no service has its pools watched for
    nothing.
    """
    while frame is not None:
        if _of(frame) == _POOL and frame.f_code.co_name == "run":
            future = frame.f_locals["self"].future
            # A job may run before the call that submits it has returned.
            for _ in range(0 if _watch_pools() else _TRIES):
                if future in _submitted:
                    break
                time.sleep(0.001)
            # Looked for once, where it was submitted before all this.
            return _submitted.setdefault(future, [])
        frame = frame.f_back
    return []


def _watch_pools() -> bool:
    """Watch them, unless they are; tell whether that begins only now."""
    executor = sys.modules[_POOL].ThreadPoolExecutor
    original = executor.submit
    if original.__module__ == __name__:
        return False

    def submit(*args: Any, **kwargs: Any) -> Any:
        future = original(*args, **kwargs)
        with suppress(Exception):
            stack = _stack(sys._getframe(1))  # noqa: SLF001 - as above
            _submitted[future] = _lines([entry for entry in stack if _is_own(entry[0])])
        return future

    executor.submit = submit
    return True


def _of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_own(filename: str) -> bool:
    return not (
        filename.startswith(("<", *(f"{path}{os.sep}" for path in _library())))
        or any(name in filename for name in _INSTALLED)
    )


def _library() -> list[str]:
    """Give the directories of what is not the service's own."""
    meshtrace = getattr(sys.modules.get("meshtrace"), "__file__", None)
    return [_HERE, *_LIBRARY, *([os.path.dirname(meshtrace)] if meshtrace else [])]


def _short(filename: str) -> str:
    here = os.getcwd() + os.sep
    return filename.removeprefix(here)


def _client(modules: list[str]) -> str:
    """Name the library that the service's own code called: the outermost that is known."""
    for module in reversed(modules):
        for name in _CLIENTS:
            if module == name or module.startswith(name + "."):
                return name
    return ""


def _root(stack: list[Entry]) -> str:
    """
    Tell what kind of thread this is.

    A server has threads of its own; what counts is a function of the service's, or a client's, that
    an executor or a thread runs by itself.
    """
    kind = "main"
    for filename, _, function, module in reversed(stack):
        if module == "threading":
            kind = "thread"
        elif module == "concurrent.futures.thread":
            kind = "executor"
        else:
            known = _is_own(filename) or _client([module])
            return kind if known and function != "<module>" else "main"
    return "main"


def _context() -> bool | None:
    current = sys.modules.get("meshtrace.ambient")
    return None if current is None else current.CURRENT.get() is not None


def _facts() -> dict[str, Any]:
    notices = sys.modules.get("meshtrace.notices")
    came = bool(getattr(notices, "_came", False))
    return {
        "disabled": os.environ.get("MESHTRACE_DISABLED", "").lower() in ("1", "true", "yes", "on"),
        "middleware": came,
        "used": came or bool(getattr(notices, "_clients", ())),
        "tracers": [name for name in _TRACERS if name in sys.modules],
    }

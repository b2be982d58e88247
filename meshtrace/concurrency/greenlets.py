"""
gevent: a greenlet runs for the request inside which it is started.

Whatever starts it: ``spawn``, ``spawn_later``, a pool, a group, or a thread of a monkey-patched
process. Each greenlet has contextvars of its own and is born with none; greenlets that are made
without ``gevent.Greenlet`` (``spawn_raw``), and jobs of ``gevent.threadpool``, stay so.
"""

from contextvars import Context
from typing import Any

import gevent

from meshtrace import notices
from meshtrace.ambient import CURRENT

__all__ = ["patch", "unpatch"]


def patch() -> None:
    """
    Make every greenlet run for the request inside which it is started.

    >>> patch()
    >>> unpatch()
    """
    # Greenlets are of a built-in type, which cannot be changed; this is gevent's own way.
    gevent.Greenlet.add_spawn_callback(_follow)


def unpatch() -> None:
    """Undo `patch`."""
    gevent.Greenlet.remove_spawn_callback(_follow)


def _follow(greenlet: "gevent.Greenlet[..., Any]") -> None:
    try:
        snapshot = CURRENT.get()
        # One that was given contextvars has them from somebody who knew what for.
        if snapshot is not None and greenlet.gr_context is None:
            context = Context()
            context.run(CURRENT.set, snapshot)
            greenlet.gr_context = context
    except Exception:  # noqa: BLE001 - the greenlet must start
        notices.fault("starting a greenlet")

"""
meshtrace without a line of code: what ``meshtrace run`` does in each interpreter that it starts.

The clients are patched, and the middleware goes around every application: at the classes of the
frameworks, so that a test client meets it, too, and at the servers, which get plain applications.
An application that brings a middleware of its own meets two, of which the inner one has nothing to
do; unless it was given settings: then those count.

To add a framework or a server: name it in ``frameworks.py`` or ``servers.py``; what is neither ASGI
nor WSGI, in ``others.py``.
"""

import functools
import logging
import os
import sys
from collections.abc import Callable
from types import ModuleType

from meshtrace import clients, imports, notices, pythonpath
from meshtrace.auto import frameworks, others, servers
from meshtrace.configuration import disabled

__all__ = ["start", "start_after_opentelemetry"]

_ADAPTERS = (*frameworks.ADAPTERS, *servers.ADAPTERS, *others.ADAPTERS)

_started = False


def start() -> None:
    """Patch the clients, and put the middleware around the applications; nothing is imported."""
    global _started  # noqa: PLW0603 - a process starts once
    if _started or disabled():
        return
    _started = True
    notices.middleware_ready()
    clients.patch()
    for module, adapt in _ADAPTERS:
        imports.when_imported(module, functools.partial(_adapt, module, adapt), waiter=adapt)


def start_after_opentelemetry() -> None:
    """
    Start where ``opentelemetry-instrument`` has taken our place in front of PYTHONPATH.

    Its own ``sitecustomize`` does not run the next one, and calls this at its end. Nothing is done
    in a process that ``meshtrace run`` has not started.
    """
    if pythonpath.is_on(os.environ):
        start()


def _adapt(name: str, adapt: Callable[[ModuleType], None]) -> None:
    try:
        adapt(sys.modules[name])
    except Exception as error:  # noqa: BLE001 - the application starts in any case
        notices.once(
            logging.WARNING,
            ("auto", name),
            "meshtrace run: %s of this version is left as it is: %r",
            name,
            error,
        )

"""
One process with another tracer in it: every framework is asked once for each of Envoy's tracers.

``python -m tests.coexistence.process TRACER ours|theirs 0|1``: which of the two is installed
first, and whether the tracer's spans are reported. What was seen is written as JSON.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.coexistence.captures import CONTEXTS
from tests.coexistence.clients import Clients
from tests.coexistence.servers import SERVERS
from tests.coexistence.tracers import TRACERS, Application
from tests.coexistence.wire import listening


class _Log(logging.Handler):
    """Keeps what is said, as (level, text)."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        text = record.getMessage()
        if record.name == "meshtrace" or record.levelno >= logging.ERROR:
            self.said.append((record.levelname, f"{record.name}: {text}"))


def main(name: str, first: str, reported: str) -> None:
    """Do it all, and write it down."""
    log = _Log()
    logging.getLogger().addHandler(log)
    logging.getLogger("meshtrace").setLevel(logging.INFO)
    warnings.simplefilter("ignore")
    seen: list[dict[str, Any]] = []

    def in_order(ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        for step in (ours, theirs) if first == "ours" else (theirs, ours):
            step()

    with listening() as wire, closing(Clients(wire)) as clients:
        tracer = TRACERS[name](reported=reported == "1")
        application = Application(reported=False)
        in_order(clients.relay, tracer.install)
        if os.environ.get("MESHTRACE_SPANS"):
            application.install()
        for server, make in SERVERS.items():
            get = make(clients, tracer, in_order)
            for mesh, came in (*CONTEXTS.items(), ("none", {})):
                status = get(came)
                seen.append(
                    {
                        "server": server,
                        "mesh": mesh,
                        "status": status,
                        "calls": wire.taken(),
                        "spans": tracer.spans(),
                        "own": application.spans(),
                    }
                )
    print(json.dumps({"seen": seen, "said": log.said}))  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])

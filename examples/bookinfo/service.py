"""What the four services share: where they listen, and what a log line looks like."""

from __future__ import annotations

import logging
import os
import socket

import meshtrace


def listening_socket() -> socket.socket:
    """
    Return the socket to serve on: the one that the mesh opened for us, else a new one on ``$PORT``.

    A socket that was handed down already queues connections while the service is still importing,
    so nobody has to wait for it, and nobody can take its port.
    """
    if "LISTEN_FD" in os.environ:
        return socket.socket(fileno=int(os.environ["LISTEN_FD"]))
    return socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "9080"))))


class _TraceIds(logging.Filter):
    """Puts the ids of the request that is being served on every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = meshtrace.current()
        record.trace_id = context.trace_id or "-"
        record.request_id = context.request_id or "-"
        return True


def logger(workload: str) -> logging.Logger:
    """Return the logger of *workload*, whose lines carry the trace id and the x-request-id."""
    handler = logging.StreamHandler()
    handler.addFilter(_TraceIds())
    handler.setFormatter(
        logging.Formatter(
            f"{workload:<11} %(message)s trace_id=%(trace_id)s request_id=%(request_id)s"
        )
    )
    log = logging.getLogger(f"bookinfo.{workload}")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    return log

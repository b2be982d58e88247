"""What the four services share: where they listen, whom they report to, how a log line looks."""

from __future__ import annotations

import logging
import os
import socket

from meshtrace.logs import TraceFilter


def listening_socket() -> socket.socket:
    """
    Return the socket to serve on: the one that the mesh opened for us, else a new one on ``$PORT``.

    A socket that was handed down already queues connections while the service is still importing,
    so nobody has to wait for it, and nobody can take its port.
    """
    if "LISTEN_FD" in os.environ:
        return socket.socket(fileno=int(os.environ["LISTEN_FD"]))
    return socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "9080"))))


def export_spans() -> None:
    """
    Report the spans that this service makes, if the variables of OpenTelemetry say where to.

    Its SDK reads all of them: the name of the service, the endpoint, the sampler.
    """
    if "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in os.environ:
        return
    # A service that reports nothing need not have the SDK.
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def log_name(name: str) -> str:
    """Return *name* as it stands at the beginning of a log line, so that the lines are aligned."""
    return f"{name:<19}"


def logger(workload: str) -> logging.Logger:
    """Return the logger of *workload*, whose lines carry the trace id and the x-request-id."""
    handler = logging.StreamHandler()
    handler.addFilter(TraceFilter())
    handler.setFormatter(
        logging.Formatter(
            f"{log_name(workload)} %(message)s trace_id=%(trace_id)s request_id=%(request_id)s"
        )
    )
    log = logging.getLogger(f"bookinfo.{workload}")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    return log

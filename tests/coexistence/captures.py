"""What an application gets from a real Envoy, under each of its tracers."""

import json
from pathlib import Path

__all__ = ["CONTEXTS"]

_CAPTURES = Path(__file__).parents[1] / "data" / "envoy-1.40.0.json"


def _captured(tracer: str) -> dict[str, str]:
    capture = next(
        one
        for one in json.loads(_CAPTURES.read_text())
        if one["tracer"] == tracer and one["case"] == "no-headers"
    )
    return {
        name: value
        for name, value in capture["inbound"]
        # An empty tracestate, which Envoy's OpenTelemetry tracer sends, is not passed on.
        if value and not name.startswith(("host", "x-forwarded-", "x-envoy-"))
    }


CONTEXTS = {
    tracer: _captured(capture)
    for tracer, capture in (
        ("zipkin", "zipkin"),
        ("zipkin-w3c", "zipkin-w3c"),
        ("opentelemetry", "otel-http"),
        ("datadog", "datadog"),
    )
}
"""Envoy's tracers, and the trace headers of a request that each of them hands on."""

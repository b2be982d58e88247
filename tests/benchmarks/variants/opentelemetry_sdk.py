"""OpenTelemetry's instrumentations with its SDK: own spans, exported to nowhere in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tests.benchmarks.variants import opentelemetry_api
from tests.benchmarks.variants.opentelemetry_api import asgi, session, wsgi

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["asgi", "install", "session", "wsgi"]


class NoExporter(SpanExporter):
    """Takes the spans, and lets them go."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - its name
        """Do nothing, with success."""
        return SpanExportResult.SUCCESS


def install() -> None:
    """Make real spans, then do as without an SDK."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(NoExporter()))
    trace.set_tracer_provider(provider)
    opentelemetry_api.install()

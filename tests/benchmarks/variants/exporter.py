"""Where the spans of a benchmark go: nowhere, and in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["set_provider"]


class _NoExporter(SpanExporter):
    """Takes the spans, and lets them go."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - its name
        """Do nothing, with success."""
        return SpanExportResult.SUCCESS


def set_provider() -> None:
    """Let real spans be made in this process."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_NoExporter()))
    trace.set_tracer_provider(provider)

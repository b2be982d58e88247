"""OpenTelemetry in an application, in the ways it may be there."""

from collections.abc import Iterator

import pytest
from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer


class Exported:
    """A provider whose spans are exported, and what was."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def tracer(self) -> Tracer:
        """A tracer of the application's."""
        return self.provider.get_tracer("shop")

    def named(self, name: str) -> ReadableSpan:
        """Give the one span of that name that has ended."""
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span


@pytest.fixture
def exported() -> Exported:
    """Give an SDK with an exporter."""
    return Exported()


@pytest.fixture(autouse=True)
def _no_context_left() -> Iterator[None]:
    """Fail a test that leaves something in OpenTelemetry's context."""
    before = context.get_current()
    yield
    left = context.get_current()
    context.attach(before)
    assert before == left

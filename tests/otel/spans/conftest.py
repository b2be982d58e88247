"""Applications whose spans are on, with an SDK that keeps what it is given."""

import sys
from collections.abc import Callable, Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import meshtrace
from meshtrace.otel import slot
from tests.outbound.conftest import _server, recorder

__all__ = ["Spans", "_server", "recorder"]


class Spans:
    """The provider of an application, and the spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        """In the order in which they have ended."""
        return [*self._exporter.get_finished_spans()]

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        """Give those of one kind."""
        return [span for span in self.all if span.kind is kind]

    @property
    def server(self) -> ReadableSpan:
        """The one span of a request."""
        (span,) = self.of(SpanKind.SERVER)
        return span

    @property
    def clients(self) -> list[ReadableSpan]:
        """The spans of calls."""
        return self.of(SpanKind.CLIENT)


SetProvider = Callable[[trace.TracerProvider | None], None]


@pytest.fixture
def set_provider(monkeypatch: pytest.MonkeyPatch) -> SetProvider:
    """Set the tracer provider of the process, which can be done only once in its life."""

    def put(provider: trace.TracerProvider | None) -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)

    return put


@pytest.fixture
def spans(set_provider: SetProvider) -> Spans:
    """Give an SDK with an exporter, set as the application's provider."""
    spans = Spans()
    set_provider(spans.provider)
    return spans


@pytest.fixture(autouse=True)
def _spans_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn spans on, in an application that has imported no server instrumentation."""
    for name in slot.SERVER_INSTRUMENTATIONS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    meshtrace.configure(spans=True)
    yield
    meshtrace.configure()

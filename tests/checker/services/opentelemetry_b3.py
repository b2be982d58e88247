"""OpenTelemetry's SDK with B3 and W3C; the fault: nobody exports the spans."""

import json
import sys
import urllib.request
from collections.abc import Sequence

import requests
from flask import Flask, request
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

port, variant = int(sys.argv[1]), sys.argv[2]


class Zipkin(SpanExporter):
    """Sends spans as Zipkin's JSON."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some."""
        contexts = [span.get_span_context() for span in spans]
        body = json.dumps(
            [
                {"traceId": f"{context.trace_id:032x}", "id": f"{context.span_id:016x}"}
                for context in contexts
                if context
            ]
        )
        with (
            suppress_http_instrumentation(),
            urllib.request.urlopen("http://zipkin:9411/api/v2/spans", body.encode(), timeout=5),
        ):
            return SpanExportResult.SUCCESS


provider = TracerProvider()
if variant == "correct":
    provider.add_span_processor(BatchSpanProcessor(Zipkin()))
trace.set_tracer_provider(provider)
propagate.set_global_textmap(
    CompositePropagator([B3MultiFormat(), TraceContextTextMapPropagator()])
)
RequestsInstrumentor().instrument()

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)  # type: ignore[no-untyped-call]


@app.get("/product")
def product() -> str:
    """Call a service; the request id is not OpenTelemetry's affair."""
    headers = {"x-request-id": request.headers.get("x-request-id")}
    return requests.get("http://reviews:9080/reviews/0", headers=headers, timeout=5).text


app.run("127.0.0.1", port)

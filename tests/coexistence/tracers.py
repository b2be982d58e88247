"""The other tracers: how each is installed, and the spans that it makes."""

from collections.abc import Iterable
from typing import Any

__all__ = ["TRACERS", "Application", "Span", "Tracer"]

Span = dict[str, Any]
"""``trace``, ``span``, ``kind``; ids in hexadecimal digits. OpenTelemetry's have a ``parent``."""


class Tracer:
    """
    No other tracer at all, and what all have in common.

    Args:
        reported: Whether its spans are exported.
    """

    def __init__(self, *, reported: bool) -> None:
        self.reported = reported

    def install(self) -> None:
        """Instrument the clients, and whatever is instrumented for the whole process."""

    def asgi(self, app: Any) -> Any:  # noqa: ANN401 - any ASGI application
        """Give an ASGI application that is traced."""
        return app

    def wsgi(self, app: Any) -> Any:  # noqa: ANN401 - any WSGI application
        """Give a WSGI application that is traced."""
        return app

    def starlette(self, app: Any) -> None:  # noqa: ANN401 - any Starlette application
        """Trace a Starlette application."""

    def fastapi(self, app: Any) -> None:  # noqa: ANN401 - any FastAPI application
        """Trace a FastAPI application."""

    def flask(self, app: Any) -> None:  # noqa: ANN401 - any Flask application
        """Trace a Flask application."""

    def django(self) -> None:
        """Trace Django."""

    def spans(self) -> list[Span]:
        """Give the spans that were reported since the last time."""
        return []


class OpenTelemetry(Tracer):
    """Its SDK, and its instrumentations of servers and clients."""

    def install(self) -> None:
        """Instrument the clients."""
        from opentelemetry import trace  # noqa: PLC0415 - what is not asked for is not loaded

        self.provider = self._make_provider()
        trace.set_tracer_provider(self.provider)
        self._instrument_clients()

    def _make_provider(self) -> Any:  # noqa: ANN401 - see above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - see above

        provider = TracerProvider(shutdown_on_exit=False)
        if self.reported:
            self._export(provider)
        return provider

    def _export(self, provider: Any) -> None:  # noqa: ANN401 - see above
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415 - see above
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415 - see above
            InMemorySpanExporter,
        )

        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def _instrument_clients(self) -> None:
        from opentelemetry.instrumentation.aiohttp_client import (  # noqa: PLC0415 - see above
            AioHttpClientInstrumentor,
        )
        from opentelemetry.instrumentation.grpc import (  # noqa: PLC0415 - see above
            GrpcAioInstrumentorClient,
            GrpcInstrumentorClient,
        )
        from opentelemetry.instrumentation.httpx import (  # noqa: PLC0415 - see above
            HTTPXClientInstrumentor,
        )
        from opentelemetry.instrumentation.requests import (  # noqa: PLC0415 - see above
            RequestsInstrumentor,
        )
        from opentelemetry.instrumentation.urllib import (  # noqa: PLC0415 - see above
            URLLibInstrumentor,
        )
        from opentelemetry.instrumentation.urllib3 import (  # noqa: PLC0415 - see above
            URLLib3Instrumentor,
        )

        kinds: Iterable[Any] = (
            AioHttpClientInstrumentor,
            GrpcAioInstrumentorClient,
            GrpcInstrumentorClient,
            HTTPXClientInstrumentor,
            RequestsInstrumentor,
            URLLibInstrumentor,
            URLLib3Instrumentor,
        )
        for kind in kinds:
            kind().instrument(tracer_provider=self.provider)

    def asgi(self, app: Any) -> Any:  # noqa: ANN401 - any ASGI application
        """Give an ASGI application that is traced."""
        from opentelemetry.instrumentation.asgi import (  # noqa: PLC0415 - see above
            OpenTelemetryMiddleware,
        )

        return OpenTelemetryMiddleware(app, tracer_provider=self.provider)

    def wsgi(self, app: Any) -> Any:  # noqa: ANN401 - any WSGI application
        """Give a WSGI application that is traced."""
        from opentelemetry.instrumentation.wsgi import (  # noqa: PLC0415 - see above
            OpenTelemetryMiddleware,
        )

        return OpenTelemetryMiddleware(app, tracer_provider=self.provider)

    def starlette(self, app: Any) -> None:  # noqa: ANN401 - any Starlette application
        """Trace a Starlette application."""
        from opentelemetry.instrumentation.starlette import (  # noqa: PLC0415 - see above
            StarletteInstrumentor,
        )

        StarletteInstrumentor.instrument_app(app, tracer_provider=self.provider)

    def fastapi(self, app: Any) -> None:  # noqa: ANN401 - any FastAPI application
        """Trace a FastAPI application."""
        from opentelemetry.instrumentation.fastapi import (  # noqa: PLC0415 - see above
            FastAPIInstrumentor,
        )

        FastAPIInstrumentor.instrument_app(app, tracer_provider=self.provider)

    def flask(self, app: Any) -> None:  # noqa: ANN401 - any Flask application
        """Trace a Flask application."""
        from opentelemetry.instrumentation.flask import (  # noqa: PLC0415 - see above
            FlaskInstrumentor,
        )

        instrumentor: Any = FlaskInstrumentor
        instrumentor.instrument_app(app, tracer_provider=self.provider)

    def django(self) -> None:
        """Trace Django."""
        from opentelemetry.instrumentation.django import (  # noqa: PLC0415 - see above
            DjangoInstrumentor,
        )

        DjangoInstrumentor().instrument(tracer_provider=self.provider)

    def spans(self) -> list[Span]:
        """Give the spans that were exported since the last time."""
        if not self.reported:
            return []
        finished: Iterable[Any] = self._exporter.get_finished_spans()
        self._exporter.clear()
        return [
            {
                "trace": f"{span.context.trace_id:032x}",
                "span": f"{span.context.span_id:016x}",
                "kind": span.kind.name,
                "parent": span.parent and f"{span.parent.span_id:016x}",
            }
            for span in finished
            if not (span.kind.name == "SERVER" and "rpc.system" in span.attributes)
        ]


class OpenTelemetryRun(OpenTelemetry):
    """``opentelemetry-instrument``, which has instrumented everything before."""

    def install(self) -> None:
        """Have the provider that it has made report its spans here."""
        from opentelemetry import trace  # noqa: PLC0415 - see above

        self.provider = trace.get_tracer_provider()
        if self.reported:
            self._export(self.provider)

    def starlette(self, app: Any) -> None:  # noqa: ANN401 - any Starlette application
        """Have nothing to do: the class is instrumented."""

    fastapi = flask = starlette

    def django(self) -> None:
        """Have nothing to do, as above."""


class Application(OpenTelemetry):
    """An application that wants meshtrace's own spans, and has a provider for them."""

    def install(self) -> None:
        """Set the provider, unless the other tracer has set one."""
        from opentelemetry import trace  # noqa: PLC0415 - see above

        self.reported = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        if self.reported:
            trace.set_tracer_provider(self._make_provider())


class Vendor(OpenTelemetry):
    """A library for another backend: a provider of its own, and no instrumented server."""

    def install(self) -> None:
        """Instrument the clients with a provider that is not the global one."""
        self.provider = self._make_provider()
        self._instrument_clients()

    def asgi(self, app: Any) -> Any:  # noqa: ANN401 - any ASGI application
        """Leave it as it is."""
        return app

    wsgi = asgi

    def starlette(self, app: Any) -> None:  # noqa: ANN401 - any Starlette application
        """Leave it as it is."""

    fastapi = flask = starlette

    def django(self) -> None:
        """Leave it as it is."""


class Datadog(Tracer):
    """ddtrace, which patches everything for the whole process."""

    def install(self) -> None:
        """Patch; what ``ddtrace-run`` has patched already stays as it is."""
        import ddtrace  # noqa: PLC0415 - see above
        from ddtrace.trace import TraceFilter, tracer  # noqa: PLC0415 - see above

        kept: list[Any] = []

        class Keeping(TraceFilter):
            def process_trace(self, trace: list[Any]) -> None:
                kept.extend(trace)

        self._kept = kept
        tracer.configure(trace_processors=[Keeping()])
        ddtrace.patch_all(urllib3=True)

    def asgi(self, app: Any) -> Any:  # noqa: ANN401 - any ASGI application
        """Give an ASGI application that is traced."""
        from ddtrace.contrib.asgi import TraceMiddleware  # noqa: PLC0415 - see above

        return TraceMiddleware(app)  # type: ignore[no-untyped-call]  # it has no types

    def wsgi(self, app: Any) -> Any:  # noqa: ANN401 - any WSGI application
        """Give a WSGI application that is traced."""
        from ddtrace.contrib.wsgi import DDWSGIMiddleware  # noqa: PLC0415 - see above

        return DDWSGIMiddleware(app)

    def spans(self) -> list[Span]:
        """Give the spans that were reported since the last time."""
        kept = [*self._kept]
        self._kept.clear()
        return [
            {
                "trace": f"{span.trace_id:032x}",
                "span": f"{span.span_id:016x}",
                "kind": str(span.get_tag("span.kind")).upper(),
            }
            for span in kept
            if span.name != "grpc.server"
        ]


class Sentry(Tracer):
    """sentry-sdk, which patches everything for the whole process."""

    def install(self) -> None:
        """Initialise it, with traces or without."""
        import sentry_sdk  # noqa: PLC0415 - see above

        self._transactions: list[Any] = []

        def keep(event: Any, _: object) -> None:  # noqa: ANN401 - Sentry's own
            self._transactions.append(event)

        sentry_sdk.init(
            dsn="http://key@127.0.0.1:1/1",
            traces_sample_rate=1.0 if self.reported else None,
            before_send_transaction=keep,
            # Nobody is there to be told in the end.
            shutdown_timeout=0,
        )

    def asgi(self, app: Any) -> Any:  # noqa: ANN401 - any ASGI application
        """Give an ASGI application that is traced."""
        from sentry_sdk.integrations.asgi import SentryAsgiMiddleware  # noqa: PLC0415 - see above

        return SentryAsgiMiddleware(app)

    def wsgi(self, app: Any) -> Any:  # noqa: ANN401 - any WSGI application
        """Give a WSGI application that is traced."""
        from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware  # noqa: PLC0415 - see above

        return SentryWsgiMiddleware(app)

    def spans(self) -> list[Span]:
        """Give the spans that were reported since the last time."""
        transactions, self._transactions = self._transactions, []
        found = []
        for event in transactions:
            roots = [event["contexts"]["trace"]]
            found += [
                {"trace": span["trace_id"], "span": span["span_id"], "kind": kind}
                for span in (*roots, *event["spans"])
                if (kind := _KINDS.get(span["op"]))
            ]
        return found


_KINDS = {"http.server": "SERVER", "http.client": "CLIENT", "grpc.client": "CLIENT"}

TRACERS: dict[str, type[Tracer]] = {
    "none": Tracer,
    "opentelemetry": OpenTelemetry,
    "opentelemetry-instrument": OpenTelemetryRun,
    "vendor": Vendor,
    "ddtrace": Datadog,
    "sentry": Sentry,
}

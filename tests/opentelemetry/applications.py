"""Applications with OpenTelemetry's server instrumentation inside or outside of meshtrace."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import flask
import requests
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as OpenTelemetryASGI
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OpenTelemetryWSGI
from opentelemetry.trace import Span, TracerProvider
from requests.adapters import BaseAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient
from werkzeug.test import Client

from meshtrace import MeshTrace, MeshTraceWSGI

__all__ = [
    "APPLICATIONS",
    "REVIEWS",
    "Application",
    "Telemetry",
    "Wire",
    "wsgi_alone",
    "wsgi_inside",
    "wsgi_instrumented",
    "wsgi_outside",
]

REVIEWS = "http://reviews:9080/reviews/0"

_BY_REQUESTS = {"accept", "accept-encoding", "connection", "user-agent"}
"""What requests sends by itself."""


class Wire(BaseAdapter):
    """Where calls would go out; it keeps what they would carry."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, str]] = []

    def send(  # type: ignore[override]  # one of requests' own options matters here
        self, request: requests.PreparedRequest, **_: object
    ) -> requests.Response:
        """Keep the headers, names in lower case, and answer 200."""
        names = [name.lower() for name in request.headers]
        assert sorted(set(names)) == sorted(names)
        sent = {name.lower(): str(value) for name, value in request.headers.items()}
        self.sent.append({name: sent[name] for name in sent if name not in _BY_REQUESTS})
        response = requests.Response()
        response.status_code = 200
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Close nothing."""


@dataclass
class Telemetry:
    """OpenTelemetry in an application: its provider, and the server spans that it started."""

    provider: TracerProvider
    spans: list[Any] = field(default_factory=list)

    def keep(self, span: Span, *_: object) -> None:
        """Keep a server span: the hook that instrumentations call."""
        self.spans.append(span)


Calls = Callable[[], object]
Get = Callable[[dict[str, str]], bytes]
Application = Callable[[Calls, Telemetry], Get]
"""Makes an application that calls once while it is called, and twice while it streams."""


def _wsgi(call: Calls) -> WSGIApplication:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()

    def stream() -> Iterator[bytes]:
        for chunk in (b"ser", b"ved"):
            call()
            yield chunk

    return app


def _client(app: WSGIApplication) -> Get:
    client = Client(app)

    def get(headers: dict[str, str]) -> bytes:
        with client.get("/", headers=headers, buffered=False) as answer:
            return b"".join(answer.iter_encoded())

    return get


def _traced(app: WSGIApplication, telemetry: Telemetry) -> WSGIApplication:
    traced: WSGIApplication = OpenTelemetryWSGI(app, telemetry.keep, None, telemetry.provider)
    return traced


def wsgi_inside(call: Calls, telemetry: Telemetry) -> Get:
    """Wrap OpenTelemetry's WSGI middleware."""
    return _client(MeshTraceWSGI(_traced(_wsgi(call), telemetry)))


def wsgi_outside(call: Calls, telemetry: Telemetry) -> Get:
    """Be wrapped by OpenTelemetry's WSGI middleware."""
    return _client(_traced(MeshTraceWSGI(_wsgi(call)), telemetry))


def wsgi_alone(call: Calls, _: Telemetry) -> Get:
    """Wrap an application that is not instrumented."""
    return _client(MeshTraceWSGI(_wsgi(call)))


def wsgi_instrumented(call: Calls, telemetry: Telemetry) -> Get:
    """Have OpenTelemetry's WSGI middleware, and nothing of ours."""
    return _client(_traced(_wsgi(call), telemetry))


def wsgi_between(call: Calls, telemetry: Telemetry) -> Get:
    """Stand between two of ours: twice is once."""
    return _client(MeshTraceWSGI(_traced(MeshTraceWSGI(_wsgi(call)), telemetry)))


def _flask(call: Calls) -> flask.Flask:
    app = flask.Flask("shop")

    def stream() -> Iterator[bytes]:
        for chunk in (b"ser", b"ved"):
            call()
            yield chunk

    @app.get("/")
    def view() -> flask.Response:
        call()
        return flask.Response(flask.stream_with_context(stream()))

    return app


def _instrument_flask(app: flask.Flask, telemetry: Telemetry) -> None:
    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]  # it has no types
        app, request_hook=telemetry.keep, tracer_provider=telemetry.provider
    )


def flask_inside(call: Calls, telemetry: Telemetry) -> Get:
    """Wrap a Flask application that is instrumented."""
    app = _flask(call)
    _instrument_flask(app, telemetry)
    app.wsgi_app = MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    return _client(app)


def flask_outside(call: Calls, telemetry: Telemetry) -> Get:
    """Wrap a Flask application that is instrumented then."""
    app = _flask(call)
    app.wsgi_app = MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    _instrument_flask(app, telemetry)
    return _client(app)


def _starlette(call: Calls) -> Starlette:
    async def endpoint(_: Request) -> StreamingResponse:
        call()
        return StreamingResponse(stream())

    async def stream() -> AsyncIterator[bytes]:
        for chunk in (b"ser", b"ved"):
            call()
            yield chunk

    app = Starlette()
    app.add_route("/", endpoint)
    return app


def _async_client(app: Any) -> Get:  # noqa: ANN401 - any ASGI application
    def get(headers: dict[str, str]) -> bytes:
        with TestClient(app) as client:
            return client.get("/", headers=headers).content

    return get


def asgi_inside(call: Calls, telemetry: Telemetry) -> Get:
    """Wrap OpenTelemetry's ASGI middleware."""
    return _async_client(
        MeshTrace(
            OpenTelemetryASGI(
                _starlette(call),
                server_request_hook=telemetry.keep,
                tracer_provider=telemetry.provider,
            )
        )
    )


def asgi_outside(call: Calls, telemetry: Telemetry) -> Get:
    """Be wrapped by OpenTelemetry's ASGI middleware."""
    return _async_client(
        OpenTelemetryASGI(
            MeshTrace(_starlette(call)),
            server_request_hook=telemetry.keep,
            tracer_provider=telemetry.provider,
        )
    )


def _instrument_starlette(app: Starlette, telemetry: Telemetry) -> None:
    StarletteInstrumentor.instrument_app(
        app, server_request_hook=telemetry.keep, tracer_provider=telemetry.provider
    )


def starlette_inside(call: Calls, telemetry: Telemetry) -> Get:
    """Add the middleware to a Starlette application that is instrumented."""
    app = _starlette(call)
    _instrument_starlette(app, telemetry)
    app.add_middleware(MeshTrace)
    return _async_client(app)


def starlette_outside(call: Calls, telemetry: Telemetry) -> Get:
    """Instrument a Starlette application that has the middleware."""
    app = _starlette(call)
    app.add_middleware(MeshTrace)
    _instrument_starlette(app, telemetry)
    return _async_client(app)


def starlette_wrapped(call: Calls, telemetry: Telemetry) -> Get:
    """Wrap a Starlette application that is instrumented."""
    app = _starlette(call)
    _instrument_starlette(app, telemetry)
    return _async_client(MeshTrace(app))


APPLICATIONS: dict[str, Application] = {
    "WSGI's instrumentation inside": wsgi_inside,
    "WSGI's instrumentation outside": wsgi_outside,
    "WSGI's instrumentation between two of ours": wsgi_between,
    "Flask's instrumentation inside": flask_inside,
    "Flask's instrumentation outside": flask_outside,
    "ASGI's instrumentation inside": asgi_inside,
    "ASGI's instrumentation outside": asgi_outside,
    "Starlette's instrumentation inside": starlette_inside,
    "Starlette's instrumentation outside": starlette_outside,
    "Starlette instrumented, then wrapped": starlette_wrapped,
}

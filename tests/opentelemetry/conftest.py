"""An application with OpenTelemetry inside, and where its calls go."""

from collections.abc import Callable

import pytest
import requests
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

import meshtrace
from tests.opentelemetry.applications import APPLICATIONS, Application, Telemetry, Wire


def _exporting() -> TracerProvider:
    provider = SdkTracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    return provider


def _without_processor() -> TracerProvider:
    return SdkTracerProvider(shutdown_on_exit=False)


def _dropping() -> TracerProvider:
    return SdkTracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)


RECORDING = [
    pytest.param(_exporting, id="an SDK with an exporter"),
    pytest.param(_without_processor, id="an SDK without any processor"),
]
NOT_RECORDING = [
    pytest.param(_dropping, id="an SDK whose sampler drops"),
    pytest.param(NoOpTracerProvider, id="the API alone"),
]


@pytest.fixture(params=RECORDING)
def recording(request: pytest.FixtureRequest) -> Telemetry:
    """Give OpenTelemetry with an SDK that records spans."""
    return Telemetry(request.param())


@pytest.fixture(params=[*RECORDING, *NOT_RECORDING])
def telemetry(request: pytest.FixtureRequest) -> Telemetry:
    """Give OpenTelemetry in each way an application may have it."""
    return Telemetry(request.param())


@pytest.fixture(params=[*APPLICATIONS.values()], ids=[*APPLICATIONS])
def application(request: pytest.FixtureRequest) -> Application:
    """Give each kind of application."""
    chosen: Application = request.param
    return chosen


@pytest.fixture
def wire() -> Wire:
    """Give what calls go out on."""
    return Wire()


def _patched(wire: Wire) -> requests.Session:
    meshtrace.patch("requests")
    session = requests.Session()
    session.mount("http://", wire)
    return session


def _wrapped(wire: Wire) -> requests.Session:
    session = requests.Session()
    session.mount("http://", wire)
    return meshtrace.wrap(session)


@pytest.fixture(params=[_patched, _wrapped], ids=["requests patched", "a session wrapped"])
def make_session(request: pytest.FixtureRequest, wire: Wire) -> Callable[[], requests.Session]:
    """Give what makes a session that relays, in both ways."""
    make: Callable[[Wire], requests.Session] = request.param
    return lambda: make(wire)

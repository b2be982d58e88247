"""``meshtrace check --env``: versions, settings and where each came from, other tracers."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata

import meshtrace
from meshtrace.configuration import disabled, resolve
from meshtrace.settings import DEFAULTS, Settings

__all__ = ["as_text"]

_LIBRARIES = (
    *("starlette", "fastapi", "flask", "django", "aiohttp", "requests", "httpx", "httpx2"),
    *("urllib3", "grpcio", "gevent", "celery", "uvicorn", "gunicorn", "opentelemetry-api"),
    *("opentelemetry-sdk", "opentelemetry-propagator-b3"),
)
_OTHERS = {
    "asgi-correlation-id": "makes request ids of 32 digits where none came: Envoy wants a UUID "
    "with dashes; before 5.0 it also replaces those that Envoy has marked",
    "ddtrace": "writes x-datadog-* and traceparent of its own spans",
    "elastic-apm": "writes traceparent of its own spans",
    "newrelic": "writes traceparent and newrelic of its own spans",
    "opencensus": "writes headers of its own spans",
    "opentelemetry-distro": "starts an SDK: without an exporter, its spans make orphans",
    "opentelemetry-instrumentation": "writes the ids of its own spans, if an SDK is set up",
    "sentry-sdk": "writes sentry-trace and baggage",
    "starlette-context": "makes request ids of 32 digits where none came: Envoy wants dashes",
}
_VARIABLES = (
    "OTEL_PROPAGATORS",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_SDK_DISABLED",
    "DD_TRACE_PROPAGATION_STYLE",
)


def as_text(
    environ: Mapping[str, str] = os.environ,
    version_of: Callable[[str], str] = metadata.version,
) -> str:
    """
    Describe this Python: the one that a service shares if it is started from here.

    Args:
        environ: The variables.
        version_of: Gives the version of an installed distribution.
    """
    lines = [
        f"meshtrace {meshtrace.__version__}, Python {platform.python_version()}",
        "",
        "libraries",
        *_installed(_LIBRARIES, version_of),
        "",
        "settings",
        *_settings(environ),
        "",
        "other tracers",
        *(_tracers(environ, version_of) or ["  none"]),
        "",
        "What is patched in a running process, its own start-up line says, and explain().",
    ]
    return "\n".join(lines)


def _installed(names: tuple[str, ...], version_of: Callable[[str], str]) -> Iterator[str]:
    for name in names:
        try:
            yield f"  {name} {version_of(name)}"
        except metadata.PackageNotFoundError:
            continue


def _settings(environ: Mapping[str, str]) -> Iterator[str]:
    if disabled(environ):
        yield "  MESHTRACE_DISABLED is set: meshtrace is off, whatever the rest says"
    settings = resolve(Settings(), environ)
    for name in DEFAULTS:
        value = getattr(settings, name)
        shown = ", ".join(value) if isinstance(value, tuple) else str(value)
        variable = f"MESHTRACE_{name.upper()}"
        source = variable if name in settings.given and environ.get(variable) else "default"
        yield f"  {name} = {shown or '(empty)'}   [{source}]"
    yield "  what code says (configure, MeshTrace(...), wrap(...)) beats these; not seen here"


def _tracers(environ: Mapping[str, str], version_of: Callable[[str], str]) -> list[str]:
    lines = [
        f"{installed}: {remark}"
        for name, remark in _OTHERS.items()
        for installed in _installed((name,), version_of)
    ]
    lines += [f"  {name}={environ[name]}" for name in _VARIABLES if name in environ]
    return lines

"""Where the benchmarks run: the machine, the versions, an environment without settings."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import meshtrace

ROOT = Path(__file__).parents[2]

_PACKAGES = (
    "requests",
    "httpx",
    "aiohttp",
    "urllib3",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
)


def environment() -> dict[str, str]:
    """
    Give the environment for a measured process.

    Bytecode is kept, because a service that starts has it: else an import would be timed with its
    compilation.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MESHTRACE_", "OTEL_", "COV_", "COVERAGE_"))
        and name != "PYTHONDONTWRITEBYTECODE"
    }


def describe() -> dict[str, str]:
    """Say what the figures depend on."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "meshtrace": meshtrace.__version__,
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

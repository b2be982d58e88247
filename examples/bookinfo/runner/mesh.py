"""The bookshop in its mesh: every service with a real Envoy beside it, and a gateway in front."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from string import Template
from typing import Self

from examples.bookinfo.runner import envoy, headers, ports, sidecars
from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.errors import DemoError, PortInUseError
from examples.bookinfo.runner.processes import Process, ProcessGroup
from examples.bookinfo.runner.services import BOOKINFO, Service
from examples.bookinfo.service import log_name

PROJECT = Path(__file__).parents[3]
SIDECAR = "-sidecar"
START_SECONDS = 60.0
ATTEMPTS = 3
REPORT_EVERY = "100"  # milliseconds

# What the user's shell says about these is not meant for our processes.
_FOREIGN = ("MESHTRACE_", "OTEL_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class Mesh:
    """
    Everything running, for as long as the ``with`` block lasts.

    Args:
        tracer: One of `sidecars.TRACERS`, or a file of the same kind.
        sampling: How many of a hundred requests the Envoys trace.
        without: Switch meshtrace off in every service.
        spans: Let every service make spans of its own, and report them to the collector.
        binary: The Envoy to run; the installed one by default.
        port: Where the gateway listens; 0 is any free port.
        services: What to run.
        files: Files to take instead of those in ``sidecars/`` with these names.
        export: Given all that the collector takes: the path that it came to, and the body.
        on_progress: Told the name of each part when it is up.

    Raises:
        DemoError: Something did not start.
    """

    def __init__(  # noqa: PLR0913 - each by its name, and each with a default
        self,
        *,
        tracer: str | Path = "zipkin",
        sampling: float = 100,
        without: bool = False,
        spans: bool = False,
        binary: Path | None = None,
        port: int = 0,
        services: Sequence[Service] = BOOKINFO,
        files: Mapping[str, Path] | None = None,
        export: Callable[[str, bytes], None] | None = None,
        on_progress: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.services = tuple(services)
        self.sampling = sampling
        self.without = without
        self.spans = spans
        self._tracer = tracer if isinstance(tracer, Path) else sidecars.TRACERS[tracer]
        self._binary = binary
        self._port = port
        self._files = files or {}
        self._export = export
        self._on_progress = on_progress

    @property
    def parts(self) -> list[str]:
        """The names of all processes that it runs."""
        workloads = [service.workload for service in self.services]
        return [*workloads, *(name + SIDECAR for name in workloads), "gateway"]

    @property
    def address(self) -> str:
        """Where the gateway listens."""
        return f"http://{ports.LOOPBACK}:{self._gateway.port}"

    @property
    def directory(self) -> Path:
        """Where its logs, configurations and data are, while it runs."""
        return self._group.directory

    def check(self) -> None:
        """Make sure that every part is still there, else raise a `DemoError` that says which."""
        self._group.check()

    def log_lines(self, workload: str) -> list[str]:
        """Return what a service, or the sidecar of that name, has logged so far."""
        return self._group.processes[workload].lines()

    def all_log_lines(self) -> list[str]:
        """Return what all have logged so far: each service, and after it its sidecar."""
        return [
            line
            for service in self.services
            for name in (service.workload, service.workload + SIDECAR)
            for line in self.log_lines(name)
        ]

    def process(self, name: str) -> Process:
        """Return one of `parts`."""
        return self._group.processes[name]

    def __enter__(self) -> Self:
        binary = self._binary or envoy.find()
        for attempt in range(1, ATTEMPTS + 1):
            with contextlib.ExitStack() as stack:
                try:
                    self._start(stack, binary)
                except PortInUseError:
                    # A port that we were given, not told, can only have been snatched: try others.
                    if self._port or attempt == ATTEMPTS:
                        raise
                    continue
                self._stack = stack.pop_all()
                break
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack, binary: Path) -> None:
        """Start everything at once: all ports are known before the first process is."""
        self.collector = stack.enter_context(Collector(self._export))
        workloads = [service.workload for service in self.services]
        self._gateway = _reserve(stack, self._port)
        self._inbound = {workload: _reserve(stack) for workload in workloads}
        self._outbound = {workload: _reserve(stack) for workload in workloads}
        self._group = stack.enter_context(ProcessGroup())
        health: dict[str, int] = {}
        for service in self.services:
            health[service.workload] = self._start_service(service)
            self._start_sidecar(binary, service, health[service.workload])
        self._start_gateway(binary)
        self._wait_until_up(health)

    def _start_service(self, service: Service) -> int:
        with ports.listen() as listening:
            self._group.start(
                service.workload,
                [sys.executable, "-m", service.module],
                environment=self._environment(service, listening.fileno()),
                working_directory=PROJECT,
                keep_open=[listening.fileno()],
            )
            port: int = listening.getsockname()[1]
            return port

    def _environment(self, service: Service, listen_fd: int) -> dict[str, str]:
        outbound = f"http://{ports.LOOPBACK}:{self._outbound[service.workload].port}"
        own = {
            name: Template(value).substitute(directory=self._group.directory)
            for name, value in service.environment.items()
        }
        return _clean_environment() | {
            "LISTEN_FD": str(listen_fd),
            "PYTHONUNBUFFERED": "1",
            "MESHTRACE_DISABLED": "1" if self.without else "0",
            # In a pod, iptables lead every call to the sidecar. Here this does.
            "http_proxy": outbound,
            **(self._reporting(service) if self.spans else {}),
            **own,
        }

    def _reporting(self, service: Service) -> dict[str, str]:
        return {
            "MESHTRACE_SPANS": "1",
            "OTEL_SERVICE_NAME": service.workload,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://{ports.LOOPBACK}:{self.collector.port}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": REPORT_EVERY,
            # The mesh decides what is traced. It knows nothing of a probe, which is not.
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            # Spans do not go through the sidecar: they would make spans there.
            "no_proxy": ports.LOOPBACK,
        }

    def _start_sidecar(self, binary: Path, service: Service, app_port: int) -> None:
        inbound, outbound = self._inbound[service.workload], self._outbound[service.workload]
        values = {
            "workload": service.workload,
            "service": service.name,
            "app_port": app_port,
            "inbound_port": inbound.port,
            "outbound_port": outbound.port,
            "spawn_upstream_span": "false",
            "log_name": log_name(service.workload + SIDECAR),
        }
        self._start_envoy(binary, service.workload + SIDECAR, "sidecar.yaml", values)

    def _start_gateway(self, binary: Path) -> None:
        values = {
            "workload": "gateway",
            "app_port": 0,  # no service beside it
            "gateway_port": self._gateway.port,
            "spawn_upstream_span": "true",
        }
        self._start_envoy(binary, "gateway", "gateway.yaml", values)

    def _start_envoy(
        self, binary: Path, name: str, file: str, values: Mapping[str, object]
    ) -> None:
        everywhere = {
            "tracer": self._tracer,
            "sampling": self.sampling,
            "collector_port": self.collector.port,
            "headers_log": self._group.directory / f"{name}{headers.SUFFIX}",
        }
        where = {
            workload.replace("-", "_") + "_port": inbound.port
            for workload, inbound in self._inbound.items()
        }
        configuration = self._group.directory / f"{name}.yaml"
        text = sidecars.render(file, {**everywhere, **where, **values}, self._files)
        configuration.write_text(text)
        for reservation in self._reserved_for(name):
            reservation.hand_over()
        self._group.start(
            name,
            envoy.command(binary, configuration),
            environment=_clean_environment(),
            working_directory=self._group.directory,
        )

    def _reserved_for(self, name: str) -> list[ports.Reservation]:
        if name == "gateway":
            return [self._gateway]
        workload = name.removesuffix(SIDECAR)
        return [self._inbound[workload], self._outbound[workload]]

    def _wait_until_up(self, health: Mapping[str, int]) -> None:
        deadline = time.monotonic() + START_SECONDS
        for name in self.parts:
            while not (_healthy(health[name]) if name in health else self._listens(name)):
                self.check()
                if time.monotonic() > deadline:
                    raise DemoError(
                        f"{name} is not up after {START_SECONDS:.0f} seconds",
                        self.process(name).lines()[-8:],
                    )
                time.sleep(0.02)
            self._on_progress(name)

    def _listens(self, name: str) -> bool:
        return all(_accepts(reservation.port) for reservation in self._reserved_for(name))


def _reserve(stack: contextlib.ExitStack, port: int = 0) -> ports.Reservation:
    reservation = ports.Reservation(port)
    stack.callback(reservation.close)
    return reservation


def _clean_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and name.lower() not in _PROXIES
    }


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((ports.LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _healthy(port: int) -> bool:
    connection = HTTPConnection(ports.LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

"""The same request in two meshes, with meshtrace and without; the second starts when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import requests

from examples.bookinfo.runner.errors import DemoError
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.views import Run
from examples.bookinfo.runner.visitor import Visit, Visitor

END_SECONDS = 15.0


def run_of(mesh: Mesh) -> Run:
    """Return what the page needs of *mesh*."""
    return Run(mesh.without, mesh.collector, mesh.directory, mesh.all_log_lines)


class Comparison:
    """
    Makes requests in a mesh that runs and in its twin, one after the other.

    Args:
        mesh: The one that runs.
        twin: Makes the other one, which differs in whether meshtrace is on; given whom to tell
            the name of each part when it is up.
    """

    def __init__(self, mesh: Mesh, twin: Callable[[Callable[[str], None]], Mesh]) -> None:
        self._mesh = mesh
        self._make_twin = twin
        self._twin: Mesh | None = None
        self._lock = threading.Lock()
        self._state: dict[str, object] = {"state": "none"}
        self._thread: threading.Thread | None = None
        self._ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ending = True
        if self._thread:
            self._thread.join(END_SECONDS)
        if self._twin:
            self._twin.__exit__(*error)

    def runs(self) -> Sequence[Run]:
        """Return the meshes that are there."""
        twin = self._twin
        return [run_of(self._mesh), *([run_of(twin)] if twin else [])]

    def state(self) -> Mapping[str, object]:
        """Return how far it is, and what came of it."""
        return dict(self._state)

    def start(self, user: str | None) -> None:
        """Begin, unless it is at it already: as *user*, or as a guest."""
        with self._lock:
            if self._state["state"] == "busy" or self._ending:
                return
            self._state = {"state": "busy", "user": user, "doing": "starting the other mesh"}
            self._thread = threading.Thread(target=self._compare, args=(user,), daemon=True)
            self._thread.start()

    def _compare(self, user: str | None) -> None:
        try:
            both = [self._visit(mesh, user) for mesh in (self._mesh, self._running_twin())]
        except (DemoError, requests.RequestException) as error:
            self._end_twin()
            self._state = {"state": "failed", "user": user, "why": str(error)}
        else:
            both.sort(key=lambda side: bool(side["without"]))
            self._state = {"state": "done", "user": user, "sides": both}

    def _running_twin(self) -> Mesh:
        if self._twin is None:
            twin = self._make_twin(self._up)
            self._twin = twin.__enter__()
        self._twin.check()
        return self._twin

    def _end_twin(self) -> None:
        twin, self._twin = self._twin, None
        if twin:
            twin.__exit__(None, None, None)

    def _up(self, name: str) -> None:
        if self._ending:
            raise DemoError("the demo ends")
        self._state = {**self._state, "doing": f"starting the other mesh: {name} is up"}

    def _visit(self, mesh: Mesh, user: str | None) -> dict[str, Any]:
        word = "without" if mesh.without else "with"
        self._state = {**self._state, "doing": f"asking for the page {word} meshtrace"}
        with Visitor(mesh.address) as visitor:
            if user:
                visitor.sign_in(user)
            visit = visitor.look()
        mesh.collector.wait_until_quiet()
        return {
            "without": mesh.without,
            "request": visit.request,
            "status": visit.status,
            "reviews": visit.reviews,
            "took": visit.answered - visit.sent,
            "traces": _traces_of(mesh, visit),
        }


def _traces_of(mesh: Mesh, visit: Visit) -> list[str]:
    found = mesh.collector.traces()
    return [trace.trace_id for trace in found if visit.saw(trace.spans[0])]

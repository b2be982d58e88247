"""Starting commands under ``meshtrace run``, as a user would."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from tests.auto.apps.called import REQUEST_ID

__all__ = ["CAME", "ROOT", "SCRIPTS", "answer_of", "environment", "run", "serving"]

ROOT = Path(__file__).parents[2]
SCRIPTS = sysconfig.get_path("scripts")
SECONDS = 60
CAME = {"x-request-id": REQUEST_ID}
"""What every request brings."""

NO_EXPORTERS = {f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")}
"""Where OpenTelemetry is started, it has nowhere to send to."""

Command = Callable[[int], Sequence[str]]
"""Makes a command that listens on a port."""


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment without any setting but those given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MESHTRACE_", "OTEL_")) and name != "PYTHONPATH"
    }
    path = os.pathsep.join([SCRIPTS, os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "NO_PROXY": "*", **NO_EXPORTERS, **(given or {})}


def run(
    *command: str, under: Sequence[str] = (), cwd: Path = ROOT, **given: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, under ``meshtrace run``, and that under what is said."""
    return subprocess.run(
        [*under, sys.executable, "-m", "meshtrace", "run", *command],
        cwd=cwd,
        env=environment({"PYTHONPATH": str(ROOT), **given}),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


@contextmanager
def serving(
    command: Command,
    *,
    under: Sequence[str] = (),
    cwd: Path = ROOT,
    listens: bool = True,
    **given: str,
) -> Iterator[int]:
    """Serve under ``meshtrace run`` until the block ends, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        # A group of its own: a server's workers must end with it.
        process = subprocess.Popen(
            [*under, sys.executable, "-m", "meshtrace", "run", *command(port)],
            cwd=cwd,
            env=environment({"PYTHONPATH": str(ROOT), **given}),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + SECONDS
            while listens and not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise AssertionError(log.read().decode())
                time.sleep(0.02)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def answer_of(port: int, path: str = "/") -> dict[str, str]:
    """Give what a call had that was made for a request with `CAME`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=CAME)
    for attempt in range(50):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - it is HTTP
                answer: dict[str, str] = json.load(response)
                return answer
        except (URLError, ConnectionError):
            # A reloader listens before its child serves.
            if attempt == 49:
                raise
            time.sleep(0.1)
    raise AssertionError


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

"""How each server is started, as a process that listens on a port of loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["serving"]

ROOT = Path(__file__).parents[2]
SECONDS = 60

_UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"


def _command(server: str, app: str, port: int, options: tuple[str, ...]) -> list[str]:
    named = f"tests.frameworks.apps.{app}"
    match server:
        case "uvicorn":
            return ["-m", "uvicorn", named, f"--port={port}", "--log-level=warning", *options]
        case "gunicorn":
            quiet = ["--log-level=warning", "--no-control-socket"]
            return ["-m", "gunicorn", named, f"--bind=127.0.0.1:{port}", *quiet, *options]
        case "hypercorn":
            return ["-m", "hypercorn", named, f"--bind=127.0.0.1:{port}", *options]
        case "granian":
            return ["-m", "granian", named, f"--port={port}", "--no-access-log", *options]
        case "waitress":
            return ["-m", "waitress", f"--listen=127.0.0.1:{port}", *options, named]
        case "pyuwsgi":
            module = f"--module={named}"
            quiet = ["--master", "--die-on-term", "--threads=2", "--http-keepalive=1"]
            return ["-c", _UWSGI, module, f"--http-socket=127.0.0.1:{port}", *quiet, *options]
    raise LookupError(server)


@contextmanager
def serving(
    server: str, app: str, options: tuple[str, ...], recorder: str, log: IO[bytes]
) -> Iterator[int]:
    """
    Serve an application until the block ends.

    Args:
        server: Which server.
        app: Where the application is, below ``apps``.
        options: More arguments for the server.
        recorder: What the application is to call.
        log: Where the server's output goes.

    Returns:
        The port.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # What it covers is covered elsewhere, and measuring it would take long.
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("COVERAGE_")}
    environ = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "RECORDER": recorder,
        "NO_PROXY": "*",
    }
    command = [sys.executable, *_command(server, app, port, options)]
    # A group of its own: a server's workers must end with it.
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=log, stderr=log, start_new_session=True
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"the server does not listen; its status is {process.poll()}")

"""Starting processes, noticing that one died, and leaving none behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from examples.bookinfo.runner import guard
from examples.bookinfo.runner.errors import DemoError, PortInUseError

GRACE = 3.0
LAST_LINES = 8


class Process:
    """One part of the mesh, and the file that its output goes to."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def lines(self) -> list[str]:
        """Everything it said so far."""
        return self.log.read_text(errors="replace").splitlines()

    def check(self) -> None:
        """
        Make sure that it is still there.

        Raises:
            DemoError: It has ended; says how, and what it said last.
        """
        status = self._popen.poll()
        if status is None:
            return
        output = [line for line in self.lines() if line.strip()][-LAST_LINES:]
        kind = (
            PortInUseError if any("ddress already in use" in line for line in output) else DemoError
        )
        raise kind(f"{self.name} {_how(status)}", output)

    def terminate(self) -> None:
        """Ask it to end."""
        self._popen.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until it has ended, and no longer than *deadline* asking politely."""
        try:
            self._popen.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


class ProcessGroup:
    """
    The processes of one mesh, in one process group with a guard, and a directory for their files.

    Leaving the ``with`` block ends them all; should we never get there, the guard does it.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bookinfo-"))
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        return self

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path,
        keep_open: Sequence[int] = (),
    ) -> Process:
        """
        Start *command*, its output in a file of its own, with the descriptors *keep_open*.

        Raises:
            DemoError: There is nothing to start.
        """
        log = self.directory / f"{name}.log"
        try:
            with log.open("wb") as output:
                popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=working_directory,
                    pass_fds=keep_open,
                    process_group=self._guard.pid,
                )
        except OSError as error:
            raise DemoError(f"{name} cannot be started: {command[0]}: {error.strerror}") from error
        self.processes[name] = Process(name, popen, log)
        return self.processes[name]

    def check(self) -> None:
        """Make sure that all are still there; see `Process.check`."""
        for process in self.processes.values():
            process.check()

    def __exit__(self, *_error: object) -> None:
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.processes.values():
            process.wait(deadline)
        # The guard ignores every polite signal; with it goes whatever a process may have started.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)

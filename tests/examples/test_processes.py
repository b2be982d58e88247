"""Processes: each noticed when it dies, none left behind, whatever happens to us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.bookinfo.runner.errors import DemoError, PortInUseError
from examples.bookinfo.runner.processes import Process, ProcessGroup

PROJECT = Path(__file__).parents[2]
SLEEP = "import time; time.sleep(300)"
# A process that does as little as it can when asked to end, and has a child that does not either.
STUBBORN = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(child.pid, flush=True)
time.sleep(300)
"""


def _start(group: ProcessGroup, program: str, name: str = "part") -> Process:
    command = [sys.executable, "-c", program]
    return group.start(name, command, environment=os.environ, working_directory=PROJECT)


def _until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def _check_until_it_raises(checked: Process | ProcessGroup, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        checked.check()
        time.sleep(0.02)


def _gone(pid: int) -> bool:
    """Whether a process has ended, also where nobody has taken note of it yet."""
    command = ["/bin/ps", "-o", "stat=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    state = answer.stdout.strip()
    return state == "" or state.startswith("Z")


def test_all_are_gone_afterwards() -> None:
    """Leaving the block ends every process, and takes the directory away."""
    with ProcessGroup() as group:
        processes = [_start(group, SLEEP, name) for name in ("one", "two")]
        group.check()
    assert [True, True] == [_gone(process.pid) for process in processes]
    assert not group.directory.exists()


def test_the_stubborn_and_their_children_are_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ignores a polite signal gets the other one, and so do the processes it started."""
    monkeypatch.setattr("examples.bookinfo.runner.processes.GRACE", 0.2)
    with ProcessGroup() as group:
        process = _start(group, STUBBORN)
        assert _until(lambda: bool(process.lines()))
        child = int(process.lines()[0])
    assert _gone(process.pid)
    assert _until(lambda: _gone(child))


def test_one_that_dies_is_noticed_with_its_last_words() -> None:
    """The error is one line, and beside it is what the process said last."""
    with ProcessGroup() as group:
        process = _start(group, "print('first'); print(); raise SystemExit('no luck')")
        with pytest.raises(DemoError) as caught:
            _check_until_it_raises(process)
    assert "part ended with exit status 1" == str(caught.value)
    assert {"first", "no luck"} == set(caught.value.output)


def test_one_that_is_killed_is_noticed() -> None:
    """The error names the signal."""
    with ProcessGroup() as group:
        process = _start(group, SLEEP)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DemoError, match="part was ended by SIGKILL"):
            _check_until_it_raises(group)


def test_a_port_that_was_snatched_is_told_apart() -> None:
    """So that the mesh can try again with other ports."""
    with ProcessGroup() as group:
        process = _start(group, "raise SystemExit('cannot bind: Address already in use')")
        with pytest.raises(PortInUseError):
            _check_until_it_raises(process)


def test_nothing_to_start_is_told_in_one_line() -> None:
    """A missing program is no traceback."""
    with ProcessGroup() as group, pytest.raises(DemoError) as caught:
        group.start("part", ["/nowhere"], environment={}, working_directory=PROJECT)
    assert "part cannot be started: /nowhere: No such file or directory" == str(caught.value)


PARENT = f"""
import os, sys, time
from pathlib import Path
from examples.bookinfo.runner.processes import ProcessGroup
with ProcessGroup() as group:
    process = group.start("part", [sys.executable, "-c", {STUBBORN!r}],
                          environment=os.environ, working_directory=Path.cwd())
    while not process.lines():
        time.sleep(0.02)
    print(process.pid, process.lines()[0], group.directory, flush=True)
    time.sleep(300)
"""


def test_nothing_survives_a_killed_parent() -> None:
    """When we are killed outright, the guard ends the processes and removes the directory."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as parent:
        assert parent.stdout is not None
        pid, child, directory = parent.stdout.readline().split()
        parent.kill()
    assert _until(lambda: _gone(int(pid)))
    assert _until(lambda: _gone(int(child)))
    assert _until(lambda: not Path(directory).exists())

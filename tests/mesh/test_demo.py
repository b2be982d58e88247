"""``python -m examples.bookinfo`` as a newcomer runs it, and as it ends when things go wrong."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from examples.bookinfo.runner.envoy import version_of
from examples.bookinfo.runner.ports import listen
from examples.bookinfo.runner.sidecars import TRACERS

pytestmark = pytest.mark.envoy

PROJECT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.bookinfo"]
# So that a process that is left behind can be told from those of another demo on this machine.
MARK = "BOOKINFO_TEST_RUN"


@pytest.fixture
def environment() -> dict[str, str]:
    """Give the environment of a user who has set nothing, and a mark of this test's own."""
    ours = {name: value for name, value in os.environ.items() if name not in OPTIONS}
    return {**ours, "COLUMNS": "150", MARK: f"{os.getpid()}-{time.monotonic_ns()}"}


OPTIONS = {"TRACER", "SAMPLING", "WITHOUT", "SPANS", "ONCE", "ENVOY", "ENVOY_VERSION", "EXPORT"}


def _run(environment: dict[str, str], **options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        COMMAND,
        env={**environment, **options},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _left_behind(environment: dict[str, str]) -> list[str]:
    """Return the command lines of processes that carry the mark of this test."""
    mark = f"{MARK}={environment[MARK]}"
    listing = subprocess.run(
        ["/bin/ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    return [line for line in listing.stdout.splitlines() if mark in line]


def _until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("tracer", sorted(TRACERS))
def test_one_whole_trace_per_request(tracer: str, environment: dict[str, str]) -> None:
    """Without a terminal it ends by itself with status 0, and nothing is left behind."""
    ended = _run(environment, TRACER=tracer)
    assert (0, "") == (ended.returncode, ended.stderr)
    assert re.search(
        r"✓ 9 requests, 9 traces, \d+ spans, 0 orphans: every request is one whole trace\.",
        ended.stdout,
    )
    assert re.search(r"reviews-v2 +out ratings:9080/\* .*fault: delayed", ended.stdout)
    assert re.search(
        r"^ratings +GET /ratings/0 (trace_id=[0-9a-f]{32} request_id=[0-9a-f-]{36})\n"
        r"ratings-sidecar +GET /ratings/0 200 \1$",
        ended.stdout,
        re.MULTILINE,
    )
    assert [] == _left_behind(environment)


def test_without_meshtrace_the_traces_break(environment: dict[str, str]) -> None:
    """WITHOUT=1 shows the pieces and ends with a status of its own."""
    ended = _run(environment, WITHOUT="1")
    assert (1, "") == (ended.returncode, ended.stderr)
    assert "8 of 9 requests did not give one whole trace" in ended.stdout


def test_with_sampling_every_trace_is_whole_or_absent(environment: dict[str, str]) -> None:
    """SAMPLING=20 ends with status 0 though most requests leave no span."""
    ended = _run(environment, SAMPLING="20", TRACER="opentelemetry")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "every trace is whole or absent" in ended.stdout


def test_another_version_of_envoy(environment: dict[str, str], older_envoy: Path) -> None:
    """ENVOY_VERSION=1.36.4 runs that one, with one whole trace per request."""
    assert "1.36.4" == version_of(older_envoy)
    ended = _run(environment, ENVOY_VERSION="1.36.4")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "Envoy 1.36.4" in ended.stdout


def test_a_missing_envoy_is_one_line(environment: dict[str, str]) -> None:
    """No traceback, no mesh, status 1."""
    ended = _run(environment, ENVOY="/nowhere/envoy")
    told = "bookinfo: no Envoy at /nowhere/envoy: ENVOY (or --envoy) must name the binary\n"
    assert (1, told, "") == (ended.returncode, ended.stdout, ended.stderr)


def test_an_envoy_that_dies_is_told_with_its_last_words(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """One line says which sidecar, the next ones what it said; nothing is left behind."""
    envoy = tmp_path / "envoy"
    envoy.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && echo "envoy  version: 0abc/9.9.9/Clean" && exit\n'
        "echo 'I do not feel well'\nexit 3\n"
    )
    envoy.chmod(0o755)
    ended = _run(environment, ENVOY=str(envoy))
    told = ended.stdout.splitlines()
    assert (1, "") == (ended.returncode, ended.stderr)
    assert re.fullmatch(r"bookinfo: [\w-]+ ended with exit status 3", told[1])
    assert "  I do not feel well" == told[2]
    assert [] == _left_behind(environment)


def test_a_port_in_use_is_one_line(environment: dict[str, str]) -> None:
    """The port that was asked for is named."""
    with listen() as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--port", port],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (1, "") == (ended.returncode, ended.stderr)
    assert f"bookinfo: port {port} cannot be used" in ended.stdout.splitlines()[-1]
    assert "Traceback" not in ended.stdout


class Screen:
    """A demo on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self._shown = b""

    def wait_for(self, text: str) -> str:
        """Read until *text* is on the screen, and return all that was."""
        while text.encode() not in self._shown:
            self._shown += self._read()
        return self._shown.decode()

    def rest(self) -> str:
        """Read until the demo ends."""
        while more := self._read():
            self._shown += more
        return self._shown.decode()

    def _read(self) -> bytes:
        try:
            return os.read(self._terminal, 4096)
        except OSError:  # Linux says so when the other side is closed
            return b""


@contextmanager
def _on_a_terminal(environment: dict[str, str]) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        COMMAND, env=environment, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Screen(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_on_a_terminal_it_serves_until_it_is_asked_to_end(
    name: str, environment: dict[str, str]
) -> None:
    """The page can be visited, the visit's trace is shown, and the end leaves nothing behind."""
    with _on_a_terminal(environment) as screen:
        shown = screen.wait_for("Ctrl-C ends")
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+/productpage", shown)
        page = build_opener(ProxyHandler({})).open(address).read().decode()
        (trace_id,) = re.findall(r"Trace <code>([0-9a-f]{32})</code>", page)
        screen.wait_for(f"#trace={trace_id}")
        screen.process.send_signal(signal.Signals[name])
        assert "Traceback" not in screen.rest()
        assert 0 == screen.process.wait(30)
    assert [] == _left_behind(environment)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("details", id="a service"),
        pytest.param("ratings-sidecar", id="a sidecar"),
        pytest.param("gateway", id="the gateway"),
    ],
)
def test_a_part_that_is_killed_ends_the_rest(part: str, environment: dict[str, str]) -> None:
    """The line says which part it was; all others are taken away."""
    needle = {"details": "examples.bookinfo.details"}.get(part, f"/{part}.yaml")
    with _on_a_terminal(environment) as screen:
        screen.wait_for("Ctrl-C ends")
        (victim,) = [line for line in _left_behind(environment) if needle in line]
        os.kill(int(victim.split()[0]), signal.SIGKILL)
        shown = screen.rest()
        assert f"bookinfo: {part} was ended by SIGKILL" in shown
        assert "Traceback" not in shown
        assert 1 == screen.process.wait(30)
    assert [] == _left_behind(environment)


def test_nothing_survives_a_killed_demo(environment: dict[str, str]) -> None:
    """Even SIGKILL, which leaves the demo no time to tidy up, leaves nothing behind."""
    with _on_a_terminal(environment) as screen:
        screen.wait_for("Ctrl-C ends")
        assert 14 < len(_left_behind(environment))
        screen.process.kill()
    assert _until(lambda: _left_behind(environment) == [])

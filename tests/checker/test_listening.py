"""What the kernel tells of processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from meshtrace.checker import listening

LISTENING = (
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7001 1 0\n"
    "   1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000  0  0 7002 1 0\n"
)


def _proc(root: Path) -> Path:
    """Make a small /proc: process 7 listens on 8080, process 8 is about to end."""
    (root / "net").mkdir()
    (root / "self" / "net").mkdir(parents=True)
    for directory in (root / "net", root / "self" / "net"):
        (directory / "tcp").write_text(f"  sl  local_address\n{LISTENING}")
    (root / "7" / "fd").mkdir(parents=True)
    (root / "7" / "environ").write_bytes(b"A=1\0MARK=x\0")
    (root / "7" / "fd" / "0").symlink_to("/dev/null")
    (root / "7" / "fd" / "1").symlink_to("socket:[7001]")
    (root / "7" / "fd" / "2").symlink_to("socket:[7002]")
    (root / "8").mkdir()
    (root / "9").mkdir()
    (root / "9" / "environ").write_bytes(b"MARK=x")
    return root


def test_a_process_and_its_ports(tmp_path: Path) -> None:
    """Marked processes are found, and the ports on which they listen; what ends is left out."""
    proc = _proc(tmp_path)
    assert [7, 9] == sorted(listening.marked("MARK=x", proc))
    assert [8080] == listening.ports("MARK=x", proc)
    assert [] == listening.ports("MARK=y", proc)


def test_which_systems(tmp_path: Path) -> None:
    """A system without these files is told from one that has them."""
    assert not listening.is_supported(tmp_path)
    assert listening.is_supported(_proc(tmp_path))


def test_a_real_process() -> None:
    """A process that listens is found by its mark, and its port by the process."""
    mark = f"LISTENING_TEST={os.getpid()}"
    name, value = mark.split("=")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
            env={**os.environ, name: value},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        found = (listening.marked(mark), listening.ports(mark))
        process.communicate()
        assert ([process.pid], [listener.getsockname()[1]]) == found

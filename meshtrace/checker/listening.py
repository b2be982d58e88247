"""What the kernel tells of a process and of what it has started: read from ``/proc``."""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_supported", "marked", "ports"]

_PROC = Path("/proc")
_LISTENS = "0A"


def is_supported(proc: Path = _PROC) -> bool:
    """Tell whether the system has what is needed: Linux does."""
    return (proc / "net" / "tcp").exists()


def ports(variable: str, proc: Path = _PROC) -> list[int]:
    """
    Give the TCP ports on which the marked processes listen, in ascending order.

    Args:
        variable: As in `marked`.
        proc: Where the kernel tells of processes.
    """
    sockets = {inode for pid in marked(variable, proc) for inode in _sockets(proc / str(pid))}
    return sorted({port for inode, port in _listening(proc) if inode in sockets})


def marked(variable: str, proc: Path = _PROC) -> list[int]:
    """
    Give the ids of the processes that were started with a variable in their environment.

    It is inherited by what they start, also by what has left their session.

    Args:
        variable: ``NAME=VALUE``.
        proc: As in `ports`.
    """
    return [pid for pid, environment in _environments(proc) if variable.encode() in environment]


def _environments(proc: Path) -> Iterator[tuple[int, list[bytes]]]:
    for directory in proc.iterdir():
        if directory.name.isdecimal():
            try:
                environment = (directory / "environ").read_bytes()
            except OSError:
                continue  # it has just ended, or is somebody else's
            yield int(directory.name), environment.split(b"\0")


def _sockets(directory: Path) -> Iterator[str]:
    try:
        for descriptor in (directory / "fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:
        return  # it has just ended, or is somebody else's


def _listening(proc: Path) -> Iterator[tuple[str, int]]:
    for name in ("tcp", "tcp6"):
        table = proc / "self" / "net" / name
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS:
                yield fields[9], int(fields[1].rpartition(":")[2], 16)

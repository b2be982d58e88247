"""
Entering a network namespace: the check runs again inside, and this process waits outside.

Outside, it does two things for the one inside: it opens connections on the real loopback device,
where ``--forward`` asks for them, and by ending it ends everything inside.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from meshtrace.checker.http1 import Wire
from meshtrace.checker.isolation.tunnel import DEVICE

__all__ = ["Outside", "dial_for", "enter", "flags", "why_not"]

_FLAGS = (
    # With a process namespace: whatever the service has started ends with it.
    ["-Urnm", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ["-Urnm"],
)
_TRY = (
    f"ip link set lo up && ip tuntap add dev {DEVICE} mode tun"
    " && mount --bind /etc/hosts /etc/hosts"
)
_PROJECT = Path(__file__).parents[3]
_ENTRY = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from meshtrace.cli.check import main; sys.exit(main(sys.argv[1:]))"
)
_MESSAGE = 4096


def flags() -> tuple[list[str], str]:
    """Give the flags of ``unshare`` that work here, or none and the reason."""
    reason = ""
    for tool in ("unshare", "ip", "mount"):
        if shutil.which(tool) is None:
            return [], f"there is no {tool} here"
    for candidate in _FLAGS:
        tried = subprocess.run(  # noqa: S603 - our own words
            ["unshare", *candidate, "sh", "-c", _TRY],  # noqa: S607 - found above
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode == 0:
            return candidate, ""
        reason = reason or (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
    return [], reason


def why_not() -> str:
    """Give the reason why a network namespace cannot be had here; empty when it can."""
    return flags()[1]


def enter(
    arguments: Sequence[str],
    option: str,
    unshare_flags: Sequence[str],
    may_dial: Callable[[str], bool],
) -> int:
    """
    Run the check inside, and give its exit status.

    Args:
        arguments: The check's arguments.
        option: The option that tells the check that it is inside; gets two file descriptors.
        unshare_flags: What `flags` gave.
        may_dial: Tells whether the one inside may have a connection to a host of the real network.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, held = os.pipe()
    descriptors = (lifeline, theirs.fileno())
    command = [
        *("unshare", *unshare_flags, sys.executable, "-c", _ENTRY, str(_PROJECT)),
        *(option, f"{lifeline},{theirs.fileno()}", *arguments),
    ]
    inside = subprocess.Popen(command, pass_fds=descriptors)  # noqa: S603 - ourselves
    theirs.close()
    os.close(lifeline)
    threading.Thread(target=dial_for, args=(ours, may_dial), daemon=True).start()

    with os.fdopen(held, "w") as end:
        before = signal.signal(signal.SIGTERM, lambda *_: end.close())
        try:
            while True:
                # Ctrl-C reaches the one inside as well, which then tidies up.
                with contextlib.suppress(KeyboardInterrupt):
                    return inside.wait()
        finally:
            signal.signal(signal.SIGTERM, before)


def dial_for(ours: socket.socket, may_dial: Callable[[str], bool]) -> None:
    """
    Open the connections that the one inside asks for, until it has gone.

    Args:
        ours: The line to it.
        may_dial: Tells whether it may have a connection to a host.
    """
    with contextlib.suppress(OSError), ours:
        while message := ours.recv(_MESSAGE):
            host, port = json.loads(message)
            connection = _dial(host, port) if may_dial(host) else None
            if connection is None:
                ours.send(b"-")
                continue
            with connection:
                socket.send_fds(ours, [b"+"], [connection.fileno()])


def _dial(host: str, port: int) -> socket.socket | None:
    try:
        connection = socket.create_connection((host, port), timeout=10)
    except OSError:
        return None
    connection.settimeout(None)
    return connection


class Outside:
    """
    What the one inside has of the world: its end of the line to the process that waits.

    Args:
        descriptors: The two file descriptors, as the option gave them.
    """

    def __init__(self, descriptors: str) -> None:
        lifeline, line = (int(text) for text in descriptors.split(","))
        self._lifeline = lifeline
        self._line = socket.socket(fileno=line)
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """Let go of it."""
        os.close(self._lifeline)
        self._line.close()

    def when_it_ends(self, end: Callable[[], object]) -> None:
        """Call *end* when the process outside has gone, or was told to go."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self._lifeline)
            end()

        loop.add_reader(self._lifeline, gone)

    async def dial(self, host: str, port: int) -> Wire:
        """
        Open a connection in the real network.

        Raises:
            OSError: It cannot be had.
        """
        async with self._lock:
            descriptor = await asyncio.to_thread(self._dial, host, port)
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
        return Wire(reader, writer)

    def _dial(self, host: str, port: int) -> int:
        self._line.send(json.dumps([host, port]).encode())
        _, descriptors, _, _ = socket.recv_fds(self._line, 1, 1)
        if not descriptors:
            raise ConnectionRefusedError(f"{host}:{port} cannot be reached")
        return descriptors[0]

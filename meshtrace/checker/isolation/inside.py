"""Life inside the namespace: its network, its names, and the word from outside to end."""

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

from meshtrace.checker.isolation.loopback import Loopback
from meshtrace.checker.isolation.names import Names
from meshtrace.checker.isolation.tunnel import DEVICE, OWN_4, OWN_6, Tunnel
from meshtrace.checker.recorder import Recorder

__all__ = ["Inside", "cover_files"]

_FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
    "/etc/resolv.conf": "nameserver 127.0.0.1\n",
    # No other source of names: some ask a daemon outside, over a Unix socket.
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_DAEMONS = ("/var/run/nscd",)
_NETWORK = (
    "ip link set lo up",
    f"ip addr add {OWN_4}/32 dev {DEVICE}",
    f"ip link set {DEVICE} up",
    f"ip route add default dev {DEVICE} src {OWN_4}",
)
_NETWORK_6 = (
    f"ip -6 addr add {OWN_6}/128 dev {DEVICE} nodad",
    f"ip -6 route add default dev {DEVICE} src {OWN_6}",
)


class Inside:
    """
    The network that the checked service lives in.

    Args:
        recorder: What every connection is led to.

    Attributes:
        loopback: Learns the ports that are called on the loopback device.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._names = Names()
        self.loopback = Loopback(self._listen)

    @contextlib.asynccontextmanager
    async def network(self) -> AsyncIterator[None]:
        """
        Have the network for a while.

        Raises:
            OSError: The kernel does not allow it here.
            subprocess.CalledProcessError: Likewise.
        """
        tunnel = Tunnel(self._names)
        tunnel.open()
        try:
            for command in _NETWORK:
                _run(command)
            tunnel.port = await self._recorder.listen(OWN_4, find=tunnel.origin)
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                for command in _NETWORK_6:
                    _run(command)
                await self._recorder.listen(OWN_6, tunnel.port, find=tunnel.origin)
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(
                lambda: self._names, ("127.0.0.1", 53)
            )
            with tempfile.TemporaryDirectory() as directory:
                cover_files(Path(directory), _FILES, _DAEMONS, _run)
                yield
            transport.close()
        finally:
            self.loopback.close()
            tunnel.close()

    async def _listen(self, address: str, port: int) -> int:
        return await self._recorder.listen(address, port, going_to=("localhost", port))


def cover_files(
    directory: Path,
    files: Mapping[str, str],
    daemons: Iterable[str],
    run: Callable[[str], None],
) -> None:
    """
    Lay files of our own over those of the system, where there are any.

    Args:
        directory: Where ours are written.
        files: The system's, and what ours say.
        daemons: Directories of daemons that are not to be asked.
        run: Runs a command.
    """
    empty = directory / "empty"
    empty.mkdir()
    for path, text in files.items():
        own = directory / Path(path).name
        own.write_text(text)
        if Path(path).exists():
            run(f"mount --bind {own} {path}")
    for daemon in daemons:
        if Path(daemon).exists():
            run(f"mount --bind {empty} {daemon}")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)  # noqa: S603 - our own words

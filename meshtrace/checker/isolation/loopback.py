"""
Calls to ``localhost`` in the namespace: its ports are learned by the attempts to reach them.

A connection to a port of the loopback device where nobody listens is refused, once; from then on
the recorder listens there, and the check sends its probe again.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

__all__ = ["Loopback", "wanted_port"]

_ALL_PROTOCOLS = 3
_TCP = 6
_SYN, _SYN_ACK = 0x02, 0x12


class Loopback:
    """
    Opens the ports that the service calls on its own loopback device.

    Args:
        listen: Makes the recorder listen on an address and a port; raises OSError when somebody
            else does.
    """

    def __init__(self, listen: Callable[[str, int], Awaitable[object]]) -> None:
        self._listen = listen
        self._known: set[int] = set()
        self._wanted: list[int] = []
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """
        Begin.

        Raises:
            OSError: The kernel does not allow it here.
        """
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(_ALL_PROTOCOLS)
        )
        self._socket.bind(("lo", 0))
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """End."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    async def learn(self) -> bool:
        """Listen on what was tried in vain; tell whether there was anything."""
        learned = False
        while self._wanted:
            port = self._wanted.pop()
            # Where the first is taken, somebody listens, and nobody was refused.
            with contextlib.suppress(OSError):
                for address in ("127.0.0.1", "::1"):
                    await self._listen(address, port)
                    learned = True
        return learned

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                port = wanted_port(self._socket.recv(256))  # type: ignore[union-attr]  # it is read
                if port and port not in self._known:
                    self._known.add(port)
                    self._wanted.append(port)


def wanted_port(packet: bytes) -> int:
    """
    Give the port that a packet asks for a connection to; 0 when it does not.

    Args:
        packet: An IP packet.
    """
    version = packet[0] >> 4
    protocol, head = (packet[9], (packet[0] & 15) * 4) if version == 4 else (packet[6], 40)  # noqa: PLR2004 - the version of IP
    if protocol != _TCP or packet[head + 13] & _SYN_ACK != _SYN:
        return 0
    port: int = struct.unpack_from("!H", packet, head + 2)[0]
    return port

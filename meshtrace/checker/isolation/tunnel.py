"""
The network of the namespace: a device into which every packet goes that leaves the service.

Whatever address and port a connection is made to, its packets are turned round here and sent back
in, to the recorder. Destinations need not be known before, no port is taken from the service, and a
service on port 8080 can call others on their port 8080. Only TCP is turned round; the rest is
dropped. Loopback addresses do not come here: `loopback` sees to those.
"""

import array
import asyncio
import fcntl
import os
import socket
import struct
from typing import NamedTuple

from meshtrace.checker.isolation.names import Names
from meshtrace.checker.recorder import Origin

__all__ = ["DEVICE", "OWN_4", "OWN_6", "Tunnel", "checksum"]

DEVICE = "meshtrace0"
OWN_4, _PEER_4 = "198.18.0.1", "198.18.0.2"
OWN_6, _PEER_6 = "fd6d:6573:6874::1", "fd6d:6573:6874::2"

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
_TCP = 6
_NONE = bytes(2)
_FIRST_PORT, _PORTS = 1024, 64512
_MOST = 1 << 16


class _Family(NamedTuple):
    """Where things are in a packet of one IP version, and the two addresses of the tunnel."""

    name: socket.AddressFamily
    protocol: int
    addresses: int
    size: int
    own: bytes
    peer: bytes


_FAMILIES = {
    4: _Family(socket.AF_INET, 9, 12, 4, socket.inet_aton(OWN_4), socket.inet_aton(_PEER_4)),
    6: _Family(
        socket.AF_INET6,
        protocol=6,
        addresses=8,
        size=16,
        own=socket.inet_pton(socket.AF_INET6, OWN_6),
        peer=socket.inet_pton(socket.AF_INET6, _PEER_6),
    ),
}


class _Flow(NamedTuple):
    source: bytes
    target: bytes
    source_port: int
    target_port: int


class Tunnel:
    """
    Turns packets round.

    Args:
        names: Knows which name an address stands for.

    Attributes:
        port: The recorder's, on the tunnel's own addresses; to be set before the first packet.
    """

    def __init__(self, names: Names) -> None:
        self.port = 0
        self._names = names
        self._ports: dict[_Flow, int] = {}
        self._flows: dict[int, _Flow] = {}
        self._count = 0
        self._device = -1

    def open(self) -> None:
        """
        Make the device.

        Raises:
            OSError: The kernel does not allow it here.
        """
        self._device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = struct.pack("16sH22x", DEVICE.encode(), _TUN_WITHOUT_HEADER)
        fcntl.ioctl(self._device, _TUNSETIFF, name)
        asyncio.get_running_loop().add_reader(self._device, self._turn_all)

    def close(self) -> None:
        """Take the device away."""
        asyncio.get_running_loop().remove_reader(self._device)
        os.close(self._device)

    def origin(self, port: int) -> Origin | None:
        """Give the origin of a connection that came to the recorder from this port."""
        flow = self._flows.get(port)
        if flow is None:
            return None
        family = _FAMILIES[4 if len(flow.target) == _FAMILIES[4].size else 6]
        address = socket.inet_ntop(family.name, flow.target)
        return Origin(flow.source_port, self._names.name_of(address), flow.target_port)

    def turn(self, packet: bytearray) -> bool:
        """
        Write the other addresses into a packet, in place.

        Args:
            packet: An IP packet.

        Returns:
            Whether it is to be sent back in.
        """
        family = _FAMILIES.get(packet[0] >> 4)
        if family is None or packet[family.protocol] != _TCP:
            return False
        at, size = family.addresses, family.size
        head = (packet[0] & 15) * 4 if size == _FAMILIES[4].size else 40
        ports = struct.unpack_from("!HH", packet, head)
        flow = _Flow(
            bytes(packet[at : at + size]), bytes(packet[at + size : at + 2 * size]), *ports
        )
        if flow.target == family.peer:
            there = self._flows.get(flow.target_port)
            if there is None:
                return False
            turned = _Flow(there.target, there.source, there.target_port, there.source_port)
        else:
            turned = _Flow(family.peer, family.own, self._number(flow), self.port)
        packet[at : at + 2 * size] = turned.source + turned.target
        struct.pack_into("!HH", packet, head, turned.source_port, turned.target_port)
        _sum_up(packet, head, turned)
        return True

    def _turn_all(self) -> None:
        while True:
            try:
                packet = bytearray(os.read(self._device, _MOST))
            except BlockingIOError:
                return
            if self.turn(packet):
                os.write(self._device, packet)

    def _number(self, flow: _Flow) -> int:
        """Give the port that stands for a connection."""
        if flow not in self._ports:
            port = _FIRST_PORT + self._count % _PORTS
            self._count += 1
            self._ports.pop(self._flows.get(port, flow), None)
            self._ports[flow] = port
            self._flows[port] = flow
        return self._ports[flow]


def checksum(data: bytes) -> bytes:
    """
    Give the Internet checksum (RFC 1071), which is the same sum in either byte order.

    >>> checksum(bytes([0x45, 0, 0, 0x1C])).hex()
    'bae3'
    """
    total = sum(array.array("H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("=H", ~total & 0xFFFF)


def _sum_up(packet: bytearray, head: int, flow: _Flow) -> None:
    length = len(packet) - head
    addresses = flow.source + flow.target
    if packet[0] >> 4 == 4:  # noqa: PLR2004 - the version of IP
        packet[10:12] = _NONE
        packet[10:12] = checksum(bytes(packet[:head]))
        pseudo = addresses + struct.pack("!HH", _TCP, length)
    else:
        pseudo = addresses + struct.pack("!II", length, _TCP)
    packet[head + 16 : head + 18] = _NONE
    packet[head + 16 : head + 18] = checksum(pseudo + bytes(packet[head:]))

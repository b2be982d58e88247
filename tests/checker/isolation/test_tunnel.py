"""Packets that leave are turned round, to the recorder."""

import socket
import struct

import pytest

from meshtrace.checker.isolation.names import Names
from meshtrace.checker.isolation.tunnel import OWN_4, OWN_6, Tunnel, checksum
from meshtrace.checker.recorder import Origin

RECORDER = 7777


def _packet(source: str, target: str, ports: tuple[int, int], protocol: int = 6) -> bytearray:
    """Make a packet of TCP, or of another protocol, with all checksums still to be made."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    segment = struct.pack("!HHIIBBHHH", *ports, 0, 0, 0x50, 2, 1000, 0, 0) + b"odd"
    if family == socket.AF_INET:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64)
    return bytearray(head + addresses + segment)


def _seen(packet: bytearray) -> tuple[str, int, str, int]:
    """Give where a packet says that it comes from, and where it goes."""
    if packet[0] >> 4 == 4:
        family, at, size, head = socket.AF_INET, 12, 4, 20
    else:
        family, at, size, head = socket.AF_INET6, 8, 16, 40
    source, target = (bytes(packet[at + n * size : at + (n + 1) * size]) for n in (0, 1))
    ports = struct.unpack_from("!HH", packet, head)
    return (
        socket.inet_ntop(family, source),
        ports[0],
        socket.inet_ntop(family, target),
        ports[1],
    )


@pytest.mark.parametrize(
    ("own", "there"), [(OWN_4, "192.0.2.7"), (OWN_6, "2001:db8::7")], ids=["IPv4", "IPv6"]
)
def test_there_and_back(own: str, there: str) -> None:
    """A connection to anywhere comes to the recorder, and its answers seem to come from there."""
    tunnel = Tunnel(Names())
    tunnel.port = RECORDER
    packet = _packet(own, there, (5000, 80))
    assert tunnel.turn(packet)
    peer, port, target, target_port = _seen(packet)
    assert (own, RECORDER) == (target, target_port)
    assert Origin(5000, there, 80) == tunnel.origin(port)
    answer = _packet(own, peer, (RECORDER, port))
    assert tunnel.turn(answer)
    assert (there, 80, own, 5000) == _seen(answer)


def test_checksums_are_right() -> None:
    """The checksum over a turned packet, its own included, is zero."""
    tunnel = Tunnel(Names())
    packet = _packet(OWN_4, "192.0.2.7", (5000, 80))
    tunnel.turn(packet)
    assert b"\0\0" == checksum(bytes(packet[:20]))
    segment = bytes(packet[20:])
    assert b"\0\0" == checksum(bytes(packet[12:20]) + struct.pack("!HH", 6, len(segment)) + segment)


def test_a_name_is_known() -> None:
    """The address of a name is told as the name."""
    names = Names()
    tunnel = Tunnel(names)
    packet = _packet(OWN_4, names.address_of("reviews"), (5000, 9080))
    tunnel.turn(packet)
    assert Origin(5000, "reviews", 9080) == tunnel.origin(_seen(packet)[1])


def test_one_port_for_each_connection() -> None:
    """Packets of one connection stay together; ports that are used up are given again."""
    tunnel = Tunnel(Names())
    first, again = (_packet(OWN_4, "192.0.2.7", (5000, 80)) for _ in range(2))
    tunnel.turn(first)
    tunnel.turn(again)
    assert _seen(first) == _seen(again)
    for number in range(64512):
        tunnel.turn(_packet(OWN_4, f"10.0.{number >> 8}.{number & 255}", (5000, 80)))
    assert Origin(5000, "10.0.251.255", 80) == tunnel.origin(_seen(first)[1])


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(_packet(OWN_4, "192.0.2.7", (5000, 53), protocol=17), id="UDP"),
        pytest.param(bytearray(40), id="no IP"),
        pytest.param(_packet(OWN_4, "198.18.0.2", (5000, 80)), id="an answer to nobody"),
    ],
)
def test_what_is_dropped(packet: bytearray) -> None:
    """What is no connection of the service's goes nowhere."""
    assert not Tunnel(Names()).turn(packet)


def test_no_such_connection() -> None:
    """A port that stands for nothing has no origin."""
    assert Tunnel(Names()).origin(1) is None

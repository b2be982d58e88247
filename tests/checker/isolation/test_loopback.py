"""Ports that the service calls on its own loopback device."""

import asyncio
import struct

import pytest

from meshtrace.checker.isolation.loopback import Loopback, wanted_port

IPV4 = struct.pack("!BBHHHBBH8x", 0x45, 0, 40, 0, 0, 64, 6, 0)
IPV6 = struct.pack("!IHBB32x", 6 << 28, 20, 6, 64)
UDP = struct.pack("!BBHHHBBH8x", 0x45, 0, 40, 0, 0, 64, 17, 0)


def _tcp(port: int, flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", 5000, port, 0, 0, 0x50, flags, 1000, 0, 0)


@pytest.mark.parametrize(
    ("packet", "port"),
    [
        pytest.param(IPV4 + _tcp(8080, 0x02), 8080, id="a request for a connection"),
        pytest.param(IPV6 + _tcp(8080, 0x02), 8080, id="the same over IPv6"),
        pytest.param(IPV4 + _tcp(8080, 0x12), 0, id="an answer"),
        pytest.param(IPV4 + _tcp(8080, 0x10), 0, id="data"),
        pytest.param(UDP + _tcp(8080, 0x02), 0, id="UDP"),
    ],
)
def test_a_wanted_port(packet: bytes, port: int) -> None:
    """Only a packet that asks for a connection wants a port."""
    assert port == wanted_port(packet)


def test_before_it_is_open() -> None:
    """Nothing is learned, and closing is no error."""

    async def listen(address: str, port: int) -> None:
        raise AssertionError((address, port))

    loopback = Loopback(listen)
    assert not asyncio.run(loopback.learn())
    loopback.close()

"""The name server of the namespace."""

import asyncio
import socket
import struct

import pytest

from meshtrace.checker.isolation.names import Names

A, AAAA = 1, 28


def _question(name: str, kind: int, *, count: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        struct.pack("!HHHHHH", 7, 0x100, count, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
    )


def test_a_name_has_an_address() -> None:
    """Every name has one of its own, and the same each time, in whatever case it is asked for."""
    names = Names()
    answer = names.answer(_question("reviews.prod.svc", A))
    assert socket.inet_aton("198.19.0.1") == answer[-4:]
    assert (7, 1) == struct.unpack_from("!H4xH", answer)
    assert socket.inet_aton("198.19.0.2") == names.answer(_question("ratings", A))[-4:]
    assert socket.inet_aton("198.19.0.1") == names.answer(_question("Reviews.prod.SVC", A))[-4:]
    assert "reviews.prod.svc" == names.name_of("198.19.0.1")


def test_a_name_has_nothing_else() -> None:
    """Of IPv6 addresses and other records there are none, which is no error."""
    answer = Names().answer(_question("reviews", AAAA))
    assert (0x8580, 1, 0) == struct.unpack_from("!2xHHH", answer)


@pytest.mark.parametrize(
    "message", [b"", b"x" * 12, _question("a", A)[:-3], _question("a", A, count=2)]
)
def test_what_is_no_question(message: bytes) -> None:
    """It is not answered."""
    assert b"" == Names().answer(message)


def test_over_the_network() -> None:
    """Questions come, and answers go, as datagrams."""

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Names, ("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)  # noqa: FBT003 - as it is called
            client.connect(transport.get_extra_info("sockname"))
            client.send(b"no question")
            client.send(_question("reviews", A))
            answer = await loop.sock_recv(client, 512)
        transport.close()
        return answer

    assert socket.inet_aton("198.19.0.1") == asyncio.run(run())[-4:]

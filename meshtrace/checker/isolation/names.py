"""The name server of the namespace: every name has an address, and every address leads to us."""

import asyncio
import ipaddress
import struct
from typing import cast

__all__ = ["Names"]

_FIRST = ipaddress.IPv4Address("198.19.0.1")
"""Of RFC 2544, for tests of networks: no host is there."""

_HEADER = struct.Struct("!HHHHHH")
_A = 1
_ANSWERED = 0x8580
"""An answer, from the authority, recursion available, no error."""

_TTL = 60


class Names(asyncio.DatagramProtocol):
    """
    Answers DNS questions, and remembers what was asked.

    >>> names = Names()
    >>> names.address_of("reviews")
    '198.19.0.1'
    >>> names.name_of("198.19.0.1"), names.name_of("192.0.2.7")
    ('reviews', '192.0.2.7')
    """

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def address_of(self, name: str) -> str:
        """Give the address of a name."""
        name = name.lower().rstrip(".")
        if name not in self._addresses:
            address = str(_FIRST + len(self._addresses))
            self._addresses[name] = address
            self._names[address] = name
        return self._addresses[name]

    def name_of(self, address: str) -> str:
        """Give the name that was asked for, or the address itself."""
        return self._names.get(address, address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # Not every loop's transport is an instance of what it is.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question; what is none is left alone."""
        if answer := self.answer(data):
            self._transport.sendto(answer, addr)

    def answer(self, question: bytes) -> bytes:
        """
        Give the answer to a message; empty when it is no question (RFC 1035, section 4).

        A name has one IPv4 address, and nothing else.
        """
        try:
            number, _, questions, *_ = _HEADER.unpack_from(question)
            labels, end = _labels(question, _HEADER.size)
            kind, _ = struct.unpack_from("!HH", question, end)
        except (struct.error, IndexError):
            return b""
        if questions != 1:
            return b""
        found = kind == _A
        answer = _HEADER.pack(number, _ANSWERED, 1, int(found), 0, 0)
        answer += question[_HEADER.size : end + 4]
        if found:
            address = ipaddress.IPv4Address(self.address_of(b".".join(labels).decode("latin-1")))
            # The name is that of the question, at byte 12.
            answer += struct.pack("!HHHIH", 0xC00C, _A, 1, _TTL, 4) + address.packed
        return answer


def _labels(message: bytes, at: int) -> tuple[list[bytes], int]:
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length])
        at += 1 + length
    return labels, at + 1

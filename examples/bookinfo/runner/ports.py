"""Loopback ports that nobody can take from us between choosing and using them."""

from __future__ import annotations

import socket
import sys

from examples.bookinfo.runner.errors import PortInUseError

LOOPBACK = "127.0.0.1"


def listen() -> socket.socket:
    """Open a listening socket on a free port, to be handed to the process that serves on it."""
    return socket.create_server((LOOPBACK, 0), backlog=128)


class Reservation:
    """
    A port for a process that insists on opening it by itself, as Envoy does.

    A bound socket that does not listen keeps the port ours while it receives nothing. On Linux
    Envoy, sharing the port, can listen beside it; elsewhere we have to let go just before.
    """

    def __init__(self, port: int = 0) -> None:
        if port:
            _refuse_if_taken(port)
        self._socket = _bind(port, share=True)
        self.port: int = self._socket.getsockname()[1]

    def hand_over(self) -> None:
        """Make room for the process that is about to start, where it needs room."""
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _refuse_if_taken(port: int) -> None:
    # Another of our Envoys would share the port with us, so ask without sharing first.
    _bind(port, share=False).close()


def _bind(port: int, *, share: bool) -> socket.socket:
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        candidate.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        candidate.close()
        raise PortInUseError(
            f"port {port} cannot be used ({error}): choose another, or leave the choice to us"
        ) from error
    return candidate

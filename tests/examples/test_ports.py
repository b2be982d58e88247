"""Ports that stay ours until they are used."""

from __future__ import annotations

import socket

import pytest

from examples.bookinfo.runner.errors import PortInUseError
from examples.bookinfo.runner.ports import LOOPBACK, Reservation, listen


def test_a_listening_socket_queues_before_anybody_serves() -> None:
    """A client can connect as soon as the socket is there, long before a service accepts."""
    with listen() as listening, socket.create_connection(listening.getsockname(), timeout=5):
        accepted, _ = listening.accept()
        accepted.close()


def test_reserved_ports_differ() -> None:
    """Ports reserved at the same time are never the same."""
    reservations = [Reservation() for _ in range(50)]
    assert 50 == len({reservation.port for reservation in reservations})
    for reservation in reservations:
        reservation.close()


def test_a_reserved_port_answers_nobody() -> None:
    """Nothing listens on a reserved port, so nobody mistakes it for the process to come."""
    reservation = Reservation()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, reservation.port), timeout=5)
    reservation.close()


def test_a_process_that_shares_can_listen_on_a_port_handed_over() -> None:
    """As Envoy does, on Linux while the port stays reserved."""
    reservation = Reservation()
    reservation.hand_over()
    with socket.socket() as envoys:
        envoys.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        envoys.bind((LOOPBACK, reservation.port))
        envoys.listen()
        with socket.create_connection((LOOPBACK, reservation.port), timeout=5):
            accepted, _ = envoys.accept()
            accepted.close()
    reservation.close()


def test_a_port_in_use_is_told_in_one_line() -> None:
    """Asking for a port that somebody listens on names it, and what to do."""
    with listen() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            Reservation(port)
    assert str(caught.value).startswith(f"port {port} cannot be used")
    assert "\n" not in str(caught.value)


def test_a_port_that_another_mesh_shares_is_in_use() -> None:
    """Two gateways on one port would each get half of the requests."""
    with socket.socket() as other_gateway:
        other_gateway.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other_gateway.bind((LOOPBACK, 0))
        other_gateway.listen()
        with pytest.raises(PortInUseError):
            Reservation(other_gateway.getsockname()[1])

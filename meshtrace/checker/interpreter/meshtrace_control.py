"""The connection from a checked process to the checker: one JSON object a line."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

_connect = socket.socket.connect
_sendall = socket.socket.sendall


class Control:
    """
    Speaks to the checker, by sockets that nothing redirects.

    Args:
        port: Where the checker listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._pid = 0
        self._socket: socket.socket | None = None

    def tell(self, said: dict[str, Any]) -> None:
        """Say something; an answer does not come."""
        with self._lock:
            self._send(said)

    def ask(self, said: dict[str, Any]) -> Any:
        """Say something, and wait for the answer."""
        with self._lock:
            connection = self._send(said)
            answer = b""
            while not answer.endswith(b"\n"):
                some = connection.recv(4096)
                if not some:
                    raise OSError("the checker has gone")
                answer += some
            return json.loads(answer)

    def _send(self, said: dict[str, Any]) -> socket.socket:
        # A forked child must not speak on its parent's connection.
        if self._socket is None or self._pid != os.getpid():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            _connect(self._socket, ("127.0.0.1", self._port))
            self._pid = os.getpid()
        _sendall(self._socket, json.dumps(said).encode() + b"\n")
        return self._socket

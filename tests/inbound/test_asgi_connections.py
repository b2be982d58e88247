"""
A connection that is used again: a real uvicorn, and a client that writes to a raw socket.

asyncio runs a transport's callbacks in the context in which they were registered, so that a later
request on a connection can start in the context of an earlier one, although that one has undone
what it set.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
SECONDS = 30

FIRST = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "b3": "0"}
FIRST_LINES = "".join(f"{name}: {value}\r\n" for name, value in FIRST.items()).encode()
SECOND = b"GET /second HTTP/1.1\r\nhost: shop\r\n\r\n"
LARGE = 400_000


@pytest.fixture(scope="module", params=["h11", "httptools"])
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Give the address of a uvicorn on asyncio's own loop, one for each of its parsers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, "-m", "uvicorn", "two_contexts:app", f"--app-dir={APPS}"]
        options = [f"--fd={fd}", f"--http={request.param}", "--loop=asyncio", "--lifespan=off"]
        with subprocess.Popen(
            [*command, *options, "--timeout-graceful-shutdown=5", "--log-level=warning"],
            cwd=ROOT,
            pass_fds=[fd],
        ) as server:
            try:
                yield listener.getsockname()
            finally:
                server.terminate()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    """Give one open connection to the server."""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        yield connection


@pytest.fixture
def answers(connection: socket.socket) -> Iterator[BufferedReader]:
    """Give what comes back on the connection."""
    with connection.makefile("rb") as answers:
        yield answers


def _next_told(answers: BufferedReader) -> dict[str, object]:
    """Read one answer, and give what it tells."""
    length = 0
    while line := answers.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    told: dict[str, object] = json.loads(answers.read(length))
    return told


def test_pipelined_request(connection: socket.socket, answers: BufferedReader) -> None:
    """A request sent right behind one with ids finds nothing, where carelessness finds its ids."""
    connection.sendall(b"GET /first HTTP/1.1\r\nhost: shop\r\n" + FIRST_LINES + b"\r\n" + SECOND)
    request_id = FIRST["x-request-id"]
    assert {"careless": request_id, "current": request_id, "headers": FIRST} == _next_told(answers)
    assert {"careless": request_id, "current": None, "headers": {}} == _next_told(answers)


def test_request_after_a_large_one(connection: socket.socket, answers: BufferedReader) -> None:
    """A request behind a large upload with ids finds nothing, where carelessness finds its ids."""
    head = b"POST /first HTTP/1.1\r\nhost: shop\r\ncontent-length: %d\r\n" % LARGE
    connection.sendall(head + FIRST_LINES + b"\r\n" + b"x" * LARGE)
    request_id = FIRST["x-request-id"]
    assert {"careless": request_id, "current": request_id, "headers": FIRST} == _next_told(answers)
    connection.sendall(SECOND)
    assert {"careless": request_id, "current": None, "headers": {}} == _next_told(answers)

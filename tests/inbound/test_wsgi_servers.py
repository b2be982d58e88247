"""The WSGI middleware under real servers: waitress, and gunicorn with two kinds of workers."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from tests.inbound.apps.every_body import THIS
from tests.inbound.wsgi_server import CAME

ROOT = Path(__file__).parents[2]
SECONDS = 30
APP = "tests.inbound.apps.every_body"
WAITRESS = f"""
import logging, socket, sys, waitress
from {APP} import app
logging.getLogger("waitress.queue").disabled = True  # it tells of requests that wait
waitress.serve(app, sockets=[socket.socket(fileno=int(sys.argv[1]))], threads=1)
"""
GUNICORN = ["-m", "gunicorn", f"{APP}:app", "--workers=1", "--threads=1", "--no-control-socket"]
Address = tuple[str, int]


def _arguments(server: str, fd: int) -> list[str]:
    """Give what to call Python with, to have one thread serve on an open socket."""
    if server == "waitress":
        return ["-c", WAITRESS, str(fd)]
    worker = server.removeprefix("gunicorn ")
    return [*GUNICORN, f"--worker-class={worker}", f"--bind=fd://{fd}", "--log-level=warning"]


@pytest.fixture(scope="module", params=["waitress", "gunicorn sync", "gunicorn gthread"])
def server(request: pytest.FixtureRequest) -> Iterator[Address]:
    """Give the address of each server in turn; at its end it must not have said a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        command = [sys.executable, *_arguments(request.param, fd)]
        with subprocess.Popen(
            command, cwd=ROOT, pass_fds=[fd], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield listener.getsockname()
            finally:
                process.terminate()
                _, said = process.communicate(timeout=SECONDS)
    assert "" == said


@pytest.fixture
def connection(server: Address) -> Iterator[HTTPConnection]:
    """Give a connection to the server."""
    connection = HTTPConnection(*server, timeout=SECONDS)
    yield connection
    connection.close()


def _told(answer: HTTPResponse) -> list[dict[str, object]]:
    """Read to the end what the application told."""
    return [json.loads(line) for line in answer.read().splitlines()]


def _get(
    connection: HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> list[dict[str, object]]:
    connection.request("GET", path, headers=headers or {})
    return _told(connection.getresponse())


@pytest.mark.parametrize(
    ("path", "steps"), [("/whole", 1), ("/stream", 3), ("/write", 2), ("/sized", 1)]
)
def test_what_came_is_at_hand(connection: HTTPConnection, path: str, steps: int) -> None:
    """However a body is sent, the request is at hand in each step, and gone with the next one."""
    first = _get(connection, path, CAME)
    second = _get(connection, path)
    assert [CAME] * steps == [told["at hand"] for told in first]
    assert [{}] * steps == [told["at hand"] for told in second]
    assert 1 == len({told["thread"] for told in first + second})


@pytest.mark.parametrize("path", ["/whole", "/write", "/file", "/sized"])
def test_the_server_does_as_it_does(connection: HTTPConnection, path: str) -> None:
    """Head and framing of an answer are what the server makes of the bare application."""
    heads = []
    for prefix in ("", "/bare"):
        connection.request("GET", prefix + path)
        answer = connection.getresponse()
        answer.read()
        heads.append([(name, text) for name, text in answer.getheaders() if name != "Date"])
    assert heads[0] == heads[1]


def test_a_file(connection: HTTPConnection) -> None:
    """A file arrives whole."""
    connection.request("GET", "/file", headers=CAME)
    assert THIS.read_bytes() == connection.getresponse().read()


@pytest.mark.parametrize("server", ["waitress", "gunicorn gthread"], indirect=True)
@pytest.mark.parametrize("path", ["/whole", "/sized"])
def test_a_connection_that_is_used_again(connection: HTTPConnection, path: str) -> None:
    """On one kept connection, a request without headers after one with headers finds nothing."""
    first = _get(connection, path, CAME)
    kept = connection.sock
    second = _get(connection, path)
    assert kept is connection.sock is not None
    assert [CAME, {}] == [told["at hand"] for told in first + second]


def test_a_client_that_leaves(server: Address, connection: HTTPConnection) -> None:
    """When a client leaves in the midst of a stream, its closing still has the request."""
    before = len(_get(connection, "/closed"))
    leaving = HTTPConnection(*server, timeout=SECONDS)
    leaving.request("GET", "/endless", headers=CAME)
    answer = leaving.getresponse()
    answer.readline()
    answer.close()
    leaving.close()
    # There is one thread: it answers when it is done with the client that left.
    closings = _get(connection, "/closed")
    assert [CAME] == [told["at hand"] for told in closings[before:]]
    assert {} == _get(connection, "/whole")[0]["at hand"]

"""The small server for one application."""

import asyncio
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from meshtrace.checker.serving import find

APPLICATIONS = """
import asyncio
import contextlib

class Plain:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return
        message = await receive()
        if scope["path"] == "/fails":
            raise ValueError("no such page")
        if scope["path"] == "/breaks":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"so f", "more_body": True})
            raise ValueError("broken")
        if scope["path"] == "/waits":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        status = 204 if scope["path"] == "/nothing" else 200
        await send({"type": "http.response.start", "status": status})
        body = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode()
        await send({"type": "http.response.body", "body": body + message["body"]})

plain = Plain()

def make():
    return plain

async def without_lifespan(scope, receive, send):
    assert scope["type"] == "http"
    await plain(scope, receive, send)

async def fails_to_start(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

def wsgi(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ["PATH_INFO"].encode()]
"""


@pytest.fixture
def served(tmp_path: Path, free_port: int, request: pytest.FixtureRequest) -> Iterator[int]:
    """Serve an application, and give the port."""
    (tmp_path / "applications.py").write_text(APPLICATIONS)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "meshtrace.checker.serving"),
            *(f"applications:{request.param}", str(free_port)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
    )
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", free_port)).close()
            break
        except OSError:
            continue
    yield free_port
    process.terminate()
    process.wait()


def _get(port: int, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(url, body, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("served", ["plain", "make()", "without_lifespan"], indirect=True)
def test_an_asgi_application(served: int) -> None:
    """It gets the request, and its answer goes out; a fault of its own is a 500."""
    assert (200, b"GET /a b a=1 ") == _get(served, "/a%20b?a=1")
    assert (200, b"POST /  body=1") == _get(served, "/", b"body=1")
    assert (204, b"") == _get(served, "/nothing")
    assert (200, b"GET /waits  ") == _get(served, "/waits")
    assert 500 == _get(served, "/fails")[0]
    assert (200, b"so f") == _get(served, "/breaks")


@pytest.mark.parametrize("served", ["plain"], indirect=True)
def test_a_connection_is_kept(served: int) -> None:
    """Several requests come on one connection, also HEAD; what is no HTTP ends it."""
    connection = HTTPConnection("127.0.0.1", served)
    for method, body in (("HEAD", b""), ("GET", b"GET /  ")):
        connection.request(method, "/")
        assert body == connection.getresponse().read()
    assert connection.sock is not None
    connection.sock.sendall(b"nonsense")
    connection.close()


@pytest.mark.parametrize("served", ["wsgi"], indirect=True)
def test_a_wsgi_application(served: int) -> None:
    """It is called as WSGI says."""
    assert (200, b"/a") == _get(served, "/a")


@pytest.mark.parametrize("served", ["fails_to_start"], indirect=True)
def test_an_application_that_does_not_start(served: int) -> None:
    """The server ends, as others do."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", served))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [("no_such_module:app", "No module named"), ("asyncio:no.such", "has no attribute 'no'")],
)
def test_an_application_that_is_not_there(spec: str, reason: str) -> None:
    """The reason is one line."""
    with pytest.raises(SystemExit, match=reason):
        find(spec)


def test_a_name_further_in() -> None:
    """Dots lead into what a module has."""
    assert asyncio.Event.wait is find("asyncio:Event.wait")

"""meshtrace where nothing is installed beside it: all works that needs no library."""

import http.client
import importlib
import inspect
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

import meshtrace

ROOMS = {
    "meshtrace.inbound.aiohttp": "aiohttp",
    "meshtrace.inbound.django": "django",
    "meshtrace.inbound.grpc": "grpc",
    "meshtrace.outbound.aiohttp": "aiohttp",
    "meshtrace.outbound.grpc": "grpc",
    "meshtrace.outbound.httpx": "httpx",
    "meshtrace.outbound.httpx2": "httpx2",
    "meshtrace.outbound.requests": "requests",
    "meshtrace.outbound.urllib3": "urllib3",
}
"""The modules that need a library, and the extra that brings it."""

OTHERS = {"meshtrace.concurrency.celery": "celery", "meshtrace.concurrency.greenlets": "gevent"}
"""Those whose library is there wherever they are of use."""

CAME = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}


PACKAGE = Path(meshtrace.__file__).parent


def _core() -> list[str]:
    """Give the names of the modules that are no library's room."""
    files = [
        file.relative_to(PACKAGE.parent).with_suffix("")
        for file in PACKAGE.rglob("*.py")
        if Path(file.parent, "__init__.py").exists() and file.stem != "__main__"
    ]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files]
    rooms = tuple({**ROOMS, **OTHERS})
    return sorted(name for name in names if not f"{name}.".startswith(rooms))


@pytest.mark.parametrize("name", _core())
def test_a_module_of_the_core(name: str) -> None:
    """Every module that is no library's room can be imported."""
    assert name == importlib.import_module(name).__name__


@pytest.mark.parametrize(("name", "extra"), ROOMS.items())
def test_a_room(name: str, extra: str) -> None:
    """A room says in one line which extra to install, and there is such an extra."""
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module(name)
    assert str(raised.value).endswith(f" is not installed: pip install 'meshtrace[{extra}]'")
    assert extra in (metadata("meshtrace").get_all("Provides-Extra") or ())


def test_session() -> None:
    """The drop-in for requests' session says it when it is named."""
    with pytest.raises(ModuleNotFoundError) as raised:
        _ = meshtrace.Session
    assert "requests is not installed: pip install 'meshtrace[requests]'" == str(raised.value)


def test_looking_around() -> None:
    """Taking all names, and asking for each that there is, meet nothing that is not installed."""
    names: dict[str, Any] = {}
    exec("from meshtrace import *", names)  # noqa: S102 - functions cannot take all names
    assert {*meshtrace.__all__} == names.keys() - {"__builtins__"}
    assert {*meshtrace.__all__} <= {name for name, _ in inspect.getmembers(meshtrace)}


def test_patching_what_is_not_there() -> None:
    """Patching everything, or a library by its name, waits for an import that never comes."""
    meshtrace.patch()
    meshtrace.patch("requests", "httpx", "httpx2", "aiohttp", "urllib3", "grpc")
    with pytest.raises(ModuleNotFoundError, match="No module named 'httpx'"):
        importlib.import_module("httpx")


def _ask(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/below")
    body = connection.getresponse().read()
    connection.close()
    return body


def _urlopen(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/below", timeout=30) as response:
        body: bytes = response.read()
        return body


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("call", [_ask, _urlopen])
def test_a_service_of_the_standard_library(call: Callable[[int], bytes]) -> None:
    """A service of the standard library alone relays what came."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/":
            return [call(ports[1])]
        came = {name.lower().replace("_", "-")[len("http-") :]: environ[name] for name in environ}
        return [json.dumps({name: came[name] for name in CAME if name in came}).encode()]

    meshtrace.patch()
    served = [
        make_server("127.0.0.1", 0, application, handler_class=_Silent)
        for application in (meshtrace.MeshTraceWSGI(app), app)
    ]
    ports = [server.server_port for server in served]
    threads = [threading.Thread(target=server.handle_request) for server in served]
    for thread in threads:
        thread.start()
    request = urllib.request.Request(f"http://127.0.0.1:{ports[0]}/", headers=CAME)
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - it is HTTP
        assert CAME == json.load(response)
    for thread, server in zip(threads, served, strict=True):
        thread.join()
        server.server_close()


def test_by_hand() -> None:
    """What a block is for, and the headers for a call of it, need no library."""
    with meshtrace.use(CAME):
        assert CAME == meshtrace.headers("http://reviews:9080/")
        assert CAME["x-request-id"] == meshtrace.current().request_id


def test_run() -> None:
    """`meshtrace run` patches what there is, and says nothing of what there is not."""
    code = "import http.client; print(hasattr(http.client.HTTPConnection.putheader, '__wrapped__'))"
    done = subprocess.run(
        [sys.executable, "-m", "meshtrace", "run", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    assert done.stdout in ("True\n", "False\n")

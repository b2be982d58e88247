"""The recipes of docs/logs.md, run with the real libraries and servers."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

import meshtrace
from meshtrace import logs

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "logs.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 20

TRACE_ID = "80f198ee56343ba864fe8b2a57d3eff7"
CAME = {"b3": f"{TRACE_ID}-e457b5a2e4d86bd1-1", "x-request-id": "order-4711"}


def _recipe(heading: str, number: int = -1) -> str:
    """Give a Python block of the page's section of that name."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found: list[str] = BLOCK.findall(section)
    return found[number]


def _run(heading: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": heading, "meshtrace": meshtrace, "logging": logging}
    exec(_recipe(heading), names)  # noqa: S102 - our own page
    return names


APP = """
import meshtrace
from meshtrace import MeshTrace, MeshTraceWSGI


async def respond(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def respond_wsgi(environ, start_response):
    start_response("200 OK", [])
    yield b"ok"


app = MeshTrace(respond)
wsgi_app = MeshTraceWSGI(respond_wsgi)
"""


@contextmanager
def _serving(folder: Path, *command: str) -> Iterator[tuple[int, Path]]:
    """Start a server on a socket of ours; give its port and its log."""
    (folder / "shop.py").write_text(APP)
    log = folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("w") as output:
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(fd=descriptor) for part in command)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
            pass_fds=[descriptor],
        )
        try:
            yield listening.getsockname()[1], log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _get(port: int, headers: dict[str, str]) -> None:
    request = Request(f"http://127.0.0.1:{port}/", headers=headers)
    build_opener(ProxyHandler({})).open(request, timeout=SECONDS).read()


def _line(log: Path, needle: str) -> str:
    """Wait for a line of the log."""
    deadline = time.monotonic() + SECONDS
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        found = [line for line in log.read_text().splitlines() if needle in line]
        time.sleep(0.01)
    assert found, log.read_text()
    return found[-1]


def test_uvicorn(tmp_path: Path) -> None:
    """A line of uvicorn's access log has the ids of its request."""
    (tmp_path / "log.json").write_text(json.dumps(_run("uvicorn")["UVICORN"]))
    with _serving(tmp_path, "uvicorn", "shop:app", "--fd", "{fd}", "--log-config", "log.json") as (
        port,
        log,
    ):
        _get(port, CAME)
        assert re.fullmatch(rf'.*"GET / HTTP/1.1" 200 OK trace_id={TRACE_ID}', _line(log, "GET"))
        _get(port, {})
        assert _line(log, "trace_id=-").endswith('"GET / HTTP/1.1" 200 OK trace_id=-')


def test_gunicorn(tmp_path: Path) -> None:
    """A line of gunicorn's access log has the ids of its request, though that has ended."""
    (tmp_path / "gunicorn.conf.py").write_text(_recipe("gunicorn", 0) + _recipe("gunicorn", 1))
    with _serving(
        tmp_path, "gunicorn", "--no-control-socket", "--bind", "fd://{fd}", "shop:wsgi_app"
    ) as (port, log):
        _get(port, CAME)
        line = _line(log, "GET")
        assert line.endswith(f'"GET / HTTP/1.1" 200 request_id=order-4711 trace_id={TRACE_ID}')
        _get(port, {})
        assert _line(log, "trace_id=-").endswith("200 request_id=- trace_id=-")


def test_loguru(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of loguru's has the ids."""
    code = _recipe("loguru").replace("logger.configure(handlers=[], patcher=None)", "")
    names: dict[str, Any] = {"meshtrace": meshtrace}
    with meshtrace.use(CAME):
        exec(code, names)  # noqa: S102 - our own page
    names["logger"].info("later")
    names["logger"].configure(handlers=[], patcher=None)
    assert f"shipped trace_id={TRACE_ID}\nlater trace_id=-\n" == capsys.readouterr().out


def test_json() -> None:
    """A line of JSON has all the fields."""
    _run("JSON")
    logger = logging.getLogger("shop.json")
    written = io.StringIO()
    (handler,) = logger.handlers
    handler.setStream(written)  # type: ignore[attr-defined]  # it is a StreamHandler
    with meshtrace.use(CAME):
        logger.info("shipped")
        expected = {"message": "shipped", **logs.ids()}
    logger.handlers.clear()
    assert expected == json.loads(written.getvalue())

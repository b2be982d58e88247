"""Whether a network namespace can be had, and what the one inside has of the world."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from meshtrace.checker.isolation import namespace


class _Done:
    def __init__(self, returncode: int, stderr: str = "") -> None:
        self.returncode = returncode
        self.stderr = stderr


def test_a_tool_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names it."""
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "ip" else tool)
    assert "there is no ip here" == namespace.why_not()


@pytest.mark.parametrize(
    ("results", "flags", "reason"),
    [
        pytest.param([_Done(0)], "--pid", "", id="all of it"),
        pytest.param([_Done(1, "no proc"), _Done(0)], "-Urnm", "", id="without processes"),
        pytest.param(
            [_Done(1, "warning\nunshare: not permitted\n"), _Done(1)],
            None,
            "unshare: not permitted",
            id="not at all",
        ),
        pytest.param([_Done(1), _Done(1)], None, "no reason given", id="nor a reason"),
    ],
)
def test_what_the_kernel_allows(
    results: list[_Done], flags: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried, with a namespace for processes first, and the first reason is kept."""
    monkeypatch.setattr(shutil, "which", lambda tool: tool)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: results.pop(0))
    found, why = namespace.flags()
    assert (flags is None, reason) == (not found, why)
    assert flags is None or flags in found


@contextlib.contextmanager
def _outside(may_dial: bool) -> Iterator[namespace.Outside]:  # noqa: FBT001 - the case
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, held = os.pipe()
    dialling = threading.Thread(target=namespace.dial_for, args=(ours, lambda _: may_dial))
    dialling.start()
    outside = namespace.Outside(f"{lifeline},{theirs.detach()}")
    yield outside
    outside.close()
    os.close(held)
    dialling.join()


@pytest.mark.parametrize(("may_dial", "listens"), [(True, True), (True, False), (False, True)])
def test_dialling(may_dial: bool, listens: bool) -> None:  # noqa: FBT001 - the case
    """The one outside opens connections where it is allowed to, and where somebody is."""

    async def run(outside: namespace.Outside) -> str:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if not listens:
            server.close()
        try:
            wire = await outside.dial("127.0.0.1", port)
        except ConnectionRefusedError as error:
            return str(error).replace(str(port), "PORT")
        else:
            said = await wire.peek()
            await wire.close()
            return said.decode()
        finally:
            server.close()

    expected = "hello" if may_dial and listens else "127.0.0.1:PORT cannot be reached"
    with _outside(may_dial) as outside:
        assert expected == asyncio.run(run(outside))

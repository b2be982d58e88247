"""The service is started, waited for, and ended."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from meshtrace.checker import listening
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.process import Service

LISTEN = """
import socket, sys, time
ports = [socket.create_server((host, 0)) for host in sys.argv[1].split(",")]
print(*(port.getsockname()[1] for port in ports), flush=True)
time.sleep(60)
"""


def _service(*command: str) -> Service:
    environment = {**os.environ, "PROCESS_TEST": f"{os.getpid()}"}
    return Service([sys.executable, "-c", *command], environment, "PROCESS_TEST")


async def _listens(service: Service, port: int | None = None) -> tuple[tuple[str, int], list[str]]:
    async with service:
        return await service.listens(port, 10), service.lines()[-1].split()


def test_the_port_is_found() -> None:
    """A service that listens on one port is found there."""
    (host, port), said = asyncio.run(_listens(_service(LISTEN, "127.0.0.1")))
    assert ("127.0.0.1", [str(port)]) == (host, said)


def test_a_service_on_ipv6() -> None:
    """A service on the loopback address of IPv6 is found, too."""
    script = LISTEN.replace("(host, 0)", "(host, 0), family=socket.AF_INET6")
    (host, port), said = asyncio.run(_listens(_service(script, "::1")))
    assert ("::1", [str(port)]) == (host, said)


def test_several_ports() -> None:
    """A service that listens on several has to be told apart by --port."""
    with pytest.raises(CannotCheckError, match=r"several ports .*say --port"):
        asyncio.run(_listens(_service(LISTEN, "127.0.0.1,127.0.0.1")))


def test_several_ports_and_one_is_in_the_command(free_port: int) -> None:
    """The one that the command names is meant."""
    script = LISTEN.replace("(host, 0)", f"(host, {free_port} if host == '127.0.0.1' else 0)")
    service = _service(script, "127.0.0.1,127.0.0.2", str(free_port))
    assert ("127.0.0.1", free_port) == asyncio.run(_listens(service))[0]


def test_without_the_kernels_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell, the port has to be given."""
    monkeypatch.setattr(listening, "is_supported", lambda: False)
    with pytest.raises(CannotCheckError, match="this system does not tell"):
        asyncio.run(_listens(_service(LISTEN, "127.0.0.1")))


def test_a_port_that_is_given(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for until it takes connections, on every system."""
    monkeypatch.setattr(listening, "is_supported", lambda: False)
    script = LISTEN.replace("(host, 0)", f"(host, {free_port})")
    service = _service(script, "127.0.0.1")
    assert ("127.0.0.1", free_port) == asyncio.run(_listens(service, free_port))[0]


def test_a_child_that_takes_its_time() -> None:
    """What the service has started is waited for, as the service itself is."""
    child = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: "
        "(time.sleep(0.2), sys.exit())); print(flush=True); time.sleep(60)"
    )
    script = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
{LISTEN}"""
    asyncio.run(_listens(_service(script, "127.0.0.1")))
    assert [] == listening.marked(f"PROCESS_TEST={os.getpid()}")


def test_the_last_lines(tmp_path: Path) -> None:
    """A service that ends leaves its exit status and its last lines."""
    script = tmp_path / "ends.py"
    script.write_text("print(*range(20), sep='\\n\\n'); raise SystemExit(3)")
    with pytest.raises(CannotCheckError, match="ended with exit status 3") as raised:
        asyncio.run(_listens(_service(script.read_text())))
    assert tuple(str(number) for number in range(8, 20)) == raised.value.output

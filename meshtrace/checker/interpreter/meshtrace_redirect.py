"""
Leads this interpreter's outbound connections to the recorder.

Every host gets an address that is nobody's, and a connection to it goes to a port of the recorder
that stands for that host and port. What does not speak HTTP, the recorder passes on.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import ipaddress
import socket
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_STREAM = 0xF
_NETWORK = ipaddress.IPv4Address("198.19.0.0")
"""Of RFC 2544, for tests of networks: no host is there."""

_getaddrinfo = socket.getaddrinfo
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class _Redirect:
    def __init__(self, control: Any, leave: Sequence[int]) -> None:
        self._control = control
        self._leave = leave
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._ports: dict[tuple[str, int], int] = {}

    def address(self, host: str) -> str:
        """Give the address that stands for a host; an address or localhost stands for itself."""
        if host == "localhost" or _is_address(host):
            return host
        if host not in self._addresses:
            address = str(_NETWORK + len(self._addresses) + 1)
            self._addresses[host] = address
            self._names[address] = host
        return self._addresses[host]

    def port(self, host: str, port: int) -> int | None:
        """Give the recorder's port for a place; None for the recorder itself."""
        if port in self._leave:
            return None
        place = (self._names.get(host, host), port)
        if place not in self._ports:
            self._ports[place] = self._control.ask({"where": place})["port"]
        return self._ports[place]

    def elsewhere(self, sock: socket.socket, address: Any) -> Any:
        if (
            sock.family not in (socket.AF_INET, socket.AF_INET6)
            or sock.type & _STREAM != socket.SOCK_STREAM
        ):
            return address
        port = self.port(str(address[0]), int(address[1]))
        if port is None:
            return address
        return ("127.0.0.1" if sock.family == socket.AF_INET else "::ffff:127.0.0.1", port)


def install(control: Any, leave: Sequence[int]) -> None:
    """
    Redirect what is connected from now on.

    Args:
        control: Tells the recorder's port for a place.
        leave: Ports of the checker, which are connected to as they are.
    """
    redirect = _Redirect(control, leave)

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode("ascii") if isinstance(host, bytes) else host
        return _getaddrinfo(redirect.address(name) if name else name, *rest, **named)

    def gethostbyname(host: str) -> str:
        return "127.0.0.1" if host == "localhost" else redirect.address(host)

    def connect(self: socket.socket, address: Any) -> None:
        _connect(self, redirect.elsewhere(self, address))

    def connect_ex(self: socket.socket, address: Any) -> int:
        return _connect_ex(self, redirect.elsewhere(self, address))

    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = gethostbyname
    socket.socket.connect = connect  # type: ignore[assignment,method-assign]
    socket.socket.connect_ex = connect_ex  # type: ignore[assignment,method-assign]
    sys.meta_path.insert(0, _Uvloop(redirect))


class _Uvloop(importlib.abc.MetaPathFinder):
    """Waits for uvloop, which makes connections without Python's sockets."""

    def __init__(self, redirect: _Redirect) -> None:
        self._redirect = redirect

    def find_spec(
        self,
        name: str,
        path: Any,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "uvloop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader, self._redirect)
        return spec


class _Patching(importlib.abc.Loader):
    def __init__(self, loader: Any, redirect: _Redirect) -> None:
        self._loader = loader
        self._redirect = redirect

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _patch_loop(module.Loop, self._redirect)


def _patch_loop(loop: Any, redirect: _Redirect) -> None:
    create_connection: Callable[..., Any] = loop.create_connection

    async def create(
        self: Any,
        factory: Any,
        host: Any = None,
        port: Any = None,
        **named: Any,
    ) -> Any:
        if host is not None and port is not None:
            place = redirect.port(str(host), int(port))
            if place is not None:
                if named.get("ssl") and not named.get("server_hostname"):
                    named["server_hostname"] = host
                host, port = "127.0.0.1", place
        return await create_connection(self, factory, host, port, **named)

    async def getaddrinfo(self: Any, host: Any, port: Any, **named: Any) -> Any:
        return await self.run_in_executor(None, lambda: socket.getaddrinfo(host, port, **named))

    loop.create_connection = create
    loop.getaddrinfo = getaddrinfo

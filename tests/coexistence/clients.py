"""The clients that make the calls: patched ones, and those that were wrapped."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.request import build_opener

import aiohttp
import grpc
import httpx
import requests
import urllib3

import meshtrace
from tests.coexistence.wire import Wire

__all__ = ["CLIENTS", "Clients"]

CLIENTS = (
    "requests",
    "requests wrapped",
    "httpx",
    "httpx wrapped",
    "httpx async",
    "aiohttp",
    "aiohttp wrapped",
    "urllib3",
    "urllib3 wrapped",
    "urllib",
    "grpc",
    "grpc async",
)


# Else httpx makes one for each client, which takes longer than all else.
_TLS = ssl.create_default_context()


class Clients:
    """
    What calls, as the applications have it.

    Args:
        wire: Where the calls go.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._session = requests.Session()
        self._client = httpx.Client(verify=_TLS)
        self._manager = urllib3.PoolManager()

    def relay(self) -> None:
        """Let meshtrace have them all."""
        meshtrace.patch()
        meshtrace.wrap(self._session)
        meshtrace.wrap(self._client)
        meshtrace.wrap(self._manager)

    def call(self) -> None:
        """Call with those that block."""
        channel: Any = grpc.insecure_channel(f"127.0.0.1:{self._wire.grpc}")
        calls: dict[str, Callable[[str], object]] = {
            "requests": lambda url: requests.get(url, timeout=9),
            "requests wrapped": self._session.get,
            "httpx": lambda url: httpx.get(url, verify=_TLS),
            "httpx wrapped": self._client.get,
            "urllib3": lambda url: urllib3.PoolManager().request("GET", url),
            "urllib3 wrapped": lambda url: self._manager.request("GET", url),
            "urllib": lambda url: build_opener().open(url).close(),
        }
        for name, call in calls.items():
            call(self._url(name))
        with channel:
            channel.unary_unary("/grpc/call")(b"", timeout=9)

    async def call_async(self) -> None:
        """Call with the others."""
        calls: dict[str, Callable[[str], Awaitable[Any]]] = {
            "httpx async": _by_httpx,
            "aiohttp": _by_aiohttp,
            "aiohttp wrapped": _by_aiohttp_wrapped,
        }
        for name, call in calls.items():
            await call(self._url(name))
        channel: Any = grpc.aio.insecure_channel(f"127.0.0.1:{self._wire.grpc}")
        async with channel:
            await channel.unary_unary("/grpc-async/call")(b"", timeout=9)

    def call_all(self) -> None:
        """Call with all, from code that is not asynchronous."""
        self.call()
        asyncio.run(self.call_async())

    def close(self) -> None:
        """Close what stays open."""
        self._session.close()
        self._client.close()
        self._manager.clear()

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._wire.http}/{name.replace(' ', '-')}"


async def _by_httpx(url: str) -> None:
    async with httpx.AsyncClient(verify=_TLS) as client:
        await client.get(url)


async def _by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def _by_aiohttp_wrapped(url: str) -> None:
    async with meshtrace.wrap(aiohttp.ClientSession()) as session, session.get(url):
        pass

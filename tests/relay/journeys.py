"""One request's journey: served by a middleware, it calls another service by a wrapped session."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Unpack

import requests
from requests.adapters import BaseAdapter

import meshtrace
from meshtrace.settings import Options

Headers = Iterable[tuple[str, str]]
Sent = dict[str, str]


class _Adapter(BaseAdapter):
    """Keeps the headers of what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]  # its options do not matter here
        """Answer without sending."""
        self.sent.append({name.lower(): value for name, value in request.headers.items()})
        response = requests.Response()
        response.status_code = 200
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is open."""


def _client() -> tuple[Callable[[], object], list[Sent]]:
    """Give a call to a service of the mesh, and the list of the headers it sends."""
    session = requests.Session()
    session.headers.clear()
    session.trust_env = False
    adapter = _Adapter()
    session.mount("http://", adapter)
    meshtrace.wrap(session)
    return lambda: session.get("http://reviews:9080/reviews/0"), adapter.sent


def through_asgi(inbound: Headers, **options: Unpack[Options]) -> list[Sent]:
    """Serve one request by ASGI, and give the headers of the calls made for it."""
    call, sent = _client()

    async def app(_scope: object, _receive: object, _send: object) -> None:
        call()

    async def unused(*_: object) -> Any:  # noqa: ANN401 - never called
        raise NotImplementedError

    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in inbound]
    middleware = meshtrace.MeshTrace(app, **options)
    asyncio.run(middleware({"type": "http", "headers": headers}, unused, unused))
    return sent


def through_wsgi(inbound: Headers, **options: Unpack[Options]) -> list[Sent]:
    """Serve one request by WSGI, with repeated lines folded, as a server does it."""
    call, sent = _client()

    def app(_environ: object, _start_response: object) -> list[bytes]:
        call()
        return []

    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    for name, value in inbound:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    meshtrace.MeshTraceWSGI(app, **options)(environ, lambda *_: lambda _: None)
    return sent

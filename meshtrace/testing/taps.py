"""
Where each client library is listened to: below what meshtrace adds, above what mocks replace.

Mocks answer in an adapter or a transport, or in the connection below it (responses, respx,
pytest-httpx), so a call is seen above these, also where nobody answers it. requests-mock goes past
``Session.send`` and calls the one it found when it was imported; what that does with the response
is listened to, too.
"""

import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from meshtrace import clients, imports
from meshtrace.ambient import CURRENT
from meshtrace.options import CLIENTS
from meshtrace.replacing import Function, Replacement

__all__ = ["Begin", "Tapped"]

Pairs = Iterable[tuple[str, str]]
Begin = Callable[[str, str, str, Pairs], Callable[[Pairs], None]]
"""Takes the library, the method, the URL and the headers; gives what takes the final headers."""

_nobody: frozenset["Tapped"] = frozenset()
_in_requests: Final = ContextVar("meshtrace.testing", default=_nobody)
"""Who has seen the call that requests is making: there may be several who listen."""

_IN_PROCESS = ("ASGITransport", "WSGITransport")
_GRPC_KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


class Tapped:
    """
    The libraries, listened to.

    Args:
        begin: What to tell of each call.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._replacements: list[Replacement] = []
        self._taps: dict[str, Callable[[], list[Replacement]]] = {
            "requests": self._requests,
            "httpx": partial(self._httpx, "httpx"),
            "httpx2": partial(self._httpx, "httpx2"),
            "aiohttp": self._aiohttp,
            "urllib3": self._urllib3,
            "grpc": self._grpc,
        }

    def open(self) -> None:
        """Listen to the libraries that are loaded, and to each of the others when it is."""
        for library, tap in self._taps.items():
            imports.when_imported(library, partial(self._put, library, tap), waiter=self)

    def close(self) -> None:
        """Listen no more."""
        for library in self._taps:
            imports.forget(library, waiter=self)
        again = _unpatched()
        while self._replacements:
            self._replacements.pop().give_back()
        if again:
            clients.patch(*again)

    def _put(self, library: str, tap: Callable[[], list[Replacement]]) -> None:
        # Under what meshtrace.patch() has put there.
        again = _unpatched(library)
        for replacement in tap():
            replacement.put()
            self._replacements.append(replacement)
        if again:
            clients.patch(*again)

    def _requests(self) -> list[Replacement]:
        requests = sys.modules["requests"]

        def around_send(original: Function) -> Function:
            def send(session: Any, request: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
                end = self._begin_prepared("requests", request)
                token = _in_requests.set(_in_requests.get() | {self})
                try:
                    return original(session, request, **kwargs)
                finally:
                    _in_requests.reset(token)
                    # Where patched requests were below this, they have put theirs on it by now.
                    end(_pairs(request.headers))

            return send

        def around_hooks(original: Function) -> Function:
            def dispatch_hook(key: str, hooks: Any, hook_data: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
                if self not in _in_requests.get():
                    self._begin_prepared("requests", hook_data.request)
                return original(key, hooks, hook_data, **kwargs)

            return dispatch_hook

        return [
            Replacement(requests.Session, "send", around_send),
            Replacement(requests.sessions, "dispatch_hook", around_hooks),
        ]

    def _httpx(self, library: str) -> list[Replacement]:
        httpx = sys.modules[library]

        def around(original: Function) -> Function:
            def send(client: Any, request: Any) -> Any:  # noqa: ANN401 - httpx's own
                if _is_of_the_test(client):
                    return original(client, request)
                end = self._begin_prepared(library, request)
                try:
                    return original(client, request)
                finally:
                    end(_pairs(request.headers))

            return send

        def around_async(original: Function) -> Function:
            async def send(client: Any, request: Any) -> Any:  # noqa: ANN401 - httpx's own
                if _is_of_the_test(client):
                    return await original(client, request)
                end = self._begin_prepared(library, request)
                try:
                    return await original(client, request)
                finally:
                    end(_pairs(request.headers))

            return send

        # A private method, which the room of httpx explains.
        kinds = ((httpx.Client, around), (httpx.AsyncClient, around_async))
        return [Replacement(kind, "_send_single_request", wrapper) for kind, wrapper in kinds]

    def _aiohttp(self) -> list[Replacement]:
        def around(original: Function) -> Function:
            def connect(connector: Any, request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiohttp's own
                self._begin_prepared("aiohttp", request)
                return original(connector, request, *args, **kwargs)

            return connect

        return [Replacement(sys.modules["aiohttp"].BaseConnector, "connect", around)]

    def _urllib3(self) -> list[Replacement]:
        def around(original: Function) -> Function:
            def urlopen(
                pool: Any,  # noqa: ANN401 - urllib3's own
                method: str,
                url: str,
                body: Any = None,  # noqa: ANN401 - urllib3's own
                headers: Any = None,  # noqa: ANN401 - urllib3's own
                *args: Any,  # noqa: ANN401 - urllib3's own
                **kwargs: Any,  # noqa: ANN401 - urllib3's own
            ) -> object:
                if self not in _in_requests.get():
                    # To a proxy, the URL is whole.
                    origin = f"{pool.scheme}://{pool.host}:{pool.port}"
                    where = f"{origin}{url}" if url.startswith("/") else url
                    given = pool.headers if headers is None else headers
                    self._begin("urllib3", method, where, _pairs(given))
                return original(pool, method, url, body, headers, *args, **kwargs)

            return urlopen

        return [Replacement(sys.modules["urllib3"].HTTPConnectionPool, "urlopen", around)]

    def _grpc(self) -> list[Replacement]:
        grpc = sys.modules["grpc"]

        def around(original: Function) -> Function:
            def channel(target: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
                made = original(target, *args, **kwargs)
                return grpc.intercept_channel(made, *_interceptors(grpc, target, self._begin))

            return channel

        def around_aio(original: Function) -> Function:
            def channel(target: str, *args: Any, interceptors: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401 - gRPC's own
                ours = _interceptors(grpc.aio, target, self._begin)
                return original(
                    target, *args, interceptors=[*(interceptors or ()), *ours], **kwargs
                )

            return channel

        return [
            Replacement(module, name, wrapper)
            for module, wrapper in ((grpc, around), (grpc.aio, around_aio))
            for name in ("insecure_channel", "secure_channel")
        ]

    def _begin_prepared(self, library: str, request: Any) -> Callable[[Pairs], None]:  # noqa: ANN401 - of each library
        return self._begin(library, request.method, str(request.url), _pairs(request.headers))


def _unpatched(*libraries: str) -> tuple[str, ...]:
    """Unpatch clients for a moment; give those that were patched."""
    among = libraries or CLIENTS
    names = tuple(name for name in clients.patched() if name in among)
    if names:
        clients.unpatch(*names)
    return names


def _is_of_the_test(client: object) -> bool:
    """Tell whether a client is what calls the application under test, without a network."""
    starlette = sys.modules.get("starlette.testclient")
    if starlette is not None and isinstance(client, starlette.TestClient):
        return True
    transport = type(getattr(client, "_transport", None))
    return CURRENT.get() is None and transport.__name__ in _IN_PROCESS


def _interceptors(module: Any, target: str, begin: Begin) -> list[Any]:  # noqa: ANN401 - grpc or grpc.aio
    from meshtrace.outbound.grpc.lines import hosts_of  # noqa: PLC0415 - imports gRPC

    def intercept(_: object, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401 - gRPC's own
        pairs = details.metadata or ()
        metadata = [(name, value) for name, value in pairs if isinstance(value, str)]
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        host = hosts_of(target)[0]
        begin("grpc", method.rpartition("/")[2], f"http://{host}{method}", metadata)
        return continuation(details, request)

    async def intercept_aio(*args: Any) -> Any:  # noqa: ANN401 - gRPC's own
        return await intercept(*args)

    function = intercept_aio if module.__name__ == "grpc.aio" else intercept
    made = []
    for kind in _GRPC_KINDS:
        base = getattr(module, f"{kind}ClientInterceptor")
        snake = "intercept_" + kind.replace("Unary", "unary_").replace("Stream", "stream_")[:-1]
        made.append(type(f"Tap{kind}", (base,), {snake: function})())
    return made


def _pairs(headers: Any) -> Pairs:  # noqa: ANN401 - of each library
    return [(_text(name), _text(value)) for name, value in headers.items()]


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a caller gives
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)

"""Libraries for request ids, beside meshtrace: what they replace is seen, and said."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asgi_correlation_id
import httpx
import pytest
import starlette_context
from asgi_correlation_id import CorrelationIdMiddleware
from starlette_context.middleware import RawContextMiddleware
from starlette_context.plugins import RequestIdPlugin

import meshtrace
from meshtrace import MeshTrace

pytestmark = pytest.mark.servers

MARKED = "39973ffd-8b26-959a-9077-6f6556d6267b"
B3 = {"b3": "84d57dd13b8fdbb4c1de96814786cb0e-c1de96814786cb0e-1"}

App = Callable[[Any, Any, Any], Awaitable[object]]


def _is_version_4(value: str) -> bool:
    """Judge as asgi-correlation-id up to 4.3.4 does: Envoy's marked ids are no valid ones."""
    return value[14] == "4"


def _ask(app: App, headers: dict[str, str]) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        """Drop it."""

    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(app({"type": "http", "headers": lines}, receive, send))  # type: ignore[arg-type]  # a coroutine


class _Calling:
    """An application that calls, and keeps the request id that its call carried."""

    def __init__(self, own: Callable[[], object] | None = None) -> None:
        self._own = own
        self.sent: list[str | None] = []

    async def __call__(self, _: object, __: object, send: Any) -> None:  # noqa: ANN401 - ASGI's own
        headers = {} if self._own is None else {"X-Request-ID": str(self._own())}

        def answer(request: httpx.Request) -> httpx.Response:
            self.sent.append(request.headers.get("x-request-id"))
            return httpx.Response(200)

        with meshtrace.wrap(httpx.Client(transport=httpx.MockTransport(answer))) as client:
            client.get("http://reviews:9080/", headers=headers)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def _warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "x-request-id" in text]


def test_replaced_before_meshtrace(caplog: pytest.LogCaptureFixture) -> None:
    """An id that was replaced outside of MeshTrace is said once, with the cause and the cure."""
    calling = _Calling()
    app = CorrelationIdMiddleware(MeshTrace(calling), validator=_is_version_4)
    for _ in range(2):
        _ask(app, {"x-request-id": MARKED, **B3})
    (warning,) = _warned(caplog)
    assert "asgi-correlation-id" in warning
    assert "app.add_middleware(MeshTrace)" in warning
    assert MARKED not in calling.sent


def test_replaced_later(caplog: pytest.LogCaptureFixture) -> None:
    """It is seen, too, where the first requests brought ids that stayed."""
    app = CorrelationIdMiddleware(MeshTrace(_Calling()), validator=_is_version_4)
    _ask(app, {"x-request-id": MARKED.replace("959a", "459a"), **B3})
    assert [] == _warned(caplog)
    _ask(app, {"x-request-id": MARKED, **B3})
    assert 1 == len(_warned(caplog))


@pytest.mark.parametrize(
    "around",
    [
        pytest.param(CorrelationIdMiddleware, id="asgi-correlation-id"),
        pytest.param(
            lambda app: RawContextMiddleware(app, plugins=[RequestIdPlugin()]),
            id="starlette-context",
        ),
    ],
)
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_as_it_is_installed(
    around: Callable[[App], App], first: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With their defaults, Envoy's id goes out in either order, and nothing is warned of."""
    calling = _Calling()
    app = around(MeshTrace(calling)) if first == "theirs" else MeshTrace(around(calling))
    _ask(app, {"x-request-id": MARKED, **B3})
    assert [MARKED] == calling.sent
    assert [] == _warned(caplog)


@pytest.mark.parametrize(
    ("around", "own", "library"),
    [
        pytest.param(
            lambda app: CorrelationIdMiddleware(app, validator=_is_version_4),
            asgi_correlation_id.correlation_id.get,
            "asgi-correlation-id",
            id="asgi-correlation-id",
        ),
        pytest.param(
            lambda app: RawContextMiddleware(app, plugins=[RequestIdPlugin(force_new_uuid=True)]),
            lambda: starlette_context.context["X-Request-ID"],
            "starlette-context",
            id="starlette-context",
        ),
    ],
)
def test_put_on_a_call(
    around: Callable[[App], App],
    own: Callable[[], object],
    library: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An id of theirs that the application puts on its calls stays, and is said once."""
    calling = _Calling(own)
    for _ in range(2):
        _ask(MeshTrace(around(calling)), {"x-request-id": MARKED, **B3})
    (warning,) = _warned(caplog)
    assert library in warning
    assert MARKED not in calling.sent


def test_replaced_inside(caplog: pytest.LogCaptureFixture) -> None:
    """An id that is replaced inside of MeshTrace changes nothing, and is not worth a word."""
    calling = _Calling()
    app = MeshTrace(CorrelationIdMiddleware(calling, validator=_is_version_4))
    _ask(app, {"x-request-id": "0" * 32, **B3})
    assert ["0" * 32] == calling.sent
    assert [] == _warned(caplog)


def test_an_id_of_the_callers_own(caplog: pytest.LogCaptureFixture) -> None:
    """An id that no library has made is the caller's affair."""
    calling = _Calling(lambda: "order-4711")
    _ask(MeshTrace(CorrelationIdMiddleware(calling)), {"x-request-id": MARKED, **B3})
    assert ["order-4711"] == calling.sent
    assert [] == _warned(caplog)


def test_a_library_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A library that cannot be asked costs a warning, and never the call."""
    monkeypatch.delattr(asgi_correlation_id, "correlation_id")
    calling = _Calling(lambda: "order-4711")
    _ask(MeshTrace(calling), {"x-request-id": MARKED, **B3})
    assert ["order-4711"] == calling.sent
    assert 1 == sum("asking a library for its request id" in text for text in caplog.messages)

"""Where a request ends, and what is left of it for code that outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import meshtrace
from meshtrace.ambient import CURRENT
from meshtrace.inbound.asgi import Scope
from tests.inbound.asgi_server import http, receive, respond, serve
from tests.inbound.wsgi_server import environ_of, ok
from tests.inbound.wsgi_server import serve as serve_wsgi

REVIEWS = "http://reviews:9080/reviews/0"
IDS = {"b3": "0", "sw8": "1"}
CAME = {**IDS, "end-user": "jason"}


@pytest.fixture(autouse=True)
def _forward() -> None:
    meshtrace.configure(forward="end-user")


def look() -> dict[str, str]:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers(REVIEWS)


def _outliving(start: Callable[[Callable[[], Any]], Any]) -> list[dict[str, str]]:
    """Give what a task sees that is started in a request, before and after its end."""

    async def scenario() -> list[dict[str, str]]:
        ended = asyncio.Event()
        found = []

        async def work() -> None:
            found.append(look())
            await ended.wait()
            found.append(look())

        tasks = []

        async def app(_scope: Scope, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
            tasks.append(asyncio.create_task(start(work)()))
            await asyncio.sleep(0)
            await respond(send)

        async def send(_message: object) -> None:
            pass

        await meshtrace.MeshTrace(app)(http(CAME), receive, send)
        ended.set()
        await asyncio.gather(*tasks)
        return found

    return asyncio.run(scenario())


def test_task_that_outlives_its_request() -> None:
    """A task that outlives its request keeps the ids, and has no user data once it has ended."""
    assert [CAME, IDS] == _outliving(lambda work: work)


def test_task_that_was_carried() -> None:
    """One that was handed the request keeps all of it."""
    assert [CAME, CAME] == _outliving(meshtrace.carry)


def test_carried_too_late() -> None:
    """What is carried after the end is carried as it is then: what is gone does not come back."""
    snapshots = []

    def app(_environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's
        snapshots.append(CURRENT.get())
        ok(start_response)
        return []

    serve_wsgi(meshtrace.MeshTraceWSGI(app), CAME)
    token = CURRENT.set(snapshots[0])
    carried = meshtrace.carry(look)
    captured = meshtrace.capture()
    CURRENT.reset(token)
    assert IDS == carried()
    with meshtrace.use(captured):
        assert IDS == look()


def test_set_header_after_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """There is nothing to set any more, which is said once."""
    contexts: list[Any] = []

    def app(_environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's
        contexts.append(CURRENT.get())
        ok(start_response)
        return []

    serve_wsgi(meshtrace.MeshTraceWSGI(app), CAME)
    caplog.clear()
    token = CURRENT.set(contexts[0])
    meshtrace.set_header("x-canary", "yes")
    meshtrace.set_header("x-canary", "yes")
    assert IDS == look()
    CURRENT.reset(token)
    (message,) = caplog.messages
    assert "or after it ended" in message


def test_end_of_asgi() -> None:
    """Background tasks, streamed bodies and their ends are inside the request."""
    found = []

    async def body() -> AsyncIterator[str]:
        try:
            yield "ok"
        finally:
            found.append(look())

    async def stream(_request: Request) -> Response:
        return StreamingResponse(body(), background=BackgroundTask(lambda: found.append(look())))

    async def plain(_request: Request) -> Response:
        return PlainTextResponse("ok", background=BackgroundTask(lambda: found.append(look())))

    app = Starlette(routes=[Route("/stream", stream), Route("/plain", plain)])
    app.add_middleware(meshtrace.MeshTrace)
    for path in ("/stream", "/plain"):
        TestClient(app).get(path, headers={**CAME})
    assert [CAME] * 3 == found


def test_failing_application() -> None:
    """A request that fails has ended; its handler outside is given all of it by ``use``."""
    scope = http(CAME)

    async def app(*_: object) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        serve(meshtrace.MeshTrace(app), scope)
    assert scope["meshtrace"].ended
    with meshtrace.use(Request(scope)):
        assert CAME == look()


def test_failing_wsgi_application() -> None:
    """The same under WSGI."""
    environ = environ_of(CAME)

    def app(*_: object) -> list[bytes]:
        raise LookupError

    with pytest.raises(LookupError):
        meshtrace.MeshTraceWSGI(app)(environ, lambda *_: len)
    assert environ["meshtrace.snapshot"].ended
    with meshtrace.use(environ):
        assert CAME == look()


def test_inner_middleware_does_not_end_it() -> None:
    """Only the middleware at which the request arrived ends it."""
    found = []

    async def endpoint(_scope: Scope, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        await respond(send)

    inner = meshtrace.MeshTrace(endpoint)

    async def between(scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        with meshtrace.detached():
            await inner(scope, receive, send)
        found.append(look())

    serve(meshtrace.MeshTrace(between), http(CAME))
    assert [CAME] == found


def test_inner_wsgi_middleware_does_not_end_it() -> None:
    """The same under WSGI, for a body that is complete and for one that is streamed."""
    found = []

    def complete(_environ: object, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        ok(start_response)
        return []

    def streamed(_environ: object, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        ok(start_response)
        yield b""

    for endpoint in (complete, streamed):
        inner = meshtrace.MeshTraceWSGI(endpoint)

        def between(environ: Any, start_response: Any, inner: Any = inner) -> list[bytes]:  # noqa: ANN401 - WSGI's
            with meshtrace.detached():
                body = inner(environ, start_response)
                chunks = list(body)
                getattr(body, "close", int)()
            found.append(look())
            return chunks

        serve_wsgi(meshtrace.MeshTraceWSGI(between), CAME)
    assert [CAME, CAME] == found


@pytest.mark.parametrize(
    ("body", "streams"),
    [
        pytest.param(lambda: [b"ok"], False, id="a complete body"),
        pytest.param(lambda: iter([b"ok"]), True, id="a body that is streamed"),
    ],
)
def test_end_of_wsgi(body: Callable[[], Any], *, streams: bool) -> None:
    """A request ends with its complete body, or with the closing of one that is streamed."""

    def app(_environ: object, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        ok(start_response)
        return body()

    environ = environ_of(CAME)
    answer = meshtrace.MeshTraceWSGI(app)(environ, lambda *_: len)
    assert [b"ok"] == list(answer)
    assert streams is not environ["meshtrace.snapshot"].ended
    getattr(answer, "close", int)()
    assert environ["meshtrace.snapshot"].ended


def test_end_of_wsgi_whose_closing_fails() -> None:
    """It ends though closing fails; its error is its own, and it was still at work inside."""
    found = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"ok"])

        def close(self) -> None:
            found.append(look())
            raise LookupError

    def app(_environ: object, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        ok(start_response)
        return Body()

    environ = environ_of(CAME)
    answer: Any = meshtrace.MeshTraceWSGI(app)(environ, lambda *_: len)
    with pytest.raises(LookupError):
        answer.close()
    assert [CAME] == found
    assert environ["meshtrace.snapshot"].ended


def test_file_ends_it() -> None:
    """A file that the server sends by itself is sent after the end."""

    class Wrapper:
        def __init__(self, file: object) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"ok"])

    def app(environ: Any, start_response: Any) -> Any:  # noqa: ANN401 - WSGI's
        ok(start_response)
        return environ["wsgi.file_wrapper"](None)

    environ = environ_of(CAME, **{"wsgi.file_wrapper": Wrapper})
    assert isinstance(meshtrace.MeshTraceWSGI(app)(environ, lambda *_: len), Wrapper)
    assert environ["meshtrace.snapshot"].ended


def test_served_once_more() -> None:
    """A scope or an environ that is served once more is a new request, with all of it."""
    found = []

    async def app(_scope: Scope, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        found.append(look())
        meshtrace.set_header("x-attempt", "1")
        await respond(send)

    def wsgi_app(_environ: object, start_response: Any) -> list[bytes]:  # noqa: ANN401 - WSGI's
        found.append(look())
        meshtrace.set_header("x-attempt", "1")
        ok(start_response)
        return []

    scope, middleware = http(CAME), meshtrace.MeshTrace(app)
    environ, wsgi_middleware = environ_of(CAME), meshtrace.MeshTraceWSGI(wsgi_app)
    for _ in range(2):
        serve(middleware, scope)
        wsgi_middleware(environ, lambda *_: len)
    assert [CAME] * 4 == found

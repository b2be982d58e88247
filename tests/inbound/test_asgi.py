"""The ASGI middleware by itself: which context an application finds, and what it is called with."""

import asyncio
import gc
import logging
import threading
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextvars import Context
from typing import Any

import pytest

import meshtrace
from meshtrace import MeshTrace
from meshtrace.inbound.asgi import ASGIApp, Message, Receive, Scope, Send
from tests.inbound.asgi_server import (
    CAME,
    OTHER,
    REVIEWS,
    Recorder,
    http,
    pairs,
    receive,
    send_nowhere,
    serve,
    websocket,
)

REQUESTS = [
    pytest.param(http, id="a request"),
    pytest.param(websocket, id="a websocket"),
]


@pytest.mark.parametrize("scope_of", REQUESTS)
def test_context_is_set(scope_of: Callable[[dict[str, str]], Scope]) -> None:
    """What came with a request or a websocket is at hand in the application."""
    app = Recorder()
    serve(MeshTrace(app), scope_of(CAME))
    assert [CAME] == app.seen


@pytest.mark.parametrize("scope_of", REQUESTS)
def test_called_with_what_came(scope_of: Callable[[dict[str, str]], Scope]) -> None:
    """The application gets the very scope, receive and send that the server made."""
    app = Recorder()
    scope = scope_of(CAME)
    asyncio.run(MeshTrace(app)(scope, receive, send_nowhere))
    [(scope_seen, receive_seen, send_seen)] = app.calls
    assert (scope_seen, receive_seen, send_seen) == (scope, receive, send_nowhere)
    assert scope_seen is scope


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param({"type": "lifespan", "state": {}}, id="lifespan"),
        pytest.param({"type": "webtransport", "headers": pairs(CAME)}, id="an unknown type"),
        pytest.param({"type": "HTTP", "headers": pairs(CAME)}, id="a type in capitals"),
        pytest.param({"headers": pairs(CAME)}, id="no type"),
        pytest.param({"type": None, "headers": pairs(CAME)}, id="a type that is None"),
        pytest.param({"type": ["http"], "headers": pairs(CAME)}, id="a type that is a list"),
        pytest.param({}, id="an empty scope"),
    ],
)
def test_other_scopes_are_untouched(scope: Scope) -> None:
    """A scope that is neither a request nor a websocket is passed on, with nothing changed."""
    app = Recorder()
    before = dict(scope)
    asyncio.run(MeshTrace(app)(scope, receive, send_nowhere))
    [(scope_seen, receive_seen, send_seen)] = app.calls
    assert (before, receive, send_nowhere) == (scope_seen, receive_seen, send_seen)
    assert scope_seen is scope
    assert [{}] == app.seen


def test_headers_that_can_be_read_once() -> None:
    """Headers that are an iterator are still there for the application."""

    class Reading(Recorder):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            read.extend(scope["headers"])
            await super().__call__(scope, receive, send)

    read: list[tuple[bytes, bytes]] = []
    app = Reading()
    serve(MeshTrace(app), {**http(), "headers": iter(pairs(CAME))})
    assert pairs(CAME) == read
    assert [CAME] == app.seen


@pytest.mark.parametrize("kind", [tuple, dict.fromkeys], ids=["a tuple", "a dict's keys"])
def test_headers_that_are_no_list(kind: Callable[[object], Any]) -> None:
    """Headers that are another collection than a list are read, and stay what they are."""
    app = Recorder()
    headers = kind(pairs(CAME))
    scope = {**http(), "headers": headers}
    serve(MeshTrace(app), scope)
    assert [CAME] == app.seen
    assert scope["headers"] is headers


async def _in_a_used_context(app: ASGIApp, scope: Scope) -> dict[str, str]:
    """Serve a scope where another request's context is still current, and give what is current."""
    with meshtrace.use(OTHER):
        await app(scope, receive, send_nowhere)
        return meshtrace.headers(REVIEWS)


@pytest.mark.parametrize("came", [CAME, {}], ids=["ids came", "nothing came"])
def test_set_at_the_start_and_undone_at_the_end(came: dict[str, str]) -> None:
    """What an earlier request left is not seen, even if nothing came, and is there again after."""
    app = Recorder()
    assert OTHER == asyncio.run(_in_a_used_context(MeshTrace(app), http(came)))
    assert [came] == app.seen


def test_undone_after_an_exception() -> None:
    """An application's exception goes through as it is, and the context is undone."""
    error = ZeroDivisionError("of the application's")

    async def app(*_: object) -> None:
        raise error

    async def scenario() -> tuple[BaseException, dict[str, str]]:
        with meshtrace.use(OTHER):
            with pytest.raises(ZeroDivisionError) as caught:
                await MeshTrace(app)(http(CAME), receive, send_nowhere)
            return caught.value, meshtrace.headers(REVIEWS)

    assert (error, OTHER) == asyncio.run(scenario())


def test_undone_after_a_cancellation() -> None:
    """A request that is cancelled while it waits leaves nothing behind."""

    async def app(*_: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    async def scenario() -> dict[str, str]:
        with meshtrace.use(OTHER):
            with pytest.raises(asyncio.CancelledError):
                await MeshTrace(app)(http(CAME), receive, send_nowhere)
            return meshtrace.headers(REVIEWS)

    assert OTHER == asyncio.run(scenario())


def test_nested_twice_is_once() -> None:
    """Of two, the outer one's settings count, and the inner one passes on what it got."""
    app = Recorder()
    inner = MeshTrace(app, incoming="ignore", response_header="x-b3-traceid")
    between = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        between.append((scope, receive, send))
        await inner(scope, receive, send)

    sent = serve(MeshTrace(outer, response_header="x-request-id"), http(CAME))
    assert [CAME] == app.seen
    assert between == app.calls
    assert [(b"x-request-id", CAME["x-request-id"].encode())] == sent[0]["headers"]


def test_nested_in_a_task_of_its_own_is_once() -> None:
    """An inner one is nested also where a middleware between runs the application in a task."""
    app = Recorder()
    inner = MeshTrace(app, incoming="ignore")

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.gather(inner(scope, receive, send))

    serve(MeshTrace(between), http(CAME))
    assert [CAME] == app.seen


def test_scope_that_is_called_again() -> None:
    """A scope that is served a second time has its context again, and its answer the echo."""
    app = Recorder()
    middleware = MeshTrace(app, response_header="x-request-id")

    async def retry(scope: Scope, receive: Receive, send: Send) -> None:
        await middleware(scope, receive, send)
        await middleware(scope, receive, send)

    sent = serve(retry, http(CAME))
    echo = [(b"x-request-id", CAME["x-request-id"].encode())]
    assert [CAME, CAME] == app.seen
    assert [echo, echo] == [message["headers"] for message in sent if "headers" in message]


def test_scope_that_is_called_in_another_context() -> None:
    """Where the context was taken away between the two, the inner one brings it back."""
    app = Recorder()
    inner = MeshTrace(app, incoming="ignore")

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        with meshtrace.detached():
            await inner(scope, receive, send)

    serve(MeshTrace(between), http(CAME))
    assert [CAME] == app.seen


def test_foreign_value_under_our_key() -> None:
    """What somebody else keeps in the scope under our name is not taken for a context."""
    app = Recorder()
    serve(MeshTrace(app), http(CAME, meshtrace={"b3": "0"}))
    assert [CAME] == app.seen


def _append(headers: list[Any]) -> None:
    headers.append((b"x-b3-flags", b"1"))


def _clear(headers: list[Any]) -> None:
    headers.clear()


def _replace(headers: list[Any]) -> None:
    headers[:] = pairs(OTHER)


def _edit_in_place(headers: list[Any]) -> None:
    for pair in headers:
        pair[1] = b"edited"


@pytest.mark.parametrize("edit", [_append, _clear, _replace, _edit_in_place])
def test_edits_of_the_scope_change_nothing(edit: Callable[[list[Any]], None]) -> None:
    """What an inner middleware does to the scope's headers does not change what is relayed."""
    app = Recorder()

    async def editing(scope: Scope, receive: Receive, send: Send) -> None:
        edit(scope["headers"])
        await app(scope, receive, send)

    serve(MeshTrace(editing), {**http(), "headers": [[*pair] for pair in pairs(CAME)]})
    assert [CAME] == app.seen


def test_requests_at_the_same_time() -> None:
    """Requests that are served side by side see each its own context, at every step."""
    together = asyncio.Barrier(20)
    seen: dict[str, list[str | None]] = {}

    async def app(scope: Scope, *_: object) -> None:
        for _step in range(3):
            await together.wait()
            seen.setdefault(scope["path"], []).append(meshtrace.current().request_id)

    async def scenario() -> None:
        middleware = MeshTrace(app)
        scopes = [http({"x-request-id": f"id-{n}"}, path=f"id-{n}") for n in range(20)]
        await asyncio.gather(*(middleware(scope, receive, send_nowhere) for scope in scopes))

    asyncio.run(scenario())
    assert {f"id-{n}": [f"id-{n}"] * 3 for n in range(20)} == seen


@types.coroutine
def _pause() -> Generator[None, None, None]:
    yield


class _Suspended:
    """A request that waits in the middle, in a context of its own."""

    def __init__(self) -> None:
        self.ended = False
        self.coroutine: list[Coroutine[Any, Any, None]] = [
            MeshTrace(self._app)(http(CAME), receive, send_nowhere)
        ]
        Context().run(self.coroutine[0].send, None)

    async def _app(self, *_: object) -> None:
        try:
            assert CAME == meshtrace.headers(REVIEWS)
            await _pause()
        finally:
            self.ended = True


def _close(suspended: _Suspended) -> dict[str, str]:
    with meshtrace.use(OTHER):
        suspended.coroutine.pop().close()
        return meshtrace.headers(REVIEWS)


def _close_in_a_thread(suspended: _Suspended) -> dict[str, str]:
    seen: list[dict[str, str]] = []
    thread = threading.Thread(target=lambda: seen.append(_close(suspended)))
    thread.start()
    thread.join()
    return seen[0]


def _collect_garbage(suspended: _Suspended) -> dict[str, str]:
    with meshtrace.use(OTHER):
        circle: list[object] = [suspended.coroutine.pop()]
        circle.append(circle)
        del circle
        gc.collect()
        return meshtrace.headers(REVIEWS)


@pytest.mark.parametrize(
    "close",
    [
        pytest.param(_close, id="in another context"),
        pytest.param(_close_in_a_thread, id="in another thread"),
        pytest.param(_collect_garbage, id="by the garbage collector"),
    ],
)
def test_closed_from_elsewhere(
    close: Callable[[_Suspended], dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A coroutine that is closed where it did not run says nothing, and changes nothing there."""
    suspended = _Suspended()
    caplog.set_level(logging.DEBUG)
    assert OTHER == close(suspended)
    assert suspended.ended
    assert [] == caplog.records


def test_closed_while_another_request_runs() -> None:
    """Two requests in two contexts, of which one is closed by the other: the other goes on."""
    first, second = _Suspended(), _Suspended()
    seen: list[dict[str, str]] = []

    async def app(*_: object) -> None:
        first.coroutine.pop().close()
        seen.append(meshtrace.headers(REVIEWS))
        second.coroutine.pop().close()
        seen.append(meshtrace.headers(REVIEWS))

    serve(MeshTrace(app), http(OTHER))
    assert [OTHER, OTHER] == seen


def test_lazily_streamed_messages() -> None:
    """Each message of a long answer is made and sent in the request's context."""
    seen: list[dict[str, str]] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            seen.append(meshtrace.headers(REVIEWS))
            yield b"chunk"

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for chunk in chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    sent: list[Message] = serve(MeshTrace(app), http(CAME))
    assert [CAME] * 3 == seen
    assert 5 == len(sent)

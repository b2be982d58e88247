"""Django's streamed responses, whose bodies are made when the middlewares have returned."""

import asyncio
import gc
import io
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import django
import pytest
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.test import override_settings

import meshtrace
from meshtrace import MeshTraceWSGI
from meshtrace.inbound.asgi import Message
from meshtrace.otel.slot import SERVER_INSTRUMENTATIONS
from tests.inbound import driver_wsgi
from tests.inbound.asgi_server import http
from tests.inbound.django_site import MIDDLEWARE, under_asgi, under_wsgi, urls
from tests.inbound.django_use import CAME, LINES, SPAN, UNDER, USER, Found, Serve, View, seen, span
from tests.inbound.driving import report
from tests.inbound.wsgi_server import environ_of, ignore_head


@pytest.fixture(autouse=True)
def _ours_alone() -> Iterator[None]:
    """Have our middleware, and no other."""
    with override_settings(MIDDLEWARE=[MIDDLEWARE]):
        yield


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Join spans of the application's own, which no server instrumentation makes."""
    for name in SERVER_INSTRUMENTATIONS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with override_settings(MESHTRACE={"own_spans": "join"}):
        yield


def _body(found: Found) -> Iterator[str]:
    try:
        found.append(seen())
        yield "{}\n"
        found.append(seen())
        yield "{}\n"
    finally:
        found.append(seen())


async def _body_async(found: Found) -> AsyncIterator[str]:
    for part in _body(found):
        yield part


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
@pytest.mark.parametrize("body", [_body, _body_async], ids=["sync", "async"])
@UNDER
def test_a_stream_under_the_server_of_the_other_kind(
    serve: Serve, body: Callable[[Found], Any]
) -> None:
    """A body of either kind finds what came, under either kind of server, to its end."""
    found: Found = []
    answer = serve(lambda _: StreamingHttpResponse(body(found)), LINES)
    assert [{}, {}] == answer.seen
    assert [CAME] * 3 == found


def test_a_stream_that_nobody_reads_to_its_end() -> None:
    """When the client leaves early, the body is closed in the request's context, and once."""
    found: Found = []
    finished: list[str] = []

    def on_finished(**_: object) -> None:
        finished.append("finished")

    signals.request_finished.connect(on_finished)
    try:
        with urls(lambda _: StreamingHttpResponse(_body(found))):
            response = WSGIHandler()(environ_of(CAME), ignore_head)
            next(iter(response))
            assert {} == seen()
            response.close()
            response.close()
    finally:
        signals.request_finished.disconnect(on_finished)
    assert [CAME] * 2 == found
    assert ["finished", "finished"] == finished


@pytest.mark.skipif(django.VERSION < (5,), reason="Django 4.2 does not notice that a client leaves")
@pytest.mark.parametrize("waits", [False, True], ids=["while a part is sent", "before the next"])
def test_an_async_stream_that_nobody_reads_to_its_end(waits: bool) -> None:  # noqa: FBT001 - a parameter
    """When the client leaves early, a body of the other kind is closed in the context, too."""
    found: Found = []
    received: list[str] = []
    left = asyncio.Event()
    closed = asyncio.Event()

    async def body() -> AsyncIterator[str]:
        try:
            await asyncio.sleep(0)
            found.append(seen())
            yield "{}\n"
            left.set()
            await asyncio.Event().wait()
        finally:
            found.append(seen())
            closed.set()

    async def receive() -> Message:
        if received:
            await left.wait()
            return {"type": "http.disconnect"}
        received.append("body")
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message.get("body") and not waits:
            left.set()
            await asyncio.Event().wait()

    async def leave_early() -> None:
        with urls(lambda _: StreamingHttpResponse(body())):
            await ASGIHandler()({**http(CAME), "path": "/"}, receive, send)
        await asyncio.wait_for(closed.wait(), 30)

    gc.disable()
    try:
        asyncio.run(leave_early())
    finally:
        gc.enable()
    assert [CAME] * 2 == found


@pytest.mark.parametrize("stops", [False, True], ids=["that goes on", "that stops"])
def test_a_body_that_handles_an_error(stops: bool) -> None:  # noqa: FBT001 - a parameter
    """An error of what a body waits for is the body's to handle."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def body() -> AsyncIterator[str]:
        try:
            await asyncio.create_task(fail())
        except ZeroDivisionError:
            if not stops:
                yield report()

    answer = under_asgi(lambda _: StreamingHttpResponse(body()), LINES)
    assert [CAME][stops:] == answer.seen


@pytest.mark.usefixtures("joining")
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@UNDER
def test_spans_of_the_applications_own(serve: Serve, asynchronous: bool) -> None:  # noqa: FBT001 - a parameter
    """When asked to join them, the remote parent is current while a body is streamed, too."""
    found: list[str] = []

    def body() -> Iterator[str]:
        for _ in range(2):
            found.append(span())
            yield "{}\n"

    async def body_async() -> AsyncIterator[str]:
        for part in body():
            await asyncio.sleep(0)
            yield part

    serve(lambda _: StreamingHttpResponse(body_async() if asynchronous else body()), SPAN.items())
    assert ["a2fb4a1d1a96d312"] * 2 == found
    assert "0" * 16 == span()


def test_a_file_goes_the_servers_fast_way() -> None:
    """A file is handed to the server's wgsi.file_wrapper, as without meshtrace."""
    with urls(lambda _: FileResponse(io.BytesIO(b"a file"))):
        environ = environ_of(CAME)
        environ["wsgi.file_wrapper"] = FileWrapper
        body = WSGIHandler()(environ, ignore_head)
        assert FileWrapper is type(body)
        assert b"a file" == b"".join(body)
        body.close()


def test_a_file_response_that_is_made_up() -> None:
    """A FileResponse of a generator is streamed like any other."""
    found: Found = []
    under_wsgi(lambda _: FileResponse(part.encode() for part in _body(found)), LINES)
    assert [CAME] * 3 == found


@pytest.mark.parametrize(
    ("around", "outer"),
    [
        pytest.param(lambda app: app, [MIDDLEWARE], id="the middleware"),
        pytest.param(MeshTraceWSGI, [], id="MeshTraceWSGI"),
    ],
)
def test_a_stream_inside_a_middleware_that_loses_the_context(
    around: Callable[[Any], Any], outer: list[str]
) -> None:
    """A stream finds what came, and ends once, however the rooms around it lie."""
    found: Found = []
    middlewares = [*outer, f"{__name__}.loses", MIDDLEWARE]
    with (
        override_settings(MIDDLEWARE=middlewares, MESHTRACE={"forward": "end-user"}),
        urls(lambda _: StreamingHttpResponse(_body(found))),
    ):
        driver_wsgi.serve(around(WSGIHandler()), "/", LINES)
    assert [USER] * 3 == found


def loses(get_response: View) -> View:
    """Be a middleware that loses the context."""

    def middleware(request: HttpRequest) -> Any:  # noqa: ANN401 - Django has no types
        with meshtrace.detached():
            return get_response(request)

    return middleware

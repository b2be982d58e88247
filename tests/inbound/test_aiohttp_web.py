"""What is aiohttp.web's own: its signals, websockets, exceptions, sub-applications and log."""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy
from opentelemetry import trace

import meshtrace
from meshtrace import ConfigurationError, Settings
from meshtrace.inbound.aiohttp import Middleware, middleware, setup
from meshtrace.otel.slot import SERVER_INSTRUMENTATIONS

REVIEWS = "http://reviews:9080/reviews/0"
CAME = {"x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e", "b3": "0"}
USER = {**CAME, "end-user": "jason"}
ECHO = CAME["x-request-id"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Client = TestClient[web.Request, web.Application]


def _seen() -> dict[str, str]:
    return meshtrace.headers(REVIEWS)


async def _report(_: web.Request) -> web.StreamResponse:
    return web.json_response(_seen())


def _run(
    app: web.Application,
    use: Callable[[Client], Coroutine[Any, Any, None]],
    **options: Any,  # noqa: ANN401 - the runner's own
) -> None:
    """Serve an application, and use it."""

    async def main() -> None:
        server = TestServer(app)
        await server.start_server(**options)
        async with TestClient(server) as client:
            await use(client)

    asyncio.run(main())


def _app(handler: Handler = _report, *middlewares: Any) -> web.Application:  # noqa: ANN401 - as aiohttp takes them
    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", handler)
    return app


# Settings and mistakes


def test_the_middleware_follows_the_process(caplog: pytest.LogCaptureFixture) -> None:
    """The ready middleware has the settings of the process, also those that are set later."""

    async def use(client: Client) -> None:
        assert CAME == await (await client.get("/", headers=USER)).json()
        meshtrace.configure(forward="end-user")
        assert USER == await (await client.get("/", headers=USER)).json()

    _run(_app(_report, middleware), use)
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]


def test_settings_made_elsewhere() -> None:
    """Settings can be given as an object, and single options over it."""
    settings = Settings(incoming="ignore")

    async def nothing(client: Client) -> None:
        assert {} == await (await client.get("/", headers=CAME)).json()

    async def everything(client: Client) -> None:
        assert CAME == await (await client.get("/", headers=CAME)).json()

    _run(_app(_report, Middleware(settings=settings)), nothing)
    _run(_app(_report, Middleware(settings=settings, incoming="trust")), everything)


def test_wrong_options() -> None:
    """An option that is not valid is refused at once."""
    with pytest.raises(ConfigurationError, match="incoming='all'"):
        Middleware(incoming="all")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigurationError, match="do you mean incoming"):
        setup(web.Application(), incomming="ids")  # type: ignore[call-arg]  # the mistake


def test_an_application_given_to_the_class() -> None:
    """The class, which aiohttp would call for each request, says how it is used."""
    with pytest.raises(TypeError, match=r"middlewares=\[meshtrace.inbound.aiohttp.Middleware\(\)"):
        Middleware(web.Application(), _report)


def test_setup_of_something_else() -> None:
    """Setting up what is no application is a TypeError that says what it was."""
    with pytest.raises(TypeError, match="not RouteTableDef"):
        setup(web.RouteTableDef())  # type: ignore[arg-type]  # the mistake


def test_no_client_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """That ids come in and no client takes them out is said once, after the first such request."""

    async def silent(_: web.Request) -> web.StreamResponse:
        return web.Response()

    async def use(client: Client) -> None:
        await client.get("/")
        assert [] == [record for record in caplog.records if record.levelno > logging.INFO]
        await client.get("/", headers=CAME)
        await client.get("/", headers=CAME)

    with caplog.at_level(logging.INFO, "meshtrace"):
        _run(_app(silent, Middleware()), use)
    said = [record.levelname for record in caplog.records if record.name == "meshtrace"]
    assert ["INFO", "WARNING"] == said


# Responses


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{}")
    return response


async def _not_found(_: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _own(_: web.Request) -> web.StreamResponse:
    return web.Response(headers={"X-Request-Id": "own"})


@pytest.mark.parametrize(
    ("handler", "by_middleware"),
    [
        pytest.param(_report, [ECHO], id="a response"),
        pytest.param(_not_found, [ECHO], id="an exception that is a response"),
        pytest.param(_stream, [], id="a response that the handler begins"),
    ],
)
def test_what_is_echoed(handler: Handler, by_middleware: list[str]) -> None:
    """The middleware reaches what has not begun; what is set up reaches everything."""

    async def use_middleware(client: Client) -> None:
        response = await client.get("/", headers=CAME)
        assert by_middleware == response.headers.getall("x-request-id", [])

    async def use_setup(client: Client) -> None:
        response = await client.get("/", headers=CAME)
        assert [ECHO] == response.headers.getall("x-request-id")

    _run(_app(handler, Middleware(response_header="x-request-id")), use_middleware)
    app = _app(handler)
    setup(app, response_header="x-request-id")
    _run(app, use_setup)


def test_what_the_application_sets_is_not_echoed_over() -> None:
    """A response that has the header keeps its own, once."""
    app = _app(_own)
    setup(app, response_header="x-request-id")

    async def use(client: Client) -> None:
        response = await client.get("/", headers=CAME)
        assert ["own"] == response.headers.getall("x-request-id")

    _run(app, use)


def test_a_path_that_is_not_there() -> None:
    """The 404 that is aiohttp's own is echoed to, too."""
    app = _app()
    setup(app, response_header="x-request-id")

    async def use(client: Client) -> None:
        response = await client.get("/nowhere", headers=CAME)
        assert 404 == response.status
        assert ECHO == response.headers["x-request-id"]

    _run(app, use)


def test_a_handler_that_returns_nothing(
    errors_logged: list[logging.LogRecord],
) -> None:
    """What is no response is aiohttp's affair, which answers 500."""

    async def nothing(_: web.Request) -> web.StreamResponse:
        return cast("web.StreamResponse", None)

    async def use(client: Client) -> None:
        assert 500 == (await client.get("/", headers=CAME)).status

    _run(_app(nothing, Middleware(response_header="x-request-id")), use)
    assert ["Missing return statement on request handler"] == [
        record.getMessage() for record in errors_logged
    ]


def test_a_response_that_takes_no_header(caplog: pytest.LogCaptureFixture) -> None:
    """A response whose headers cannot be changed is sent as it is, with one warning."""

    class Frozen(web.Response):
        @property
        def headers(self) -> Any:  # noqa: ANN401 - a read-only view of the same
            return CIMultiDictProxy(super().headers)

    async def frozen(_: web.Request) -> web.StreamResponse:
        return Frozen()

    async def use(client: Client) -> None:
        with suppress(aiohttp.ClientError):
            await client.get("/", headers=CAME)

    _run(_app(frozen, Middleware(response_header="x-request-id")), use)
    faults = [record.getMessage() for record in caplog.records if "a fault" in record.getMessage()]
    assert ["meshtrace: a fault while echoing a header; going on without"] == faults


# What belongs to the request


def test_signals_and_the_access_log() -> None:
    """What aiohttp does after the middlewares still finds the request's headers."""
    found: list[tuple[str, dict[str, str]]] = []

    async def on_prepare(*_: object) -> None:
        found.append(("signal", _seen()))

    class Access(AbstractAccessLogger):
        def log(self, *_: object) -> None:
            found.append(("log", _seen()))

    app = _app(_report, Middleware())
    app.on_response_prepare.append(on_prepare)

    async def use(client: Client) -> None:
        await client.get("/", headers=CAME)
        await client.get("/")

    _run(app, use, access_log_class=Access)
    assert [("signal", CAME), ("log", CAME), ("signal", {}), ("log", {})] == found


def test_the_log_of_an_exception(errors_logged: list[logging.LogRecord]) -> None:
    """The record that aiohttp writes of an exception is written within the request."""
    found: list[dict[str, str]] = []

    async def fail(_: web.Request) -> web.StreamResponse:
        raise ZeroDivisionError

    class Noting(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(_seen())

    noting = Noting()
    logging.getLogger("aiohttp.server").addHandler(noting)

    async def use(client: Client) -> None:
        assert 500 == (await client.get("/", headers=CAME)).status

    try:
        _run(_app(fail, Middleware()), use)
    finally:
        logging.getLogger("aiohttp.server").removeHandler(noting)
    assert 1 == len(errors_logged)
    assert [CAME] == found


def test_a_websocket() -> None:
    """Every message of a websocket finds the headers of its handshake, which is echoed to."""

    async def talk(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for _ in websocket:
            await websocket.send_json(_seen())
        return websocket

    app = _app(talk)
    setup(app, response_header="x-request-id")

    async def use(client: Client) -> None:
        async with client.ws_connect("/", headers=CAME) as websocket:
            response = websocket._response  # noqa: SLF001 - the handshake's answer is nowhere else
            assert ECHO == response.headers["x-request-id"]
            for _ in range(2):
                await websocket.send_str("?")
                assert CAME == await websocket.receive_json()
        async with client.ws_connect("/") as websocket:
            await websocket.send_str("?")
            assert {} == await websocket.receive_json()

    _run(app, use)


def test_user_data_ends_with_the_request() -> None:
    """A task that goes on after the response keeps the ids, and no user data."""
    found: list[dict[str, str]] = []

    async def main() -> None:
        answered = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        async def later() -> None:
            found.append(_seen())
            await answered.wait()
            found.append(_seen())

        async def begin(_: web.Request) -> web.StreamResponse:
            tasks.append(asyncio.create_task(later()))
            await asyncio.sleep(0)
            return web.Response()

        app = _app(begin, Middleware(forward="end-user"))
        async with TestClient(TestServer(app)) as client:
            await client.get("/", headers=USER)
            # On the same connection: the first one's task has ended.
            await client.get("/nowhere")
            answered.set()
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert [USER, CAME] == found


def test_the_request_that_a_middleware_copies() -> None:
    """A request that was cloned has the same context."""

    async def again(request: web.Request) -> web.StreamResponse:
        with meshtrace.detached(), meshtrace.use(request):
            return web.json_response(_seen())

    @web.middleware
    async def clone(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request.clone(rel_url="/elsewhere"))

    async def use(client: Client) -> None:
        assert USER == await (await client.get("/", headers=USER)).json()

    _run(_app(again, Middleware(forward="end-user"), clone), use)


def test_a_middleware_between_that_loses_the_context() -> None:
    """Where a middleware between two of ours loses the context, the inner one finds it again."""

    @web.middleware
    async def lose(request: web.Request, handler: Handler) -> web.StreamResponse:
        with meshtrace.detached():
            return await handler(request)

    async def use(client: Client) -> None:
        assert USER == await (await client.get("/", headers=USER)).json()

    _run(_app(_report, Middleware(forward="end-user"), lose, Middleware()), use)


def test_a_sub_application_of_its_own_settings() -> None:
    """The outer application decides what comes in; a sub-application's middleware adds nothing."""
    app = web.Application(middlewares=[Middleware(incoming="ids", response_header="x-request-id")])
    app.add_subapp(
        "/sub/", _app(_report, Middleware(forward="end-user", response_header="x-request-id"))
    )

    async def use(client: Client) -> None:
        response = await client.get("/sub/", headers=USER)
        assert [ECHO] == response.headers.getall("x-request-id")
        assert CAME == await response.json()

    _run(app, use)


def test_spans_of_the_applications_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """When asked to join them, the remote parent is OpenTelemetry's current span in the handler."""
    for name in SERVER_INSTRUMENTATIONS:
        monkeypatch.delitem(sys.modules, name, raising=False)

    async def span(_: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{trace.get_current_span().get_span_context().span_id:016x}")

    async def use(client: Client) -> None:
        headers = {"b3": "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1"}
        assert "a2fb4a1d1a96d312" == await (await client.get("/", headers=headers)).text()
        assert "0" * 16 == await (await client.get("/")).text()

    _run(_app(span, Middleware(own_spans="join")), use)
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_pipelined_request() -> None:
    """A request that waits behind a large one on its connection finds nothing of it."""
    large = b"x" * 400_000
    first = b"POST / HTTP/1.1\r\nHost: shop\r\nx-request-id: 1\r\nContent-Length: %d\r\n\r\n" % len(
        large
    )
    second = b"GET /second HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"

    async def read(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response(_seen())

    async def main() -> bytes:
        app = web.Application(middlewares=[Middleware()], client_max_size=2**20)
        app.router.add_post("/", read)
        app.router.add_get("/second", read)
        async with TestServer(app) as server:
            reader, writer = await asyncio.open_connection(
                server.host, server.port, family=socket.AF_INET
            )
            writer.write(first + large + second)
            answers = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answers

    bodies = [part for part in asyncio.run(main()).split(b"\r\n") if part.startswith(b"{")]
    assert [b'{"x-request-id": "1"}HTTP/1.1 200 OK', b"{}"] == bodies


def test_a_request_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """What has no headers is served with an empty context, and one warning."""

    class Odd(dict[str, object]):
        """A request of somebody's own server."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return cast("web.StreamResponse", SimpleNamespace(seen=_seen()))

    async def main() -> dict[str, str]:
        with meshtrace.use(CAME):
            response: Any = await Middleware()(cast("web.Request", Odd()), handler)
        seen: dict[str, str] = response.seen
        return seen

    assert {} == asyncio.run(main())
    assert ["meshtrace: a fault while reading the headers of a request; going on without"] == [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]


def test_through_to_the_next_service() -> None:
    """What came to an application goes out by its patched client."""

    async def call(request: web.Request) -> web.StreamResponse:
        async with aiohttp.ClientSession() as session:
            url = request.url.with_path("/there")
            async with session.get(url) as response:
                return web.json_response(await response.json())

    async def there(request: web.Request) -> web.StreamResponse:
        return web.json_response({n: request.headers[n] for n in USER if n in request.headers})

    app = _app(call, Middleware(forward="end-user"))
    app.router.add_get("/there", there)
    meshtrace.patch("aiohttp")

    async def use(client: Client) -> None:
        assert USER == await (await client.get("/", headers=USER)).json()
        assert {} == await (await client.get("/")).json()

    _run(app, use)

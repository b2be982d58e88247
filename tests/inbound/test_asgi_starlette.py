"""Where in a Starlette application the context is seen by itself, and where it is not."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import anyio.from_thread
import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.concurrency import run_in_threadpool
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import meshtrace
from meshtrace import MeshTrace
from tests.inbound.asgi_server import CAME, OTHER, REVIEWS

Seen = dict[str, str]


def seen() -> Seen:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers(REVIEWS)


async def seen_later() -> Seen:
    """Give the same after a turn of the event loop."""
    await asyncio.get_running_loop().run_in_executor(None, int)
    return seen()


def in_sync_endpoint(_request: Request) -> Response:
    """Look in a thread of Starlette's pool."""
    return JSONResponse(seen())


async def in_async_endpoint(_request: Request) -> Response:
    """Look in the request's own task."""
    return JSONResponse(seen())


class InClass(HTTPEndpoint):
    """Look in an endpoint that is a class."""

    def get(self, _request: Request) -> Response:
        """Look in a thread of Starlette's pool."""
        return JSONResponse(seen())


async def in_task(_request: Request) -> Response:
    """Look in a task that the request starts."""
    return JSONResponse(await asyncio.create_task(seen_later()))


async def in_gathered(_request: Request) -> Response:
    """Look in several tasks at once, and in a thread of each."""
    both = await asyncio.gather(seen_later(), asyncio.to_thread(seen))
    assert both[0] == both[1]
    return JSONResponse(both[0])


async def in_thread(_request: Request) -> Response:
    """Look in a thread that asyncio lends."""
    return JSONResponse(await asyncio.to_thread(seen))


async def in_anyio_thread(_request: Request) -> Response:
    """Look in a thread that anyio lends."""
    return JSONResponse(await anyio.to_thread.run_sync(seen))


def in_loop_from_thread(_request: Request) -> Response:
    """Look in the event loop, asked from a synchronous endpoint's thread."""
    return JSONResponse(anyio.from_thread.run(seen_later))


async def in_callback(_request: Request) -> Response:
    """Look in a callback of the event loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Seen] = loop.create_future()
    loop.call_soon(lambda: future.set_result(seen()))
    return JSONResponse(await future)


async def in_sync_stream(_request: Request) -> Response:
    """Look while a body is made by a generator, which runs in threads."""

    def lines() -> Iterator[str]:
        yield "["
        yield json.dumps(seen())
        yield "]"

    return StreamingResponse(lines())


async def in_async_stream(_request: Request) -> Response:
    """Look while a body is made by an asynchronous generator."""

    async def lines() -> AsyncIterator[str]:
        yield "["
        yield json.dumps(await seen_later())
        yield "]"

    return StreamingResponse(lines())


PLACES = [
    Route("/sync", in_sync_endpoint),
    Route("/async", in_async_endpoint),
    Route("/class", InClass),
    Route("/task", in_task),
    Route("/gathered", in_gathered),
    Route("/thread", in_thread),
    Route("/anyio-thread", in_anyio_thread),
    Route("/loop-from-thread", in_loop_from_thread),
    Route("/callback", in_callback),
    Route("/sync-stream", in_sync_stream),
    Route("/async-stream", in_async_stream),
]
PATHS = [place.path for place in PLACES]


def _served(app: Starlette, path: str, headers: Seen) -> Seen:
    """Ask for what is seen at one place."""
    answer = TestClient(app).get(path, headers=headers).json()
    found: Seen = answer[0] if isinstance(answer, list) else answer
    return found


def _application(*routes: Route | Mount | WebSocketRoute) -> Starlette:
    """Make an application with the middleware."""
    app = Starlette(routes=routes)
    app.add_middleware(MeshTrace)
    return app


@pytest.mark.parametrize("path", PATHS)
def test_seen_by_itself(path: str) -> None:
    """The context is seen here with nothing else done, and nothing is seen where nothing came."""
    app = _application(*PLACES)
    assert CAME == _served(app, path, CAME)
    assert {} == _served(app, path, {})


@pytest.mark.parametrize("path", PATHS)
def test_seen_in_a_mounted_application(path: str) -> None:
    """A mounted application sees the context, and one with the middleware again sees the same."""
    mounted = Starlette(routes=PLACES)
    with_its_own = Starlette(routes=PLACES)
    with_its_own.add_middleware(MeshTrace, incoming="ignore")
    app = _application(Mount("/mounted", mounted), Mount("/own", with_its_own))
    assert CAME == _served(app, f"/mounted{path}", CAME)
    assert CAME == _served(app, f"/own{path}", CAME)


@pytest.mark.parametrize("path", PATHS)
def test_seen_where_the_application_is_wrapped(path: str) -> None:
    """Added and wrapped around as well, the middleware does the same as once."""
    wrapped = MeshTrace(_application(*PLACES), response_header="x-request-id")
    answer = TestClient(wrapped).get(path, headers=CAME)
    assert answer.json() in (CAME, [CAME])
    assert [CAME["x-request-id"]] == answer.headers.get_list("x-request-id")


class Looking(BaseHTTPMiddleware):
    """A middleware that runs what is inside it in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Look before and after."""
        before = seen()
        answer = await call_next(request)
        answer.headers["before"] = json.dumps(before)
        answer.headers["after"] = json.dumps(seen())
        return answer


@pytest.mark.parametrize("path", PATHS)
def test_http_middleware_inside(path: str) -> None:
    """A ``BaseHTTPMiddleware`` that was added before sees the context, and so does the endpoint."""
    app = Starlette(routes=PLACES)
    app.add_middleware(Looking)
    app.add_middleware(MeshTrace)
    answer = TestClient(app).get(path, headers=CAME)
    assert answer.json() in (CAME, [CAME])
    assert (CAME, CAME) == tuple(json.loads(answer.headers[when]) for when in ("before", "after"))


@pytest.mark.parametrize("path", PATHS)
def test_http_middleware_around(path: str) -> None:
    """A ``BaseHTTPMiddleware`` that was added after sees nothing; the endpoint sees the context."""
    app = _application(*PLACES)
    app.add_middleware(Looking)
    answer = TestClient(app).get(path, headers=CAME)
    assert answer.json() in (CAME, [CAME])
    assert ({}, {}) == tuple(json.loads(answer.headers[when]) for when in ("before", "after"))


def test_seen_in_background_tasks() -> None:
    """Work that is done after the answer, in a thread or not, is done in the request's context."""
    found: list[Seen] = []

    def look() -> None:
        found.append(seen())

    async def look_later() -> None:
        found.append(await seen_later())

    async def endpoint(_request: Request) -> Response:
        return Response(
            background=BackgroundTasks([BackgroundTask(look), BackgroundTask(look_later)])
        )

    client = TestClient(_application(Route("/", endpoint)))
    client.get("/", headers=CAME)
    client.get("/")
    assert [CAME, CAME, {}, {}] == found


def test_seen_in_a_websocket() -> None:
    """A websocket has its handshake's context all along; a message may bring one of its own."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_json():
            with meshtrace.use(message):
                await socket.send_json([seen(), await seen_later()])
            await socket.send_json(seen())

    client = TestClient(_application(WebSocketRoute("/", endpoint)))
    with client.websocket_connect("/", headers={**CAME}) as socket:  # which adds to them
        for _ in range(2):
            socket.send_json(OTHER)
            assert [OTHER, OTHER] == socket.receive_json()
            assert CAME == socket.receive_json()


def test_set_header_is_seen_by_all_of_the_request() -> None:
    """What a synchronous dependency sets, the endpoint and the work after the answer see, too."""
    found: list[Seen] = []

    def sync_dependency() -> None:
        meshtrace.set_header("end-user", "jason")

    @asynccontextmanager
    async def async_dependency() -> AsyncIterator[Seen]:
        yield await seen_later()

    async def endpoint(_request: Request) -> Response:
        await run_in_threadpool(sync_dependency)
        async with async_dependency() as first:
            background = BackgroundTask(lambda: found.append(seen()))
            return JSONResponse([first, seen()], background=background)

    client = TestClient(_application(Route("/", endpoint)))
    with_user = {**CAME, "end-user": "jason"}
    assert [with_user, with_user] == client.get("/", headers=CAME).json()
    assert [{"end-user": "jason"}] * 2 == client.get("/").json()
    assert [with_user, {"end-user": "jason"}] == found


def test_set_header_of_a_sync_endpoint_is_seen_in_the_background() -> None:
    """A synchronous endpoint's thread has a copy of the context; what it sets is seen later."""
    found: list[Seen] = []

    def endpoint(_request: Request) -> Response:
        meshtrace.set_header("end-user", "jason")
        return Response(background=BackgroundTask(lambda: found.append(seen())))

    TestClient(_application(Route("/", endpoint))).get("/", headers=CAME)
    assert [{**CAME, "end-user": "jason"}] == found


async def _in_executor(look: Callable[[], Seen]) -> Seen:
    return await asyncio.get_running_loop().run_in_executor(None, look)


async def _in_pool(look: Callable[[], Seen]) -> Seen:
    with ThreadPoolExecutor() as pool:
        return pool.submit(look).result()


async def _in_plain_thread(look: Callable[[], Seen]) -> Seen:
    found: list[Seen] = []
    thread = threading.Thread(target=lambda: found.append(look()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("elsewhere", [_in_executor, _in_pool, _in_plain_thread])
def test_carried_to_threads(elsewhere: Callable[[Callable[[], Seen]], Awaitable[Seen]]) -> None:
    """The application's own threads and executors see nothing by themselves; ``carry`` helps."""

    async def endpoint(_request: Request) -> Response:
        return JSONResponse([await elsewhere(seen), await elsewhere(meshtrace.carry(seen))])

    client = TestClient(_application(Route("/", endpoint)))
    assert [{}, CAME] == client.get("/", headers=CAME).json()


async def _fail(_request: Request) -> Response:
    raise ZeroDivisionError


async def _refuse(_request: Request) -> Response:
    raise LookupError


async def _answer(request: Request, _error: Exception) -> Response:
    without = seen()
    with meshtrace.use(request):
        return JSONResponse([without, seen()])


def _answer_in_a_thread(request: Request, _error: Exception) -> Response:
    without = seen()
    with meshtrace.use(request):
        return JSONResponse([without, seen()])


@pytest.mark.parametrize("answer", [_answer, _answer_in_a_thread])
def test_error_handlers(answer: Callable[[Request, Exception], Response]) -> None:
    """A 500 handler runs outside of the middlewares: ``use(request)`` brings the context back."""
    app = Starlette(
        routes=[Route("/fail", _fail), Route("/refuse", _refuse)],
        exception_handlers={Exception: answer, LookupError: answer},
    )
    app.add_middleware(MeshTrace)
    client = TestClient(app, raise_server_exceptions=False)
    assert [{}, CAME] == client.get("/fail", headers=CAME).json()
    assert [CAME, CAME] == client.get("/refuse", headers=CAME).json()
    assert [{}, {}] == client.get("/fail").json()


def test_error_handlers_of_a_wrapped_application() -> None:
    """Wrapped around the whole application, the middleware reaches its 500 handler too."""
    app = Starlette(routes=[Route("/fail", _fail)], exception_handlers={500: _answer})
    client = TestClient(MeshTrace(app), raise_server_exceptions=False)
    assert [CAME, CAME] == client.get("/fail", headers=CAME).json()

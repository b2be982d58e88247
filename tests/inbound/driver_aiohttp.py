"""aiohttp.web, with its own server, over connections that are used again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from http.client import HTTPConnection

from aiohttp import web
from anyio.from_thread import start_blocking_portal

import meshtrace
from meshtrace.inbound.aiohttp import Middleware, setup
from tests.inbound.driving import PARTS, Answer, Driver, Lines, report

__all__ = ["DRIVERS", "running"]


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[tuple[str, int]]:
    """Run an application on a free port of loopback."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        yield host, port
    finally:
        await runner.cleanup()


def ask(connection: HTTPConnection, path: str, lines: Lines) -> Answer:
    """Ask on an open connection."""
    connection.putrequest("GET", path)
    for name, value in lines:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    return Answer.of(response.status, response.getheaders(), response.read())


class BySetup(Driver):
    """An application that `setup` was called with."""

    name = "aiohttp.web, set up"

    def open(self, stack: ExitStack) -> None:
        """Serve in a thread, and connect."""
        outer = web.Application()
        outer.add_subapp("/inner/", self._app())
        outer.router.add_get("/outside", self._index)
        portal = stack.enter_context(start_blocking_portal())
        self._host, self._port = stack.enter_context(
            portal.wrap_async_context_manager(running(outer))
        )
        self._connection = self._connect()
        stack.callback(self._connection.close)

    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask on the connection."""
        return ask(self._connection, f"/inner{path}", lines)

    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask on connections of their own."""

        def get(lines: Lines) -> Answer:
            connection = self._connect()
            try:
                return ask(connection, f"/inner{path}", lines)
            finally:
                connection.close()

        with ThreadPoolExecutor(len(brought)) as pool:
            return list(pool.map(get, brought))

    def outside(self) -> dict[str, str]:
        """Ask, on the same connection, for a path that is not of our application."""
        return ask(self._connection, "/outside", ()).seen[0]

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(self._host, self._port, timeout=30)

    def _app(self) -> web.Application:
        app = web.Application()
        self._around(app)
        app.router.add_get("/", self._index)
        app.router.add_get("/user", self._user)
        app.router.add_get("/use", self._use)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/error", self._error)
        app.router.add_get("/meet", self._meet)
        return app

    def _around(self, app: web.Application) -> None:
        for _ in range(1 + self.nested):
            setup(app, **self.options)

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text=report())

    async def _user(self, _: web.Request) -> web.Response:
        meshtrace.set_header("end-user", "alice")
        return web.Response(text=report())

    async def _use(self, request: web.Request) -> web.Response:
        with meshtrace.detached(), meshtrace.use(request):
            return web.Response(text=report())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(PARTS):
            await response.write(report().encode())
            await asyncio.sleep(0)
        return response

    async def _error(self, _: web.Request) -> web.Response:
        raise ZeroDivisionError

    async def _meet(self, _: web.Request) -> web.Response:
        first = report()
        await self.meeting.wait_async()
        return web.Response(text=first + report())


class ByMiddleware(BySetup):
    """An application with a middleware, whose stream is a body that aiohttp sends by itself."""

    name = "aiohttp.web, with a middleware"

    def _around(self, app: web.Application) -> None:
        for _ in range(1 + self.nested):
            app.middlewares.append(Middleware(**self.options))

    async def _stream(self, _: web.Request) -> web.StreamResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(PARTS):
                yield report().encode()
                await asyncio.sleep(0)

        return web.Response(body=parts())


DRIVERS = (BySetup, ByMiddleware)

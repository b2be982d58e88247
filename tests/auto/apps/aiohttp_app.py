"""aiohttp.web."""

import asyncio
import sys

from aiohttp import web

from tests.auto.apps.calls import call


async def index(_request: web.Request) -> web.Response:
    """Answer with what a call carries."""
    return web.Response(body=call())


below = web.Application()
below.router.add_get("/", index)
app = web.Application()
app.router.add_get("/", index)
app.add_subapp("/below/", below)

if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)

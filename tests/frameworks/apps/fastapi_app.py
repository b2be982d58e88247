"""FastAPI: dependencies, background tasks, routers."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

import meshtrace
from tests.frameworks.apps.calls import call, call_async

app = FastAPI()
router = APIRouter()


class WrongError(Exception):
    """What a handler of the application's is there for."""


def dependency_sync(id: str) -> str:  # noqa: A002 - the query's own word
    """Call from a dependency that runs in a thread."""
    return call(id)


async def dependency_async(id: str) -> AsyncIterator[str]:  # noqa: A002 - the query's own word
    """Call from a dependency with an end of its own."""
    yield await call_async(id)


@app.get("/sync")
def plain(id: str) -> str:  # noqa: A002 - the query's own word
    """Call from a thread."""
    return call(id)


@app.get("/async")
async def asynchronous(id: str) -> str:  # noqa: A002 - the query's own word
    """Call from the event loop."""
    return await call_async(id)


@app.get("/depends-sync")
async def with_sync(said: Annotated[str, Depends(dependency_sync)]) -> str:
    """Have a synchronous dependency call."""
    return said


@app.get("/depends-async")
def with_async(said: Annotated[str, Depends(dependency_async)]) -> str:
    """Have an asynchronous dependency call."""
    return said


@app.get("/stream")
def stream(id: str) -> StreamingResponse:  # noqa: A002 - the query's own word
    """Call while the body is sent."""

    def body() -> Iterator[str]:
        yield "a"
        yield call(id)

    return StreamingResponse(body())


@app.get("/background")
def background(id: str, tasks: BackgroundTasks) -> str:  # noqa: A002 - the query's own word
    """Call after the answer."""
    tasks.add_task(call, id)
    return "ok"


@app.get("/wrong")
def wrong() -> str:
    """Fail with what the application has a handler for."""
    raise WrongError


@app.exception_handler(WrongError)
async def on_wrong(request: Request, _error: Exception) -> PlainTextResponse:
    """Call from an exception handler."""
    return PlainTextResponse(await call_async(request.query_params["id"]), status_code=400)


@router.get("/async")
async def routed(id: str) -> str:  # noqa: A002 - the query's own word
    """Call below a router."""
    return await call_async(id)


app.include_router(router, prefix="/mounted")
app.add_middleware(meshtrace.MeshTrace)

"""How a context gets where it does not go by itself: `carry`."""

import asyncio
import functools
import inspect
import threading
import types
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from contextvars import Context, copy_context
from typing import Any, TypeVar

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import meshtrace

F = TypeVar("F", bound=Callable[..., Any])
Seen = dict[str, str]

REVIEWS = "http://reviews:9080/reviews/0"

CAME = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "sw8": "1-a-b-3-c-d-e-f"}
OTHER = {"b3": "1"}


def seen() -> Seen:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers(REVIEWS)


def _carried(fn: F) -> F:
    """Carry *fn* out of one request."""
    with meshtrace.use(CAME):
        return meshtrace.carry(fn)


class _Looker:
    def __call__(self) -> Seen:
        return seen()

    def look(self, *_: object, **__: object) -> Seen:
        return seen()


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(seen, id="a function"),
        pytest.param(_Looker(), id="an object that can be called"),
        pytest.param(_Looker().look, id="a method"),
        pytest.param(functools.partial(_Looker().look, 1, two=2), id="a partial"),
        pytest.param(functools.lru_cache(seen), id="a function without code of its own"),
    ],
)
def test_function(fn: Callable[[], Seen]) -> None:
    """A function sees the request in which it was carried, for as long as the call lasts."""
    carried = _carried(fn)
    with meshtrace.use(OTHER):
        assert CAME == carried()
        assert CAME == carried()
        assert OTHER == seen()


def test_function_stays_what_it_was() -> None:
    """Name, text, arguments and result are the function's own, and so are its errors."""

    @_carried
    def divide(one: int, *, by: int) -> float:
        """Divide."""
        return one / by

    assert ("divide", "Divide.") == (divide.__name__, divide.__doc__)
    assert 2 == divide(4, by=2)
    with pytest.raises(ZeroDivisionError):
        divide(4, by=0)
    assert {} == seen()


def test_pool_keeps_nothing() -> None:
    """A pool's thread has the request for the call, and nothing of it afterwards."""
    with ThreadPoolExecutor(1) as pool:
        found = [
            pool.submit(job).result() for job in (seen, _carried(seen), seen, meshtrace.carry(seen))
        ]
    assert [{}, CAME, {}, {}] == found


def test_pool_of_many_requests() -> None:
    """One pool for the jobs of many requests mixes none of them up."""

    def job(number: int) -> tuple[str, str]:
        return str(number), seen()["x-request-id"]

    jobs = []
    for number in range(50):
        with meshtrace.use({"x-request-id": str(number)}):
            jobs.append(functools.partial(meshtrace.carry(job), number))
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(job) for job in jobs]]
    assert [(str(number), str(number)) for number in range(50)] == found


def test_plain_thread() -> None:
    """A thread that is started with it sees the request."""
    found: list[Seen] = []
    thread = threading.Thread(target=_carried(lambda: found.append(seen())))
    thread.start()
    thread.join()
    assert [CAME] == found


def test_out_of_no_request() -> None:
    """What is carried out of no request has none, wherever it is called."""
    carried = meshtrace.carry(seen)
    with meshtrace.use(CAME):
        assert {} == carried()


def test_set_header_is_seen_by_the_request() -> None:
    """What a carried function sets, it sets for the request."""
    with meshtrace.use(CAME):
        job = functools.partial(meshtrace.carry(meshtrace.set_header), "end-user", "jason")
        Context().run(job)
        assert {**CAME, "end-user": "jason"} == seen()


def test_coroutine_function() -> None:
    """A coroutine function sees the request all along, and stays a coroutine function."""

    @_carried
    async def look(times: int) -> list[Seen]:
        found = []
        for _ in range(times):
            await asyncio.to_thread(int)
            found.append(seen())
        return found

    async def scenario() -> tuple[list[Seen], Seen]:
        with meshtrace.use(OTHER):
            return await look(2), seen()

    assert inspect.iscoroutinefunction(look)
    assert ([CAME, CAME], OTHER) == asyncio.run(scenario())


async def _later(look: Callable[[], Seen]) -> Seen:
    await asyncio.to_thread(int)
    return look()


@types.coroutine
def _older(look: Callable[[], Seen]) -> Generator[Any, Any, Seen]:
    yield from asyncio.sleep(0).__await__()
    return look()


async def _next(generator: Iterator[Seen]) -> Seen:
    return next(generator)


async def _each(look: Callable[[], Seen]) -> AsyncGenerator[Seen, None]:
    yield await _later(look)


@pytest.mark.parametrize(
    ("made_by", "used_by"),
    [
        pytest.param(lambda: _later(seen), lambda made: made, id="a coroutine"),
        pytest.param(lambda: _each(seen), anext, id="an asynchronous generator"),
        pytest.param(lambda: (seen() for _ in range(1)), _next, id="a generator"),
    ],
)
def test_what_a_plain_function_has_only_made(
    made_by: Callable[[], Any], used_by: Callable[[Any], Any]
) -> None:
    """A coroutine or a generator that a plain function returns runs for the request, too."""
    carried = _carried(made_by)

    async def scenario() -> list[Seen]:
        with meshtrace.use(OTHER):
            return [await used_by(carried()), seen()]

    assert [CAME, OTHER] == asyncio.run(scenario())


def test_what_can_be_awaited_stays_so() -> None:
    """A coroutine of the older kind, which is a generator, is given back as it is."""
    carried: Callable[[], Any] = _carried(lambda: _older(seen))

    async def scenario() -> object:
        with meshtrace.use(OTHER):
            return await carried()

    assert OTHER == asyncio.run(scenario())


def test_coroutine_that_fails() -> None:
    """A coroutine's error is its own, and leaves nothing behind."""

    @_carried
    async def fail() -> None:
        await asyncio.to_thread(int)
        raise ZeroDivisionError

    async def scenario() -> Seen:
        with pytest.raises(ZeroDivisionError):
            await fail()
        return seen()

    assert {} == asyncio.run(scenario())


def test_coroutine_that_is_cancelled() -> None:
    """A coroutine that is cancelled ends in the request's context, and leaves nothing behind."""
    found: list[Seen] = []

    async def scenario() -> Seen:
        inside = asyncio.Event()

        @_carried
        async def wait() -> None:
            inside.set()
            try:
                await asyncio.Event().wait()
            finally:
                found.append(seen())

        task = asyncio.create_task(wait())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen()

    assert {} == asyncio.run(scenario())
    assert [CAME] == found


@_carried
def lines(found: list[Seen]) -> Generator[object, object, str]:
    """Tell what is sent, thrown and closed, and note what is seen meanwhile."""
    sent: object = None
    try:
        while sent != "stop":
            found.append(seen())
            try:
                sent = yield sent
            except LookupError as error:
                sent = error
    finally:
        found.append(seen())
    return "stopped"


def test_generator() -> None:
    """Each step of a generator sees the request, and between the steps the outside sees its own."""
    found: list[Seen] = []
    with meshtrace.use(OTHER):
        generator = lines(found)
        assert [] == found
        assert next(generator) is None
        assert OTHER == seen()
        assert "one" == generator.send("one")
        assert OTHER == seen()
        error = LookupError()
        assert error is generator.throw(error)
        assert OTHER == seen()
        with pytest.raises(StopIteration, match="stopped"):
            generator.send("stop")
        assert OTHER == seen()
    assert [CAME] * 4 == found


def test_generator_that_is_closed() -> None:
    """Closing runs in the request's context too, once; a loop works as on any generator."""
    found: list[Seen] = []
    with closing(lines(found)) as generator:
        for line in generator:
            assert line is None
            break
        assert [CAME] == found
    generator.close()
    assert [CAME, CAME] == found
    assert [] == list(generator)


def test_generator_that_fails() -> None:
    """An error that is thrown into a generator and not caught comes out again."""
    found: list[Seen] = []
    generator = lines(found)
    next(generator)
    with pytest.raises(ZeroDivisionError):
        generator.throw(ZeroDivisionError())
    assert [CAME, CAME] == found


def test_generator_that_changes_its_context() -> None:
    """What is current inside a generator when a step ends, is so when the next one begins."""

    @_carried
    def look() -> Iterator[Seen]:
        yield seen()
        with meshtrace.use(OTHER):
            yield seen()
            yield seen()
        yield seen()

    generator = look()
    with ThreadPoolExecutor(1) as pool:
        found = [pool.submit(next, generator).result(), next(generator)]
        found += [pool.submit(next, generator).result(), next(generator)]
        assert {} == pool.submit(seen).result()
    assert [CAME, OTHER, OTHER, CAME] == found
    assert {} == seen()


@_carried
async def later_lines(found: list[Seen]) -> AsyncGenerator[object, object]:
    """Tell what is sent, thrown and closed, and note what is seen meanwhile."""
    sent: object = None
    try:
        while sent != "stop":
            await asyncio.to_thread(int)
            found.append(seen())
            try:
                sent = yield sent
            except LookupError as error:
                sent = error
    finally:
        await asyncio.to_thread(int)
        found.append(seen())


def test_async_generator() -> None:
    """Each step of an asynchronous generator sees the request; the outside sees its own."""
    found: list[Seen] = []

    async def scenario() -> None:
        with meshtrace.use(OTHER):
            generator = later_lines(found)
            assert await anext(generator) is None
            assert OTHER == seen()
            assert "one" == await generator.asend("one")
            assert OTHER == seen()
            error = LookupError()
            assert error is await generator.athrow(error)
            assert OTHER == seen()
            with pytest.raises(StopAsyncIteration):
                await generator.asend("stop")
            assert OTHER == seen()

    asyncio.run(scenario())
    assert [CAME] * 4 == found


def test_async_generator_that_is_closed() -> None:
    """Closing runs in the request's context, once; a loop works as on any such generator."""
    found: list[Seen] = []

    async def scenario() -> list[object]:
        async with aclosing(later_lines(found)) as generator:
            async for line in generator:
                assert line is None
                break
            assert [CAME] == found
        await generator.aclose()
        assert [CAME, CAME] == found
        return [line async for line in generator]

    assert [] == asyncio.run(scenario())


def test_async_generator_that_changes_its_context() -> None:
    """What is current inside when a step ends, is so when the next one begins, in any task."""

    @_carried
    async def look() -> AsyncIterator[Seen]:
        yield seen()
        with meshtrace.use(OTHER):
            yield seen()
            yield seen()
        yield seen()

    async def step(generator: AsyncIterator[Seen]) -> Seen:
        return await anext(generator)

    async def scenario() -> list[Seen]:
        generator = look()
        found = []
        for _ in range(2):
            found += [await asyncio.create_task(step(generator)), await step(generator)]
        return [*found, seen()]

    assert [CAME, OTHER, OTHER, CAME, {}] == asyncio.run(scenario())


def test_abandoned_async_generator() -> None:
    """One that nobody closes leaves nothing behind, and nothing is said about it."""
    found: list[Seen] = []

    async def scenario() -> Seen:
        await anext(later_lines(found))
        return seen()

    assert {} == asyncio.run(scenario())
    assert CAME == found[0]


def test_stream_of_starlette() -> None:
    """A carried generator is a body like any other, though each of its steps has a thread."""

    @_carried
    def body() -> Iterator[str]:
        with meshtrace.use(OTHER):
            yield f"{seen()['b3']} "
            yield f"{seen()['b3']} "
        yield seen()["x-request-id"]

    async def endpoint(_request: Request) -> StreamingResponse:
        return StreamingResponse(body())

    text = TestClient(Starlette(routes=[Route("/", endpoint)])).get("/").text
    assert f"1 1 {CAME['x-request-id']}" == text


def test_only_what_can_be_called_is_carried() -> None:
    """The mistake of calling the function first is told where it is made."""
    with pytest.raises(TypeError, match=r"^carry\(int\): give a function$"):
        meshtrace.carry(len("called already"))  # type: ignore[type-var]  # that is the mistake


class _Callable:
    """Objects whose call is a coroutine function, a generator function, an asynchronous one."""

    class Coroutine:
        async def __call__(self, times: int) -> list[Seen]:
            await asyncio.to_thread(int)
            return [seen()] * times

    class Lines:
        def __call__(self, times: int) -> Iterator[Seen]:
            for _ in range(times):
                yield seen()

    class LaterLines:
        async def __call__(self, times: int) -> AsyncIterator[Seen]:
            for _ in range(times):
                await asyncio.to_thread(int)
                yield seen()


class _Methods:
    async def coroutine(self, times: int) -> list[Seen]:
        await asyncio.to_thread(int)
        return [seen()] * times

    @classmethod
    async def class_coroutine(cls, times: int) -> list[Seen]:
        await asyncio.to_thread(int)
        return [seen()] * times

    def lines(self, times: int) -> Iterator[Seen]:
        for _ in range(times):
            yield seen()

    async def later_lines(self, times: int) -> AsyncIterator[Seen]:
        for _ in range(times):
            await asyncio.to_thread(int)
            yield seen()


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(functools.partial(_Methods().coroutine, times=2), id="a partial coroutine"),
        pytest.param(functools.partial(_Methods().lines, times=2), id="a partial generator"),
        pytest.param(functools.partial(_Methods().later_lines, times=2), id="a partial async one"),
        pytest.param(_Methods().coroutine, id="a bound coroutine function"),
        pytest.param(_Methods.class_coroutine, id="a class's coroutine function"),
        pytest.param(_Methods().lines, id="a bound generator function"),
        pytest.param(_Methods().later_lines, id="a bound asynchronous one"),
        pytest.param(_Callable.Coroutine(), id="an object called as a coroutine function"),
        pytest.param(_Callable.Lines(), id="an object called as a generator function"),
        pytest.param(_Callable.LaterLines(), id="an object called as an asynchronous one"),
    ],
)
def test_every_kind_of_function(fn: Callable[..., Any]) -> None:
    """Whatever is called, what comes of it runs for the request, to its end."""
    carried = _carried(fn)

    async def scenario() -> list[Seen]:
        with meshtrace.use(OTHER):
            made = carried(times=2)
            if inspect.isawaitable(made):
                found = await made
            elif hasattr(made, "__anext__"):
                found = [line async for line in made]
            else:
                found = list(made)
            return [*found, seen()]

    assert [CAME, CAME, OTHER] == asyncio.run(scenario())


def test_class() -> None:
    """Calling a class makes an object inside the request; calling the object is another matter."""

    class Maker(_Callable.Coroutine):
        def __init__(self) -> None:
            self.found = seen()

    assert CAME == _carried(Maker)().found


def test_thread_that_has_a_context() -> None:
    """A thread that inherited its starter's request has that again after the call."""
    carried = _carried(seen)
    with meshtrace.use(OTHER), ThreadPoolExecutor(1) as pool:
        inherited = copy_context()
        assert [OTHER, CAME, OTHER] == [
            pool.submit(inherited.run, job).result() for job in (seen, carried, seen)
        ]


def test_what_closing_returns() -> None:
    """Closing a generator gives what closing the original one gives (Python 3.13: its value)."""

    def lines() -> Generator[int, None, str]:
        try:
            yield 1
        except GeneratorExit:
            return "closed"
        return "ended"

    results: list[Any] = []
    for fn in (lines, _carried(lines)):
        generator = fn()
        next(generator)
        results.append(generator.close())  # type: ignore[func-returns-value]  # since Python 3.13
    assert results[0] == results[1]


def test_user_data_is_carried() -> None:
    """User data goes along, and is there when the request has ended, in every kind of function."""
    meshtrace.configure(forward="end-user")
    jobs: list[Callable[[], Any]] = []

    def gone_by() -> Iterator[Seen]:
        yield seen()

    async def later() -> Seen:
        return seen()

    def app(_environ: object, _start_response: object) -> list[bytes]:
        jobs.extend(meshtrace.carry(fn) for fn in (seen, gone_by, later))
        return []

    environ = {"HTTP_B3": "0", "HTTP_END_USER": "jason"}
    meshtrace.MeshTraceWSGI(app)(environ, lambda *_: print)
    expected = {"b3": "0", "end-user": "jason"}
    found = [jobs[0](), next(jobs[1]()), asyncio.run(jobs[2]())]
    assert [expected] * 3 == found


def test_a_chain_that_carries_on_and_on() -> None:
    """A job that hands the next one its context for ever holds one request, and works on."""
    found: list[Seen] = []
    left = 2000

    def job() -> Callable[[], Any] | None:
        nonlocal left
        left -= 1
        if left:
            return meshtrace.carry(job)
        found.append(seen())
        return None

    following: Callable[[], Any] | None = _carried(job)
    while following is not None:
        following = following()
    assert [CAME] == found

"""The WSGI middleware, around what an application returns."""

import gc
import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.handlers import BaseCGIHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

import meshtrace
from meshtrace import MeshTraceWSGI
from tests.inbound.wsgi_server import (
    CAME,
    OTHER,
    at_hand,
    close,
    environ_of,
    ignore_head,
    ok,
    serve,
)

CHUNKS = [b"1", b"22", b"333"]


class _Notes(list[dict[str, str]]):
    """What was at hand, step by step."""

    def add(self) -> None:
        self.append(at_hand())


def _generator(notes: _Notes) -> Iterator[bytes]:
    try:
        for chunk in CHUNKS:
            notes.add()
            yield chunk
    finally:
        notes.add()


class _Closable:
    def __init__(self, notes: _Notes) -> None:
        self.notes = notes

    def close(self) -> None:
        self.notes.add()


class _Iterator(_Closable):
    def __init__(self, notes: _Notes) -> None:
        super().__init__(notes)
        self.chunks = iter(CHUNKS)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks)
        self.notes.add()
        return chunk


class _Iterable(_Closable):
    def __iter__(self) -> Iterator[bytes]:
        for chunk in CHUNKS:
            self.notes.add()
            yield chunk


class _Eager(_Closable):
    def __iter__(self) -> Iterator[bytes]:
        self.notes.add()
        return iter(CHUNKS)


class _Sized(_Iterable):
    def __len__(self) -> int:
        self.notes.add()
        return len(CHUNKS)


class _OneChunk(_Closable):
    def __iter__(self) -> Iterator[bytes]:
        self.notes.add()
        yield b"".join(CHUNKS)

    def __len__(self) -> int:
        return 1


class _Indexed(_Closable):
    def __getitem__(self, index: int) -> bytes:
        chunk = CHUNKS[index]
        self.notes.add()
        return chunk


def _mapped(notes: _Notes) -> Iterator[bytes]:
    def noted(chunk: bytes) -> bytes:
        notes.add()
        return chunk

    return map(noted, CHUNKS)


Make = Callable[[_Notes], Iterable[bytes]]
CLOSABLE = [
    pytest.param(_generator, id="a generator"),
    pytest.param(_Iterator, id="an iterator"),
    pytest.param(_Iterable, id="an iterable that makes a generator"),
    pytest.param(_Eager, id="an iterable that works when it is asked for its iterator"),
    pytest.param(_Sized, id="an iterable with a length"),
    pytest.param(_OneChunk, id="one chunk with a length"),
    pytest.param(_Indexed, id="a sequence without __iter__"),
]
LAZY = [*CLOSABLE, pytest.param(_mapped, id="a map, which cannot be closed")]


def _returning(body: object) -> WSGIApplication:
    """Make an application that returns *body*."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Any:  # noqa: ANN401 - some bodies are wrong on purpose
        ok(start_response)
        return body

    return app


def _body_of(body: object, **environ: object) -> Iterable[bytes]:
    """Give what comes out of the middleware for *body*."""
    return MeshTraceWSGI(_returning(body))(environ_of(CAME, **environ), ignore_head)


@pytest.mark.parametrize("make", LAZY)
def test_a_lazy_body(make: Make) -> None:
    """The request is at hand in each step and in the closing of a lazy body, never between them."""
    inside, outside = _Notes(), _Notes()
    body = _body_of(make(inside))
    outside.add()
    for _ in body:
        outside.add()
    close(body)
    outside.add()
    assert [CAME] * len(inside) == inside
    assert [{}] * len(outside) == outside
    assert 2 <= len(inside)


@pytest.mark.parametrize("make", CLOSABLE)
def test_the_outside_keeps_its_own(make: Make) -> None:
    """Between the steps the outside has its own request, whatever the body does."""
    inside, outside = _Notes(), _Notes()
    body = _body_of(make(inside))
    with meshtrace.use(OTHER):
        for _ in body:
            outside.add()
        close(body)
        outside.add()
    assert [CAME] * len(inside) == inside
    assert [OTHER] * len(outside) == outside


@pytest.mark.parametrize("make", LAZY)
def test_a_body_under_wsgiref_validate(make: Make) -> None:
    """A lazy body keeps to PEP 3333, inside and outside of the middleware."""
    inside = _Notes()
    wrapped = validator(MeshTraceWSGI(validator(_returning(make(inside)))))
    assert b"".join(CHUNKS) == b"".join(serve(wrapped, CAME).chunks)
    assert [CAME] * len(inside) == inside


@pytest.mark.parametrize("make", CLOSABLE)
def test_a_server_sends_the_same(make: Make) -> None:
    """A server sends, byte for byte, what it sends without the middleware, the head included."""

    def sent(app: WSGIApplication) -> bytes:
        out = io.BytesIO()
        handler = BaseCGIHandler(io.BytesIO(), out, io.StringIO(), environ_of(CAME))
        handler.run(app)
        return out.getvalue()

    bare = _returning(make(_Notes()))
    wrapped = MeshTraceWSGI(_returning(make(_Notes())))
    assert sent(bare) == sent(wrapped)


def test_the_length_is_the_bodys() -> None:
    """A server may ask for the length of a body that has one, and only of such a body."""
    inside = _Notes()
    sized: Any = _body_of(_Sized(inside))
    assert len(CHUNKS) == len(sized)
    assert [CAME] == inside
    assert not hasattr(_body_of(_generator(_Notes())), "__len__")


def test_nothing_runs_before_it_is_asked_for() -> None:
    """The body makes one chunk each time the server asks for one, and none before."""
    inside = _Notes()
    body = iter(_body_of(_Iterable(inside)))
    steps = [len(inside)]
    for _ in range(2):
        next(body)
        steps.append(len(inside))
    assert [0, 1, 2] == steps


def test_an_application_that_is_a_generator() -> None:
    """An application that begins when its body is asked for still has its request."""
    inside = _Notes()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        inside.add()
        ok(start_response)
        yield b"served"

    answer = serve(MeshTraceWSGI(app, response_header="x-request-id"), CAME)
    assert [b"served"] == answer.chunks
    assert ("x-request-id", CAME["x-request-id"]) == answer.headers[-1]
    assert [CAME] == inside


def test_bodies_that_take_turns() -> None:
    """Bodies that one thread streams by turns each have their own request."""
    first, second = _Notes(), _Notes()
    bodies = [
        MeshTraceWSGI(_returning(_generator(notes)))(environ_of(headers), ignore_head)
        for notes, headers in ((first, CAME), (second, OTHER))
    ]
    assert list(zip(CHUNKS, CHUNKS, strict=True)) == list(zip(*bodies, strict=True))
    assert [CAME] * 4 == first
    assert [OTHER] * 4 == second


def test_use_across_steps() -> None:
    """A context that a generator enters in one step is there in the next, and not outside."""
    inside, outside = _Notes(), _Notes()

    def stream() -> Iterator[bytes]:
        inside.add()
        with meshtrace.use(OTHER):
            yield b"1"
            inside.add()
            yield b"2"
            with meshtrace.detached():
                yield b"3"
                inside.add()
            inside.add()
        inside.add()
        yield b"4"

    for _ in _body_of(stream()):
        outside.add()
    assert [CAME, OTHER, {}, OTHER, CAME] == inside
    assert [{}] * 4 == outside


def test_what_the_call_left_current() -> None:
    """A context that the application enters in its call, and its body leaves, lasts between."""
    inside, outside = _Notes(), _Notes()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        ok(start_response)
        entered = meshtrace.use(OTHER)
        entered.__enter__()
        return stream(lambda: entered.__exit__(None, None, None))

    def stream(leave: Callable[[], object]) -> Iterator[bytes]:
        inside.add()
        leave()
        yield b""

    body = MeshTraceWSGI(app)(environ_of(CAME), ignore_head)
    outside.add()
    list(body)
    assert [OTHER] == inside
    assert [{}] == outside


def _in_a_thread(step: Callable[[], object]) -> None:
    """Run one step in a thread of its own."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - a thread cannot raise into the test
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert [] == errors


@pytest.mark.parametrize("make", CLOSABLE)
def test_every_step_in_another_thread(make: Make) -> None:
    """The steps and the closing may each run in another thread."""
    inside = _Notes()
    body: Any = _body_of(make(inside))
    chunks: list[bytes] = []
    for _ in make(_Notes()):
        _in_a_thread(lambda: chunks.append(next(body)))
    _in_a_thread(body.close)
    assert b"".join(CHUNKS) == b"".join(chunks)
    assert [CAME] * len(inside) == inside


@pytest.mark.parametrize("context", [meshtrace.detached(), meshtrace.use(OTHER)])
def test_closed_by_another_thread(context: Any) -> None:  # noqa: ANN401 - any context manager
    """A generator closed by another thread, in the midst of a context, logs and raises nothing."""
    after = _Notes()

    def stream() -> Iterator[bytes]:
        with context:
            yield b"1"

    body: Any = _body_of(stream())
    next(body)
    _in_a_thread(body.close)
    after.add()
    assert [{}] == after


def test_a_body_that_nobody_closes() -> None:
    """A generator that is collected before its end logs and raises nothing."""
    ended: list[str] = []

    def stream() -> Iterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            ended.append("yes")

    body: Any = _body_of(stream())
    next(body)
    del body
    gc.collect()
    assert ["yes"] == ended
    assert {} == at_hand()


def test_a_client_that_leaves() -> None:
    """The generator that a body made ends when the body is closed, and leaves nothing behind."""
    inside, outside = _Notes(), _Notes()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            try:
                with meshtrace.use(OTHER):
                    yield b"1"
                    yield b"2"
            finally:
                inside.add()

    body: Any = _body_of(Body())
    next(body)
    close(body)
    del body
    outside.add()
    assert [CAME] == inside
    assert [{}] == outside


class _Counting:
    """A body that counts how often it is closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.chunks = chunks
        self.error = error
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("closings", [1, 2, 3])
def test_closed_once(steps: int, closings: int) -> None:
    """The original body is closed once, however often it was asked for, wherever it stood."""
    original = _Counting(*CHUNKS)
    body: Any = _body_of(original)
    chunks = [next(body) for _ in range(steps)]
    before = original.closed
    for _ in range(closings):
        body.close()
    assert CHUNKS[:steps] == chunks
    assert [0, 1] == [before, original.closed]


def test_not_closed_by_itself() -> None:
    """Nobody but the server closes: a body that is used up is still open."""
    original = _Counting(*CHUNKS)
    assert CHUNKS == list(_body_of(original))
    assert 0 == original.closed


def test_nothing_comes_after_the_closing() -> None:
    """A body that was closed gives nothing more, and does not begin again."""
    body: Any = _body_of(_Counting(*CHUNKS))
    next(body)
    body.close()
    assert [] == list(body)


def test_an_error_while_streaming() -> None:
    """What a body raises comes out as it is; the body is closed then, and the context undone."""
    error = LookupError("no such chapter")
    original = _Counting(b"1", error=error)
    with pytest.raises(LookupError) as raised:
        serve(MeshTraceWSGI(_returning(original)), CAME)
    assert error is raised.value
    assert 1 == original.closed
    assert {} == at_hand()


def test_an_error_while_closing() -> None:
    """What the closing raises comes out as it is, once."""
    error = LookupError("no such file")

    class Body(_Counting):
        def close(self) -> None:
            super().close()
            raise error

    original = Body()
    body: Any = _body_of(original)
    with pytest.raises(LookupError) as raised:
        body.close()
    body.close()
    assert error is raised.value
    assert 1 == original.closed
    assert {} == at_hand()


def test_no_body_at_all() -> None:
    """An application that returns nothing fails in the server, as it does by itself."""
    with pytest.raises(TypeError, match="'NoneType' object is not iterable"):
        serve(MeshTraceWSGI(_returning(None)), CAME)


class _Rows(list[bytes]):
    """A list of one's own."""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([b"a", b"b"], id="a list"),
        pytest.param([], id="an empty list"),
        pytest.param((b"a",), id="a tuple"),
        pytest.param(_Rows([b"a"]), id="a list of a class of its own"),
    ],
)
def test_a_complete_body_is_passed_on(body: object) -> None:
    """A list and a tuple go to the server as they are."""
    assert body is _body_of(body)


def _as_uwsgi(file: io.BytesIO, _size: int = 0) -> io.BytesIO:
    """Give the file itself, which the server knows again: as uWSGI does."""
    return file


class _Stream:
    """What mod_wsgi puts around a file."""

    def __init__(self, filelike: io.BytesIO) -> None:
        self.filelike = filelike


def _as_mod_wsgi(file: io.BytesIO, _size: int = 0) -> _Stream:
    """Put something of the server's own around a file: as mod_wsgi does."""
    return _Stream(file)


class _ServersWrapper(FileWrapper):
    """A server's own class."""


WRAPPERS = [
    pytest.param(FileWrapper, id="a class"),
    pytest.param(_ServersWrapper, id="a subclass"),
    pytest.param(_as_uwsgi, id="a function that gives the file itself"),
    pytest.param(_as_mod_wsgi, id="a function that gives an object around the file"),
]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_file_is_passed_on(wrapper: Callable[..., object]) -> None:
    """What wsgi.file_wrapper made goes to the server as it is, which may then send it its way."""
    body = wrapper(io.BytesIO(b"file"), 4096)
    assert body is _body_of(body, **{"wsgi.file_wrapper": wrapper})


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_is_no_file_is_streamed(wrapper: Callable[..., object]) -> None:
    """Where a server has a file wrapper, other bodies still have their request."""
    inside = _Notes()
    assert CHUNKS == list(_body_of(_Iterator(inside), **{"wsgi.file_wrapper": wrapper}))
    assert [CAME] * 3 == inside


class _NotedFile(io.BytesIO):
    """A file that comes from elsewhere, line by line."""

    notes: _Notes

    def __next__(self) -> bytes:
        self.notes.add()
        return super().__next__()


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="none"),
        pytest.param({"wsgi.file_wrapper": None}, id="one that is taken away"),
        pytest.param({"wsgi.file_wrapper": _ServersWrapper}, id="a class that was not used"),
    ],
)
def test_a_file_that_is_not_wrapped(environ: dict[str, object]) -> None:
    """A file that an application returns by itself is streamed with its request, and closed."""
    file = _NotedFile(b"a\nb\n")
    file.notes = _Notes()
    body = _body_of(file, **environ)
    assert [b"a\n", b"b\n"] == list(body)
    close(body)
    assert file.closed
    assert [CAME] * 3 == file.notes

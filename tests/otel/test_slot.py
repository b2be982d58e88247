"""The remote parent in the place of OpenTelemetry's current span, while a request is served."""

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import NonRecordingSpan

import meshtrace
from meshtrace import MeshTrace, MeshTraceWSGI
from meshtrace.otel import slot
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64
from tests.otel.conftest import Exported
from tests.otel.test_join import OTHER, own_span, reported

CAME = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1 ,b=2"}
Serve = Callable[[dict[str, str], Callable[[], object]], None]
"""Serves one request, during which something is called."""


@pytest.fixture(autouse=True)
def _without_instrumentations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Join, as an application does that has imported no server instrumentation."""
    meshtrace.configure(own_spans="join")
    for name in slot.SERVER_INSTRUMENTATIONS:
        monkeypatch.delitem(sys.modules, name, raising=False)


def _by_asgi(came: dict[str, str], call: Callable[[], object]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001 - ASGI's own
        call()

    headers = [(name.encode(), value.encode()) for name, value in came.items()]
    scope: dict[str, Any] = {"type": "http", "headers": headers}
    _run_here(MeshTrace(app)(scope, _nothing, _nothing))


def _by_wsgi(came: dict[str, str], call: Callable[[], object]) -> None:
    def app(environ: object, start_response: object) -> list[bytes]:  # noqa: ARG001 - WSGI's own
        call()
        return []

    MeshTraceWSGI(app)(_environ(came), _start_response)


def _environ(came: dict[str, str]) -> dict[str, Any]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in came.items()}


def _start_response(*_: Any) -> Callable[[bytes], object]:  # noqa: ANN401 - WSGI's own
    return len


async def _nothing(*_: Any) -> Any:  # noqa: ANN401 - ASGI's own
    return None


def _run_here(awaitable: Any) -> None:  # noqa: ANN401 - any coroutine
    """Run a coroutine that never waits, in this very context."""
    with pytest.raises(StopIteration):
        awaitable.send(None)


@pytest.fixture(params=[_by_asgi, _by_wsgi], ids=["ASGI", "WSGI"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Give what serves a request, in both protocols."""
    chosen: Serve = request.param
    return chosen


def _current() -> trace.SpanContext:
    return trace.get_current_span().get_span_context()


def _ids() -> tuple[str, str]:
    current = _current()
    return f"{current.trace_id:032x}", f"{current.span_id:016x}"


class TestInside:
    """What an application without any instrumentation finds."""

    @pytest.mark.parametrize(
        ("came", "ids", "flags"),
        [
            pytest.param(CAME, (TRACE, SPAN), 1, id="traceparent"),
            pytest.param(
                {"traceparent": f"00-{TRACE}-{SPAN}-02"}, (TRACE, SPAN), 2, id="not sampled, random"
            ),
            pytest.param({"b3": f"{TRACE}-{SPAN}-d"}, (TRACE, SPAN), 1, id="debug is sampled"),
            pytest.param({"b3": f"{TRACE}-{SPAN}"}, (TRACE, SPAN), 0, id="defer is not"),
            pytest.param(
                {"b3": f"{TRACE_64}-{SPAN}-1"}, (f"{TRACE_64:0>32}", SPAN), 1, id="64 bits"
            ),
            pytest.param(
                {"b3": f"{OTHER}-{PARENT}-1", **CAME},
                (OTHER, PARENT),
                1,
                id="where the formats disagree, the one that is believed",
            ),
            pytest.param(
                {"traceparent": f"cc-{TRACE}-{SPAN}-01-more"},
                (TRACE, SPAN),
                1,
                id="a longer traceparent",
            ),
        ],
    )
    def test_the_remote_parent(
        self, serve: Serve, came: dict[str, str], ids: tuple[str, str], flags: int
    ) -> None:
        """Envoy's span stands where a span's parent is looked for."""
        found: list[Any] = []
        serve(came, lambda: found.append((_ids(), _current().trace_flags, _current().is_remote)))
        assert [(ids, flags, True)] == found

    @pytest.mark.parametrize(
        ("came", "tracestate"),
        [
            pytest.param(CAME, "a=1 ,b=2", id="of its trace: as it came"),
            pytest.param({"b3": f"{OTHER}-{PARENT}-1", **CAME}, "", id="of another: not there"),
            pytest.param({"b3": f"{TRACE}-{SPAN}-1"}, "", id="none"),
        ],
    )
    def test_its_tracestate(self, serve: Serve, came: dict[str, str], tracestate: str) -> None:
        """A tracestate goes along with its own trace."""
        found: list[str] = []
        serve(came, lambda: found.append(_current().trace_state.to_header()))
        assert [tracestate] == found

    def test_a_span_made_by_hand(self, serve: Serve, exported: Exported) -> None:
        """A span that the application makes is the child of Envoy's, and the parent of the next."""
        sent: list[dict[str, str]] = []

        def call() -> None:
            with exported.tracer.start_as_current_span("own"):
                sent.append(meshtrace.headers("http://reviews:9080/"))

        serve(CAME, call)
        own = exported.named("own")
        assert own.parent is not None
        assert (int(TRACE, 16), int(SPAN, 16)) == (own.parent.trace_id, own.parent.span_id)
        assert own.context is not None
        traceparent = f"00-{TRACE}-{own.context.span_id:016x}-01"
        assert [{"traceparent": traceparent, "tracestate": "a=1 ,b=2"}] == sent

    def test_every_other_key_is_kept(self, serve: Serve) -> None:
        """What else is in OpenTelemetry's context stays there."""
        found: list[object] = []
        token = context.attach(baggage.set_baggage("tenant", "blue"))
        serve(CAME, lambda: found.append(baggage.get_baggage("tenant")))
        context.detach(token)
        assert ["blue"] == found

    def test_without_a_parent(self, serve: Serve) -> None:
        """Where there is no parent, nothing is put there."""
        found: list[bool] = []
        for came in ({}, {"b3": "0"}, {"traceparent": "00-bad"}):
            serve(came, lambda: found.append(_current().is_valid))
        assert [False] * 3 == found

    def test_relaying(self, serve: Serve) -> None:
        """Unless it was asked for, OpenTelemetry's context is not touched."""
        meshtrace.configure()
        found: list[bool] = []
        serve(CAME, lambda: found.append(_current().is_valid))
        assert [False] == found


class TestWhatStandsThereAlready:
    """A local span stays; what an earlier request has left does not."""

    def _found(self, serve: Serve, span: trace.Span, came: dict[str, str]) -> int:
        found: list[int] = []
        with trace.use_span(span):
            serve(came, lambda: found.append(_current().span_id))
        return found[0]

    def test_a_local_span(self, serve: Serve) -> None:
        """A local span stays: it is the parent that the application has chosen."""
        span = reported(own_span())
        assert own_span().span_id == self._found(serve, span, CAME)

    @pytest.mark.parametrize(
        ("came", "left"), [(CAME, int(SPAN, 16)), ({}, 0)], ids=["a parent", "none"]
    )
    def test_one_that_has_ended(
        self, serve: Serve, exported: Exported, came: dict[str, str], left: int
    ) -> None:
        """A span that has ended goes, also where there is no parent to put in its place."""
        span = exported.tracer.start_span("earlier")
        span.end()
        assert left == self._found(serve, span, came)

    def test_a_parent_of_an_earlier_request(self, serve: Serve) -> None:
        """So does a remote parent that we have put there."""
        found: list[bool] = []
        serve(CAME, lambda: serve({}, lambda: found.append(_current().is_valid)))
        assert [False] == found

    def test_somebody_elses_remote_parent(self, serve: Serve) -> None:
        """One that somebody else has put there gives way to a parent, and only to one."""
        span = NonRecordingSpan(own_span(remote=True))
        assert [int(SPAN, 16), own_span().span_id] == [
            self._found(serve, span, CAME),
            self._found(serve, span, {}),
        ]


class TestLeftToOthers:
    """Where somebody else looks after the context."""

    @pytest.mark.parametrize("name", slot.SERVER_INSTRUMENTATIONS)
    def test_a_server_instrumentation(
        self, serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where one is loaded, it finds the parent itself."""
        monkeypatch.setitem(sys.modules, name, sys)
        found: list[bool] = []
        serve(CAME, lambda: found.append(_current().is_valid))
        assert [False] == found

    @pytest.mark.parametrize(
        "variable",
        [
            "DD_TRACE_OTEL_ENABLED=true",
            "DD_TRACE_OTEL_ENABLED=1",
            "OTEL_PYTHON_CONTEXT=ddcontextvars_context",
        ],
    )
    def test_ddtrace(
        self,
        serve: Serve,
        variable: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The context of ddtrace is left alone, which is said once."""
        caplog.set_level("INFO", "meshtrace")
        monkeypatch.setenv(*variable.split("="))
        found: list[bool] = []
        for _ in range(2):
            serve(CAME, lambda: found.append(_current().is_valid))
        assert [False] * 2 == found
        assert 1 == len([line for line in caplog.messages if "ddtrace" in line])

    def test_a_fault(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A fault of ours is said once, and the request is served."""
        monkeypatch.delattr(slot, "remote_parent")
        found: list[bool] = []
        for _ in range(2):
            serve(CAME, lambda: found.append(_current().is_valid))
        assert [False] * 2 == found
        assert 1 == len([line for line in caplog.messages if "a fault while" in line])


class TestTheEnd:
    """Nothing is left behind, and OpenTelemetry never fails to detach."""

    def test_a_context_that_nobody_has_left(self, serve: Serve) -> None:
        """What the application has attached, and not detached, ends with the request."""
        serve(CAME, lambda: context.attach(trace.set_span_in_context(reported(own_span()))))
        assert not _current().is_valid

    def test_an_exception(self, serve: Serve) -> None:
        """An application that fails leaves nothing either."""

        def fail() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            serve(CAME, fail)
        assert not _current().is_valid

    def test_a_coroutine_closed_elsewhere(self) -> None:
        """A request whose coroutine is closed in another context touches nothing there."""

        class Forever:
            def __await__(self) -> Generator[None]:
                yield

        async def app(*_: object) -> None:
            await Forever()

        headers = [(b"traceparent", CAME["traceparent"].encode())]
        serving = MeshTrace(app)({"type": "http", "headers": headers}, _nothing, _nothing)
        copy_context().run(serving.send, None)
        span = reported(own_span())
        with trace.use_span(span):
            serving.close()
            assert span is trace.get_current_span()


def _streaming(steps: Callable[[], Iterator[bytes]]) -> Iterable[bytes]:
    def app(environ: object, start_response: object) -> Iterable[bytes]:  # noqa: ARG001 - WSGI's own
        return steps()

    return MeshTraceWSGI(app)(_environ(CAME), _start_response)


class TestAStreamedBody:
    """The steps of a WSGI body run after the application has returned."""

    def test_each_step(self, exported: Exported) -> None:
        """Each step finds the parent; between the steps, the outside finds its own."""

        def steps() -> Iterator[bytes]:
            for number in range(2):
                with exported.tracer.start_as_current_span(f"step {number}"):
                    yield b""

        assert [False] * 2 == [_current().is_valid for _ in _streaming(steps)]
        spans = [exported.named(f"step {number}") for number in range(2)]
        assert [int(SPAN, 16)] * 2 == [span.parent.span_id for span in spans if span.parent]

    def test_a_span_over_several_steps(self, exported: Exported) -> None:
        """A span that is open while the body is handed over is current in each step."""
        found = []

        def steps() -> Iterator[bytes]:
            with exported.tracer.start_as_current_span("all") as span:
                for _ in range(2):
                    yield b""
                    found.append(span is trace.get_current_span())
            found.append(SPAN == _ids()[1])

        assert [b"", b""] == list(_streaming(steps))
        assert [True] * 3 == found

    def test_another_context_each_time(self) -> None:
        """Each step may run in a context of its own, and leaves none of them changed."""
        found = []

        def steps() -> Iterator[bytes]:
            for _ in range(3):
                found.append(_ids())
                yield b""

        body = iter(_streaming(steps))
        contexts = [copy_context() for _ in range(3)]
        for one in contexts:
            one.run(next, body)
        assert [(TRACE, SPAN)] * 3 == found
        assert [False] * 3 == [one.run(_current).is_valid for one in contexts]

    def test_another_thread(self) -> None:
        """So may each thread."""
        found = []

        def steps() -> Iterator[bytes]:
            found.append(_ids())
            yield b""

        body = _streaming(steps)
        thread = threading.Thread(target=lambda: [*body])
        thread.start()
        thread.join()
        assert [(TRACE, SPAN)] == found

    def test_closed_early(self, exported: Exported) -> None:
        """A body that is closed early ends its span where it began."""

        def steps() -> Iterator[bytes]:
            with exported.tracer.start_as_current_span("cut"):
                yield b""
                yield b""

        body: Any = _streaming(steps)
        next(body)
        body.close()
        del body
        gc.collect()
        assert int(SPAN, 16) == getattr(exported.named("cut").parent, "span_id", None)


def test_a_task_for_each_request(exported: Exported) -> None:
    """Requests that are served at the same time each have their own parent."""

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001 - ASGI's own
        for _ in range(3):
            await asyncio.sleep(0)
            with exported.tracer.start_as_current_span(scope["path"]):
                await asyncio.sleep(0)
                scope["found"].append(trace.get_current_span().get_span_context().trace_id)

    async def lines() -> AsyncIterator[dict[str, Any]]:
        for number in range(1, 4):
            traceparent = f"00-{number:032x}-{SPAN}-01".encode()
            headers = [(b"traceparent", traceparent)]
            yield {"type": "http", "path": str(number), "headers": headers, "found": []}

    async def main() -> list[list[int]]:
        middleware = MeshTrace(app)
        scopes = [scope async for scope in lines()]
        await asyncio.gather(*(middleware(scope, _nothing, _nothing) for scope in scopes))
        return [scope["found"] for scope in scopes]

    assert [[1] * 3, [2] * 3, [3] * 3] == asyncio.run(main())


class TestDetached:
    """Code that runs for no request, though it is started inside one."""

    @pytest.fixture(
        params=[
            pytest.param(meshtrace.detached, id="detached"),
            pytest.param(lambda: meshtrace.use(None), id="use(None)"),
        ]
    )
    def detached(self, request: pytest.FixtureRequest) -> Callable[[], Any]:
        """Give what runs code for no request."""
        chosen: Callable[[], Any] = request.param
        return chosen

    def test_a_worker(self, detached: Callable[[], Any], exported: Exported) -> None:
        """Its spans and calls, and its baggage, are not the request's, whose span stays open."""
        found = []

        async def work() -> None:
            found.append((baggage.get_all(), meshtrace.headers("http://reviews:9080/")))
            with exported.tracer.start_as_current_span("worker"):
                pass

        async def request() -> None:
            with meshtrace.use(CAME), exported.tracer.start_as_current_span("own") as own:
                token = context.attach(baggage.set_baggage("cart", "42"))
                with detached():
                    worker = asyncio.create_task(work())
                assert own is trace.get_current_span()
                await worker
                context.detach(token)

        asyncio.run(request())
        assert [({}, {})] == found
        assert exported.named("worker").parent is None
        assert exported.named("own").parent is not None

    def test_relaying(self, detached: Callable[[], Any]) -> None:
        """Where spans do not join, OpenTelemetry's context is not ours."""
        meshtrace.configure(own_spans="relay")
        span = reported(own_span())
        with meshtrace.use(CAME), trace.use_span(span), detached():
            assert span is trace.get_current_span()

    def test_outside_any_request(self, detached: Callable[[], Any]) -> None:
        """There is nothing to come out of: a span of the application's stays."""
        span = reported(own_span())
        with trace.use_span(span), detached():
            assert span is trace.get_current_span()


class TestUse:
    """Code that runs for a request that no middleware saw, or that one no longer sees."""

    def test_a_span_made_by_hand(self, exported: Exported) -> None:
        """It is the child of Envoy's span."""
        with meshtrace.use(CAME), exported.tracer.start_as_current_span("own"):
            pass
        assert int(SPAN, 16) == getattr(exported.named("own").parent, "span_id", None)

    def test_where_a_server_instrumentation_is_loaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server instrumentation has nothing to do with it."""
        monkeypatch.setitem(sys.modules, slot.SERVER_INSTRUMENTATIONS[0], sys)
        with meshtrace.use(CAME):
            assert (TRACE, SPAN) == _ids()

    def test_a_local_span(self) -> None:
        """A local span stays."""
        span = reported(own_span())
        with trace.use_span(span), meshtrace.use(CAME):
            assert span is trace.get_current_span()

    def test_ddtrace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The context of ddtrace is left alone."""
        monkeypatch.setenv("DD_TRACE_OTEL_ENABLED", "1")
        with meshtrace.use(CAME):
            assert not _current().is_valid

    def test_one_in_another(self) -> None:
        """Each has its own, and each is undone."""
        found = []
        with meshtrace.use(CAME):
            with meshtrace.use({"b3": f"{OTHER}-{PARENT}-1"}):
                found.append(_ids())
            found.append(_ids())
        assert [(OTHER, PARENT), (TRACE, SPAN)] == found

    def test_the_same_in_several_threads(self) -> None:
        """The same block may be entered by several threads at once."""
        block = meshtrace.use(CAME)
        entered = [threading.Event(), threading.Event()]
        inside, outside = [], []

        def run(number: int) -> None:
            with block:
                entered[number].set()
                entered[1 - number].wait(10)
                inside.append(_ids())
            outside.append(_current().is_valid)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [(TRACE, SPAN)] * 2 == inside
        assert [False] * 2 == outside

    def test_left_in_the_order_of_entering(self) -> None:
        """In two contexts that are left in the order in which they were entered, too."""
        block = meshtrace.use(CAME)
        contexts = [copy_context() for _ in range(2)]
        for one in contexts:
            one.run(block.__enter__)
        for one in contexts:
            one.run(block.__exit__, None, None, None)
        assert [False] * 2 == [one.run(_current).is_valid for one in contexts]

    def test_closed_elsewhere(self) -> None:
        """A generator that is closed in another context touches nothing there."""

        def steps() -> Iterator[None]:
            with meshtrace.use(CAME):
                yield

        generator: Any = steps()
        copy_context().run(next, generator)
        span = reported(own_span())
        with trace.use_span(span):
            generator.close()
            assert span is trace.get_current_span()

    def test_a_fault(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A fault of ours is said, and the code runs for the request."""
        monkeypatch.delattr(slot, "remote_parent")
        with meshtrace.use(CAME):
            assert TRACE == meshtrace.current().trace_id
            assert not _current().is_valid
        assert 1 == len([line for line in caplog.messages if "a fault while" in line])

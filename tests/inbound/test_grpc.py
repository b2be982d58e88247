"""The interceptors, in servers of gRPC of both kinds, with handlers of every kind."""

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

import meshtrace
from meshtrace.arrival import Arrivals
from meshtrace.inbound import grpc as room
from meshtrace.relay.rules import YieldingRules
from tests.inbound.grpc_server import (
    KINDS,
    AioServing,
    Own,
    Serving,
    SyncHandlersOfAio,
    SyncServing,
    at_hand,
    call,
    call_by,
)

BURST = int(os.environ.get("BURST", "320"))
"""How many calls are made in a burst."""

AT_ONCE = 32
TIMEOUT = 30

CAME = {
    "x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e",
    "traceparent": "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01",
    "tracestate": "mesh=1",
}
OTHER = {"x-request-id": "other", "b3": "0"}
REQUEST_ID = ("x-request-id", CAME["x-request-id"])
ECHO = "x-request-id"

ANSWERS = {
    "unary_unary": [b"ab"],
    "unary_stream": [b"ab", b"ab"],
    "stream_unary": [b"ab"],
    "stream_stream": [b"a", b"b"],
}
STEPS = {"unary_unary": 1, "unary_stream": 2, "stream_unary": 2, "stream_stream": 2}

Serve = Any
"""A class of servers."""


@pytest.fixture(
    params=[
        pytest.param(SyncServing, id="grpc"),
        pytest.param(AioServing, id="grpc.aio"),
        pytest.param(SyncHandlersOfAio, id="grpc.aio with handlers for threads"),
    ]
)
def server(request: pytest.FixtureRequest) -> Serve:
    """Give a class of servers."""
    return request.param


@pytest.fixture
def serving(server: Serve) -> Iterator[Serving]:
    """Give a server with our interceptor."""
    with server.serve([server.interceptor()]) as serving:
        yield serving


def _until(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return True


# While a call is served


@pytest.mark.parametrize("echoed", ["", ECHO], ids=["nothing echoed", "with an echo"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_came_is_at_hand(kind: str, echoed: str, server: Serve) -> None:
    """At each step of a handler of each kind the fields that came are at hand, byte for byte."""
    with server.serve([server.interceptor(response_header=echoed)]) as serving:
        assert ANSWERS[kind] == serving.call(kind, CAME)
    assert [CAME] * STEPS[kind] == serving.handlers.seen


@pytest.mark.parametrize("kind", KINDS)
def test_one_after_another(kind: str, serving: Serving) -> None:
    """On one thread, a call without fields after one with some has nothing, and leaves nothing."""
    for brought in (CAME, {}, OTHER, {}):
        serving.call(kind, brought)
    expected: list[Mapping[str, str]] = [CAME, {}, OTHER, {}]
    assert [one for one in expected for _ in range(STEPS[kind])] == serving.handlers.seen
    assert {} == serving.pool.submit(at_hand).result(TIMEOUT)


def test_a_server_started_in_a_request(server: Serve) -> None:
    """Calls have nothing of the request in which the server was started."""
    with meshtrace.use(OTHER), server.serve([server.interceptor()]) as serving:
        serving.call("unary_unary", CAME)
        serving.call("unary_unary")
    assert [CAME, {}] == serving.handlers.seen


@pytest.mark.parametrize("kind", KINDS)
def test_calls_at_once_do_not_mix(kind: str, server: Serve) -> None:
    """Calls that are served at the same time each have their own."""
    numbers = [f"{number:08}" for number in range(BURST // len(KINDS))]
    with (
        server.serve([server.interceptor()], threads=AT_ONCE) as serving,
        grpc.insecure_channel(f"127.0.0.1:{serving.port}") as channel,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def one(number: str) -> None:
            call_by(channel, kind, [("x-request-id", number)])

        for _ in pool.map(one, numbers):
            pass
    seen = sorted(seen["x-request-id"] for seen in serving.handlers.seen)
    assert sorted(numbers * STEPS[kind]) == seen


def test_values_in_bytes(serving: Serving) -> None:
    """Metadata in bytes are none of ours."""
    meshtrace.configure(forward="x-route-*")
    metadata: list[tuple[str, str | bytes]] = [*CAME.items()]
    metadata += [("x-route-bin", b"\xff"), ("x-route-to", "blue")]
    call(serving.port, "unary_unary", metadata)
    assert [{**CAME, "x-route-to": "blue"}] == serving.handlers.seen


def test_the_context_of_a_call(server: Serve) -> None:
    """`use` takes the metadata that the context of a call has."""
    used = []

    def own(request: bytes, context: Own) -> bytes:
        with meshtrace.detached(), meshtrace.use(context.invocation_metadata()):
            used.append(at_hand())
        return request

    with server.serve([]) as serving:
        serving.handlers.own["own"] = own
        serving.call("own", CAME)
    assert [CAME] == used


# When it ends


def test_user_data_ends_with_its_call(server: Serve) -> None:
    """What runs on after a call keeps the ids and the vendor data; user data has ended."""
    go_on, noted = threading.Event(), threading.Event()
    seen = []

    def work() -> None:
        for _ in range(2):
            assert go_on.wait(TIMEOUT)
            go_on.clear()
            seen.append(at_hand())
            noted.set()

    def own(request: bytes, _: Own) -> bytes:
        meshtrace.set_header("end-user", "jason")
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,)).start()
        go_on.set()
        assert noted.wait(TIMEOUT)
        return request

    with server.serve([server.interceptor()]) as serving:
        serving.handlers.own["own"] = own
        serving.call("own", CAME)
    noted.clear()
    go_on.set()
    assert noted.wait(TIMEOUT)
    assert [{**CAME, "end-user": "jason"}, CAME] == seen


def test_a_call_that_had_ended(errors_logged: object) -> None:
    """A call that has ended before its handler begins has ended."""
    ended = []

    class Context(grpc.ServicerContext):
        """The context of a call that has ended."""

        def add_callback(self, _: Own) -> bool:
            """Take no callback."""
            return False

    Context.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]  # a class of abc has it

    def own(_: bytes, __: Own) -> None:
        meshtrace.set_header("end-user", "jason")
        ended.append(at_hand())

    def serve() -> None:
        details = _Details("/own", tuple(CAME.items()))
        handler = room.interceptor().intercept_service(
            lambda _: grpc.unary_unary_rpc_method_handler(own), details
        )
        handler.unary_unary(b"", Context())

    contextvars.Context().run(serve)
    assert [CAME] == ended
    assert [] == errors_logged


class _Details(grpc.HandlerCallDetails):
    def __init__(self, method: str, invocation_metadata: Own) -> None:
        self.method = method
        self.invocation_metadata = invocation_metadata


def test_no_client(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    """When a call that brought ids has ended, and no client is ready, one warning says so."""
    caplog.set_level("INFO")
    serving.handlers.own["own"] = lambda request, _: request
    for _ in range(2):
        serving.call("own", CAME)
    _until(lambda: "no HTTP client is wrapped or patched" in caplog.text)
    assert 1 == caplog.text.count("no HTTP client is wrapped or patched")
    assert 1 == caplog.text.count("meshtrace is on")


# Nothing else is changed


def _failures(server: Serve, echoed: str, name: str, own: Callable[..., Own]) -> list[object]:
    """Give how a call of a handler fails without ours, and how it fails with it."""
    failures: list[object] = []
    for interceptors in ([], [server.interceptor(response_header=echoed)]):
        with server.serve(interceptors) as serving:
            serving.handlers.own[name] = own
            with pytest.raises(grpc.RpcError) as raised:
                serving.call(name, CAME)
        failures.append((raised.value.code(), raised.value.details()))
    return failures


@pytest.mark.parametrize("echoed", ["", ECHO], ids=["nothing echoed", "with an echo"])
@pytest.mark.parametrize("way", ["raises", "aborts", "sets a code"])
def test_a_handler_that_fails(
    way: str, echoed: str, server: Serve, errors_logged: list[object]
) -> None:
    """What a handler raises, and how it aborts, comes out as it does without meshtrace."""

    def own(_: bytes, context: Own) -> Own:
        if way == "raises":
            raise LookupError("no such book")
        if way == "sets a code":
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details("no such book")
            return b""
        return context.abort(grpc.StatusCode.NOT_FOUND, "no such book")

    without, with_ours = _failures(server, echoed, "own", own)
    assert without == with_ours
    assert "no such book" in str(with_ours)
    errors_logged.clear()


@pytest.mark.parametrize("echoed", ["", ECHO], ids=["nothing echoed", "with an echo"])
@pytest.mark.parametrize("responses", [0, 1], ids=["at once", "behind a response"])
def test_a_stream_that_fails(responses: int, echoed: str, errors_logged: list[object]) -> None:
    """The same goes for a handler that streams; gRPC's own words tell where it failed."""

    def own(request: bytes, _: Own) -> Iterator[bytes]:
        if not responses:
            raise LookupError("no such book")
        return (request if number < responses else missing[0] for number in range(2))

    async def own_aio(request: bytes, context: Own) -> Own:
        for _ in range(responses):
            yield request
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such book")

    missing: list[bytes] = []
    for server, handler in ((SyncServing, own), (AioServing, own_aio)):
        without, with_ours = _failures(server, echoed, "unary_stream", handler)
        assert without == with_ours
    errors_logged.clear()


def test_an_unknown_method(serving: Serving) -> None:
    """A method that is not there is gRPC's own error."""
    with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
        serving.call("missing", CAME)
    assert ANSWERS["unary_unary"] == serving.call("unary_unary", CAME)


@pytest.mark.parametrize("echoed", ["", ECHO], ids=["nothing echoed", "with an echo"])
@pytest.mark.parametrize("server", [SyncServing, AioServing], ids=["grpc", "grpc.aio"])
def test_a_cancelled_stream(echoed: str, server: Serve) -> None:
    """A stream that the client cancels ends, in the context of its call."""
    closed = threading.Event()
    seen = []

    def endless(request: bytes, _: Own) -> Iterator[bytes]:
        try:
            while True:
                yield request
        finally:
            seen.append(at_hand())
            closed.set()

    async def endless_aio(request: bytes, _: Own) -> Own:
        try:
            while True:
                yield request
                await asyncio.sleep(0)
        finally:
            seen.append(at_hand())
            closed.set()

    own = endless_aio if server is AioServing else endless
    with server.serve([server.interceptor(response_header=echoed)]) as serving:
        serving.handlers.own["unary_stream"] = own
        channel: Own = grpc.insecure_channel(f"127.0.0.1:{serving.port}")
        with channel:
            stream = channel.unary_stream("/server/unary_stream")(b"", metadata=[*CAME.items()])
            next(stream)
            stream.cancel()
            assert closed.wait(TIMEOUT)
    assert [CAME] == seen


def test_a_handler_that_does_not_block() -> None:
    """A handler that sends its responses by gRPC's callback has the context, and is left so."""
    seen = []

    def own(request: bytes, _: Own, send: Callable[[bytes | None], None]) -> None:
        seen.append(at_hand())
        send(request)
        send(None)

    own.experimental_non_blocking = True  # type: ignore[attr-defined]  # what gRPC looks for
    with SyncServing.serve([room.interceptor(response_header=ECHO)]) as serving:
        serving.handlers.own["unary_stream"] = own
        assert [b"ab"] == serving.call("unary_stream", CAME)
    assert [CAME] == seen


def test_responses_of_no_generator(server: Serve) -> None:
    """A handler may give any iterable of responses."""
    if server is AioServing:
        server = SyncHandlersOfAio
    with server.serve([server.interceptor()]) as serving:
        serving.handlers.own["unary_stream"] = lambda request, _: iter([request, b"c"])
        assert [b"ab", b"c"] == serving.call("unary_stream", CAME)


# Other interceptors


def _another(server: Serve, intercept: Callable[[], None]) -> Own:
    class Sync(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
        """Does something, and calls on."""

        def intercept_service(self, continuation: Own, handler_call_details: Own) -> Own:
            intercept()
            return continuation(handler_call_details)

    class Aio(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
        """Does the same."""

        async def intercept_service(self, continuation: Own, handler_call_details: Own) -> Own:
            intercept()
            return await continuation(handler_call_details)

    return Sync() if server is SyncServing else Aio()


def test_interceptors_behind_ours(server: Serve) -> None:
    """Interceptors behind ours have the context, and what they set is there in the handler."""
    seen = []

    def set_user() -> None:
        seen.append(at_hand())
        meshtrace.set_header("end-user", "jason")

    with server.serve([server.interceptor(), _another(server, set_user)]) as serving:
        serving.call("unary_unary", CAME)
    assert [CAME] == seen
    assert [{**CAME, "end-user": "jason"}] == serving.handlers.seen


@pytest.mark.parametrize("kind", KINDS)
def test_two_of_ours(kind: str, server: Serve) -> None:
    """Of two of ours the outer one counts, and what was set between them stays."""
    interceptors = [
        server.interceptor(),
        _another(server, lambda: meshtrace.set_header("end-user", "jason")),
        server.interceptor(incoming="ignore"),
    ]
    with server.serve(interceptors) as serving:
        assert ANSWERS[kind] == serving.call(kind, CAME)
    assert [{**CAME, "end-user": "jason"}] * STEPS[kind] == serving.handlers.seen


def test_an_outer_one_that_nobody_wrote(server: Serve) -> None:
    """One of ours that stands in no code yields to an inner one that was given options."""
    outer = type(server.interceptor())(Arrivals(None, {}, YieldingRules))
    with server.serve([outer, server.interceptor(incoming="ids")]) as serving:
        serving.call("unary_unary", CAME)
    ids = {name: value for name, value in CAME.items() if name != "tracestate"}
    assert [ids] == serving.handlers.seen


# Settings


def test_settings(server: Serve) -> None:
    """Options are those of every middleware."""
    with server.serve([server.interceptor(incoming="ignore")]) as serving:
        serving.call("unary_unary", CAME)
    assert [{}] == serving.handlers.seen
    with pytest.raises(meshtrace.ConfigurationError, match="incoming"):
        server.interceptor(incoming="all")


def test_disabled(server: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """``MESHTRACE_DISABLED`` beats code: the interceptor does nothing, and none is added."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    before = grpc.server, grpc.aio.server
    room.patch_servers()
    assert before == (grpc.server, grpc.aio.server)
    with server.serve([server.interceptor()]) as serving:
        monkeypatch.delenv("MESHTRACE_DISABLED")
        serving.call("unary_unary", CAME)
    assert [{}] == serving.handlers.seen


def test_an_old_version(
    server: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With an unsupported version servers work as without meshtrace; one warning says which are."""
    monkeypatch.setattr(grpc, "__version__", "1.59.5")
    before = grpc.server, grpc.aio.server
    room.patch_servers()
    assert before == (grpc.server, grpc.aio.server)
    with server.serve([server.interceptor()]) as serving:
        assert ANSWERS["unary_unary"] == serving.call("unary_unary", CAME)
    assert [{}] == serving.handlers.seen
    assert 1 == caplog.text.count("Supported: grpcio>=1.60")


def test_headers_that_cannot_be_read(
    server: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where meshtrace fails, the call is served without its fields, and one warning says so."""
    monkeypatch.setattr(room, "from_carrier", lambda *_: 1 / 0)
    with server.serve([server.interceptor()]) as serving:
        for _ in range(2):
            assert ANSWERS["unary_unary"] == serving.call("unary_unary", CAME)
    assert [{}, {}] == serving.handlers.seen
    assert 1 == caplog.text.count("a fault while reading the headers of a request")


def test_a_strange_handler(caplog: pytest.LogCaptureFixture) -> None:
    """What is no handler is given back as it is, for gRPC to say so."""
    strange = object()
    details = _Details("/own", None)
    given = contextvars.Context().run(
        room.interceptor().intercept_service, lambda _: strange, details
    )
    assert strange is given
    assert "a fault while looking at a handler of grpc" in caplog.text


# Servers that others make


@pytest.fixture
def _patched_servers() -> Iterator[None]:
    room.patch_servers()
    yield
    room.unpatch_servers()


@pytest.mark.usefixtures("_patched_servers")
def test_patched_servers(server: Serve) -> None:
    """`patch_servers` gives each server the interceptor, as its first."""
    seen = []
    for interceptors in ([], [_another(server, lambda: seen.append(at_hand()))]):
        with server.serve(interceptors) as serving:
            serving.call("unary_unary", CAME)
        assert [CAME] == serving.handlers.seen
    assert [CAME] == seen


@pytest.mark.usefixtures("_patched_servers")
def test_patched_servers_with_an_iterator(server: Serve) -> None:
    """Interceptors that can be read only once are all there, with one of ours and without."""
    seen = []
    another = _another(server, lambda: seen.append(at_hand()))
    for interceptors in ([another], [server.interceptor(), another]):
        with server.serve(iter(interceptors)) as serving:
            serving.call("unary_unary", CAME)
    assert [CAME, CAME] == seen


@pytest.mark.usefixtures("_patched_servers")
def test_patched_servers_with_one(server: Serve) -> None:
    """A server that has one of ours is left as it is."""
    with server.serve([server.interceptor(incoming="ignore")]) as serving:
        serving.call("unary_unary", CAME)
    assert [{}] == serving.handlers.seen


@pytest.mark.usefixtures("_patched_servers")
def test_patched_servers_with_wrong_arguments() -> None:
    """Of wrong arguments gRPC tells by itself."""
    with pytest.raises(TypeError):
        grpc.server()  # type: ignore[call-arg]
    with ThreadPoolExecutor() as pool, pytest.raises(TypeError, match="iterable"):
        grpc.server(pool, interceptors=5)  # type: ignore[arg-type]


def test_servers_that_are_not_patched_any_longer(server: Serve) -> None:
    """`unpatch_servers` gives gRPC's own functions back."""
    before = grpc.server, grpc.aio.server
    room.patch_servers()
    assert before != (grpc.server, grpc.aio.server)
    room.unpatch_servers()
    assert before == (grpc.server, grpc.aio.server)
    with server.serve([]) as serving:
        serving.call("unary_unary", CAME)
    assert [{}] == serving.handlers.seen

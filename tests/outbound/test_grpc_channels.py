"""What a channel of gRPC does with meshtrace, it does without: verbs, errors, futures, waiting."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import meshtrace
from meshtrace.outbound.grpc import aio_interceptors, channels
from tests.outbound.grpc_recorder import KINDS, AioClient, Own, Recorder, SyncClient, recording
from tests.outbound.recording import IDS, W3C

OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
SLOW = "/recorder/slow"
TIMEOUT = 30


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the path of a socket, a short one."""
    return tmp_path_factory.mktemp("s") / "s"


@pytest.fixture(scope="module")
def _recorder(socket_path: Path) -> Iterator[Recorder]:
    with recording(f"unix:{socket_path}") as recorder:
        yield recorder


@pytest.fixture
def recorder(_recorder: Recorder) -> Iterator[Recorder]:
    """Give a server of gRPC that has received nothing yet."""
    _recorder.received.clear()
    _recorder.go_on.clear()
    yield _recorder
    _recorder.go_on.set()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Give a loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def channel(recorder: Recorder) -> Iterator[grpc.Channel]:
    """Give a wrapped channel."""
    with meshtrace.wrap(grpc.insecure_channel(recorder.target)) as channel:
        yield channel


@pytest.fixture
def aio_client(runner: asyncio.Runner, recorder: Recorder) -> Iterator[AioClient]:
    """Give a client with a channel of patched grpc.aio."""
    meshtrace.patch("grpc")
    client = AioClient(runner, lambda: grpc.aio.insecure_channel(recorder.target))
    yield client
    client.close()


class _Setting(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]  # generic in the stubs only
    grpc.aio.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
):
    """An interceptor of the application's, for both kinds of channels, that sets metadata."""

    def intercept_unary_unary(
        self,
        continuation: Own,
        client_call_details: Own,
        request: Own,
    ) -> Own:
        kind = type(client_call_details)
        own = ("traceparent", OWN_PARENT)
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()), own)
        details = kind(**{**client_call_details._asdict(), "metadata": metadata})
        return continuation(details, request)


class _SettingAio(_Setting):
    async def intercept_unary_unary(self, *call: Own) -> Own:  # type: ignore[override]  # grpc.aio's
        return await super().intercept_unary_unary(*call)


# Whose metadata count


def test_interceptors_around_a_wrapped_channel(recorder: Recorder, channel: Own) -> None:
    """What an interceptor around a wrapped channel sets wins, as what the caller sets does."""
    with meshtrace.use(W3C):
        SyncClient(grpc.intercept_channel(channel, _Setting())).call("unary_unary")
    assert [{"traceparent": OWN_PARENT}] == recorder.relayed


def test_interceptors_of_a_patched_channel(recorder: Recorder) -> None:
    """The same goes for a channel that patched gRPC has made."""
    meshtrace.patch("grpc")
    with (
        grpc.insecure_channel(recorder.target) as channel,
        meshtrace.use(W3C),
    ):
        SyncClient(grpc.intercept_channel(channel, _Setting())).call("unary_unary")
    assert [{"traceparent": OWN_PARENT}] == recorder.relayed


@pytest.mark.parametrize("way", ["with ours behind it", "patched"])
def test_interceptors_of_an_aio_channel(
    way: str,
    recorder: Recorder,
    runner: asyncio.Runner,
) -> None:
    """What an interceptor of a channel of grpc.aio sets wins; calls that it does not see relay."""
    interceptors: list[Own] = [_SettingAio()]
    if way == "with ours behind it":
        interceptors += aio_interceptors(recorder.target)
    else:
        meshtrace.patch("grpc")
    client = AioClient(
        runner, lambda: grpc.aio.insecure_channel(recorder.target, interceptors=interceptors)
    )
    with meshtrace.use(W3C):
        for kind in KINDS:
            client.call(kind)
    client.close()
    assert [{"traceparent": OWN_PARENT}, W3C, W3C, W3C] == recorder.relayed


def test_a_channel_wrapped_around_interceptors(recorder: Recorder) -> None:
    """The target of a channel with interceptors is known, too."""
    plain = grpc.insecure_channel(recorder.target)
    intercepted = grpc.intercept_channel(plain, _Setting())
    with meshtrace.wrap(intercepted) as channel, meshtrace.use(W3C):
        SyncClient(channel).call("stream_stream")
    assert [W3C] == recorder.relayed


# Once is enough


def test_wrapped_twice(recorder: Recorder, channel: Own) -> None:
    """Wrapping twice is wrapping once, with the later settings, also for methods made before."""
    method = channel.unary_unary("/recorder/unary_unary")
    assert channel is meshtrace.wrap(channel, deny_hosts="127.0.0.1")
    with meshtrace.use(IDS):
        method(b"")
        assert channel is meshtrace.wrap(channel, on_conflict="replace")
        method(b"", metadata=[("traceparent", OWN_PARENT)])
    assert [{}, IDS] == recorder.relayed


def test_wrapped_and_patched(recorder: Recorder) -> None:
    """A channel of patched gRPC that is wrapped relays once, by its own settings, for good."""
    meshtrace.patch("grpc")
    channel = grpc.insecure_channel(recorder.target)
    assert channel is meshtrace.wrap(channel, on_conflict="replace")
    around = meshtrace.wrap(grpc.intercept_channel(channel, _Setting()))
    meshtrace.unpatch("grpc")
    with around, meshtrace.use(IDS):
        SyncClient(around).call("unary_unary")
        SyncClient(around).call("unary_stream")
    assert [IDS, IDS] == recorder.relayed


def test_unpatched(runner: asyncio.Runner, recorder: Recorder) -> None:
    """After `unpatch` a channel that patched gRPC has made relays no more, until it is patched."""
    before = grpc.insecure_channel, grpc.aio.secure_channel
    meshtrace.patch("grpc")
    meshtrace.patch("grpc")
    sync = SyncClient(grpc.insecure_channel(recorder.target))
    aio = AioClient(runner, lambda: grpc.aio.insecure_channel(recorder.target))
    meshtrace.unpatch("grpc")
    assert before == (grpc.insecure_channel, grpc.aio.secure_channel)
    with meshtrace.use(IDS):
        for client in (sync, aio):
            client.call("unary_unary")
        meshtrace.patch("grpc")
        for client in (sync, aio):
            client.call("unary_unary")
            client.close()
    assert [{}, {}, IDS, IDS] == recorder.relayed


def test_others_that_replace_the_same(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody has wrapped ``insecure_channel`` since, ours stays inside and does nothing."""
    meshtrace.patch("grpc")
    ours = grpc.insecure_channel

    @functools.wraps(ours)
    def theirs(*args: Own, **kwargs: Own) -> grpc.Channel:
        return ours(*args, **kwargs)

    monkeypatch.setattr(grpc, "insecure_channel", theirs)
    meshtrace.unpatch("grpc")
    with theirs(recorder.target) as plain, meshtrace.use(IDS):
        SyncClient(plain).call("unary_unary")
    meshtrace.patch("grpc")
    with theirs(recorder.target) as relaying, meshtrace.use(IDS):
        SyncClient(relaying).call("unary_unary")
    assert [{}, IDS] == recorder.relayed
    monkeypatch.undo()


@pytest.mark.parametrize("way", ["wrapped", "patched", "with our interceptors"])
def test_disabled(
    way: str, runner: asyncio.Runner, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``MESHTRACE_DISABLED`` beats code: the channel is as gRPC made it."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    if way == "patched":
        meshtrace.patch("grpc")
    plain = grpc.insecure_channel(recorder.target)
    channel = meshtrace.wrap(plain) if way == "wrapped" else plain
    assert channel is plain
    assert [] == aio_interceptors(recorder.target)
    aio = AioClient(runner, lambda: grpc.aio.insecure_channel(recorder.target))
    monkeypatch.delenv("MESHTRACE_DISABLED")
    with channel, meshtrace.use(IDS):
        SyncClient(channel).call("unary_unary")
        aio.call("unary_unary")
    aio.close()
    assert [{}, {}] == recorder.relayed


# What cannot be done is explained


def test_an_aio_channel_cannot_be_wrapped(runner: asyncio.Runner) -> None:
    """Wrapping a channel of grpc.aio is a TypeError that names the interceptors and `patch`."""

    async def wrap() -> None:
        async with grpc.aio.insecure_channel("reviews:9080") as channel:
            meshtrace.wrap(channel)

    with pytest.raises(TypeError, match=r"interceptors=.*aio_interceptors.*patch"):
        runner.run(wrap())


def test_an_aio_channel_of_patched_grpc_can(aio_client: AioClient, recorder: Recorder) -> None:
    """One that patched gRPC has made takes settings of its own."""
    assert aio_client.channel is meshtrace.wrap(aio_client.channel, deny_hosts="127.0.0.1")
    with meshtrace.use(IDS):
        aio_client.call("unary_unary")
    assert [{}] == recorder.relayed


def test_wrong_options() -> None:
    """A wrong option raises where it is given."""
    with pytest.raises(meshtrace.ConfigurationError, match="incoming"):
        aio_interceptors("reviews:9080", incoming="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["wrap", "patch", "interceptors"])
def test_an_old_version(
    verb: str,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unsupported version works as without meshtrace, and one warning says which are."""
    monkeypatch.setattr(grpc, "__version__", "1.59.5")
    channel = grpc.insecure_channel(recorder.target)
    for _ in range(2):
        if verb == "wrap":
            assert channel is meshtrace.wrap(channel)
        elif verb == "patch":
            meshtrace.patch("grpc")
            assert "insecure_channel" == grpc.insecure_channel.__code__.co_name
        else:
            assert [] == aio_interceptors(recorder.target)
    channel.close()
    assert ["Supported: grpcio>=1.60"] == [
        record.getMessage().partition(". ")[2] for record in caplog.records
    ]


# A target that is not known


class _Unknown(grpc.Channel):
    """A channel of the application's own, which has more than gRPC's, and does not tell all."""

    own = "ways"

    def __init__(self, channel: Own) -> None:
        self._real = channel

    def unary_unary(self, *args: Own, **kwargs: Own) -> Own:
        """Do as the real one does, and more."""
        method: Own = self._real.unary_unary(*args, **kwargs)
        method.own = "way"
        return method

    unary_stream = stream_unary = stream_stream = unary_unary
    subscribe = unsubscribe = close = __enter__ = __exit__ = unary_unary


@pytest.fixture
def unknown(recorder: Recorder) -> Iterator[_Unknown]:
    """Give a channel whose target is not known."""
    with grpc.insecure_channel(recorder.target) as channel:
        yield _Unknown(channel)


def test_an_unknown_target(unknown: _Unknown, recorder: Recorder) -> None:
    """Where the target is not known, the other end is one outside the mesh."""
    channel: Own = meshtrace.wrap(unknown)
    assert ("ways", "way") == (channel.own, channel.unary_unary("/recorder/unary_unary").own)
    with meshtrace.use({**IDS, **W3C}):
        SyncClient(channel).call("unary_unary")
    assert [IDS] == recorder.relayed


def test_an_unknown_target_while_some_are_denied(unknown: _Unknown, recorder: Recorder) -> None:
    """Where the target is not known, and hosts are denied, it may be one of them."""
    channel = meshtrace.wrap(unknown, deny_hosts="shop.example")
    with meshtrace.use(IDS):
        SyncClient(channel).call("unary_unary")
    assert [{}] == recorder.relayed


def test_interceptors_that_are_not_told_the_target(
    runner: asyncio.Runner, recorder: Recorder
) -> None:
    """Interceptors that were not told where they lead send the ids only."""
    client = AioClient(
        runner, lambda: grpc.aio.insecure_channel(recorder.target, interceptors=aio_interceptors())
    )
    with meshtrace.use({**IDS, **W3C}):
        client.call("unary_unary")
    client.close()
    assert [IDS] == recorder.relayed


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param("reviews:9080", W3C, id="of the mesh"),
        pytest.param(b"reviews:9080", W3C, id="in bytes"),
        pytest.param("shop.example", {"traceparent": W3C["traceparent"]}, id="outside the mesh"),
    ],
)
def test_an_authority_of_its_own(
    authority: str, expected: dict[str, str], recorder: Recorder, runner: asyncio.Runner
) -> None:
    """The name under which the other end is called is judged, too."""
    meshtrace.patch("grpc")
    options = [("grpc.default_authority", authority)]
    sync = SyncClient(grpc.insecure_channel(recorder.target, options))
    aio = AioClient(runner, lambda: grpc.aio.insecure_channel(recorder.target, options))
    with meshtrace.use(W3C):
        for client in (sync, aio):
            client.call("unary_unary")
            client.close()
    assert [expected, expected] == recorder.relayed


def test_interceptors_that_are_told_the_authority(
    recorder: Recorder, runner: asyncio.Runner
) -> None:
    """Interceptors judge by the authority that they were told."""
    ours = aio_interceptors(recorder.target, authority="shop.example")
    client = AioClient(
        runner, lambda: grpc.aio.insecure_channel(recorder.target, interceptors=ours)
    )
    with meshtrace.use({**IDS, **W3C}):
        client.call("unary_unary")
    client.close()
    assert [IDS] == recorder.relayed


def test_a_socket(socket_path: Path, recorder: Recorder) -> None:
    """What is behind a socket of this machine is of the mesh."""
    channel = meshtrace.wrap(grpc.insecure_channel(f"unix:{socket_path}"))
    with channel, meshtrace.use(W3C):
        SyncClient(channel).call("unary_unary")
    assert [W3C] == recorder.relayed


# Nothing else is changed


KINDS_OF_METHODS = {
    "unary_unary": (grpc.UnaryUnaryMultiCallable, grpc.aio.UnaryUnaryMultiCallable),
    "unary_stream": (grpc.UnaryStreamMultiCallable, grpc.aio.UnaryStreamMultiCallable),
    "stream_unary": (grpc.StreamUnaryMultiCallable, grpc.aio.StreamUnaryMultiCallable),
    "stream_stream": (grpc.StreamStreamMultiCallable, grpc.aio.StreamStreamMultiCallable),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_of_methods(kind: str, channel: Own, aio_client: AioClient) -> None:
    """A method is an instance of gRPC's class for its kind, and has no more than that."""
    sync, aio = KINDS_OF_METHODS[kind]
    method = getattr(channel, kind)(f"/recorder/{kind}")
    assert isinstance(method, sync)
    assert kind.endswith("unary") is hasattr(method, "with_call")
    assert isinstance(getattr(aio_client.channel, kind)(f"/recorder/{kind}"), aio)


def test_serializers_and_what_generated_code_gives(channel: Own, recorder: Recorder) -> None:
    """Arguments of a method go through as they are, by place or by name."""
    # Code that is generated for one version of gRPC says more than for another.
    known = inspect.signature(grpc.Channel.unary_unary).parameters
    generated: dict[str, Own] = {name: True for name in ("_registered_method",) if name in known}
    method = channel.unary_unary(
        "/recorder/unary_unary",
        request_serializer=str.encode,
        response_deserializer=bytes.decode,
        **generated,
    )
    with meshtrace.use(IDS):
        assert "ab" == method("ab", TIMEOUT, [("x-own", "1")], None, None)
        assert "ab" == method("ab", TIMEOUT, wait_for_ready=True, compression=grpc.Compression.Gzip)
    assert {**IDS, "x-own": "1"} == recorder.relayed[0]
    assert IDS.items() <= recorder.relayed[1].items()


@pytest.mark.parametrize("kind", ["unary_unary", "stream_unary"])
def test_a_call_and_a_future(kind: str, channel: Own, recorder: Recorder) -> None:
    """``with_call`` and ``future`` give gRPC's own objects, and the calls carry the fields."""
    done = threading.Event()

    def both(channel: Own) -> tuple[Any, Any]:
        method = getattr(channel, kind)(f"/recorder/{kind}")
        requests = [b"ab" if kind == "unary_unary" else iter([b"ab"]) for _ in range(2)]
        response, call = method.with_call(requests[0], timeout=TIMEOUT)
        assert (b"ab", grpc.StatusCode.OK) == (response, call.code())
        future = method.future(requests[1], timeout=TIMEOUT)
        future.add_done_callback(lambda _: done.set())
        assert b"ab" == future.result(TIMEOUT)
        assert done.wait(TIMEOUT)
        done.clear()
        return type(call), type(future)

    with grpc.insecure_channel(recorder.target) as plain, meshtrace.use(IDS):
        assert both(plain) == both(channel)
    assert [{}, {}, IDS, IDS] == recorder.relayed


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_fails(kind: str, channel: Own, recorder: Recorder) -> None:
    """An error of the other end comes out as gRPC's own, with its code and its words."""
    recorder.failures[:] = [grpc.StatusCode.NOT_FOUND]
    with meshtrace.use(IDS), pytest.raises(grpc.RpcError) as raised:
        SyncClient(channel).call(kind)
    assert (grpc.StatusCode.NOT_FOUND, "as it was told") == (
        raised.value.code(),
        raised.value.details(),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_aio_call_that_fails(kind: str, aio_client: AioClient, recorder: Recorder) -> None:
    """The same goes for grpc.aio."""
    recorder.failures[:] = [grpc.StatusCode.NOT_FOUND]
    with meshtrace.use(IDS), pytest.raises(grpc.aio.AioRpcError, match="as it was told"):
        aio_client.call(kind)


def test_a_call_that_is_late(channel: Own, aio_client: AioClient) -> None:
    """A timeout is gRPC's own."""

    async def call() -> None:
        await aio_client.channel.unary_unary(SLOW)(b"", timeout=0.05)

    with meshtrace.use(IDS):
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            channel.unary_unary(SLOW)(b"", 0.05)
        with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
            aio_client.run(call())


def test_a_call_that_is_cancelled(channel: Own, aio_client: AioClient) -> None:
    """A call that is cancelled is cancelled."""

    async def cancel() -> Own:
        call = aio_client.channel.unary_stream(SLOW)(b"", timeout=TIMEOUT)
        await call.wait_for_connection()
        assert 0 < (call.time_remaining() or 0) < TIMEOUT
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call.read()
        return call.cancelled()

    with meshtrace.use(IDS):
        future = channel.unary_unary(SLOW).future(b"", timeout=TIMEOUT)
        assert future.cancel()
        assert future.cancelled()
        assert aio_client.run(cancel())


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"x-own": "1"}, id="a dict"),
        pytest.param([("X-Own", "1")], id="capitals"),
        pytest.param([("x-own",)], id="no pairs"),
        pytest.param([("x-own", 1)], id="a number"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_wrong_metadata(metadata: Own, channel: Own, recorder: Recorder) -> None:
    """Of metadata that are wrong gRPC tells, as it does without meshtrace."""
    errors = []
    plain: Own = grpc.insecure_channel(recorder.target)
    with plain, meshtrace.use(IDS):
        for one in (plain, channel):
            with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever gRPC raises
                one.unary_unary("/recorder/unary_unary")(b"", metadata=metadata)
            errors.append(type(raised.value))
    assert errors[0] == errors[1]
    assert [] == recorder.received


def test_a_closed_channel(channel: Own, recorder: Recorder) -> None:
    """A call of a closed channel raises where it does without meshtrace: at once."""
    plain: Own = grpc.insecure_channel(recorder.target)
    for one in (plain, channel):
        method = one.unary_stream("/recorder/unary_stream")
        one.close()
        with pytest.raises(ValueError, match="closed"):
            method(b"")


def test_waiting_for_a_channel(channel: Own) -> None:
    """A channel tells when it is ready."""
    before = {*threading.enumerate()}
    states = []
    ready = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        states.append(state)
        if state is grpc.ChannelConnectivity.READY:
            ready.set()

    grpc.channel_ready_future(channel).result(TIMEOUT)
    channel.subscribe(note, try_to_connect=True)
    assert ready.wait(TIMEOUT)
    channel.unsubscribe(note)
    for thread in {*threading.enumerate()} - before:
        # Nobody may close a channel while gRPC's thread asks for its state.
        thread.join(TIMEOUT)
    assert [grpc.ChannelConnectivity.READY] == states[-1:]


def test_an_aio_channel_in_full(aio_client: AioClient, recorder: Recorder) -> None:
    """A channel of grpc.aio tells its state, reads and writes, and closes behind a block."""

    async def use() -> list[Own]:
        channel: Own
        async with grpc.aio.insecure_channel(recorder.target) as channel:
            state = channel.get_state(try_to_connect=True)
            assert grpc.ChannelConnectivity.IDLE is state
            await channel.wait_for_state_change(state)
            await channel.channel_ready()
            call = channel.stream_stream("/recorder/stream_stream")(timeout=TIMEOUT)
            answers = []
            for message in (b"a", b"b"):
                await call.write(message)
                answers.append(await call.read())
            await call.done_writing()
            assert grpc.aio.EOF is await call.read()  # type: ignore[attr-defined]  # the stubs forget it
        assert grpc.ChannelConnectivity.SHUTDOWN is channel.get_state()
        return answers

    with meshtrace.use(IDS):
        assert [b"a", b"b"] == aio_client.run(use())
    assert [IDS] == recorder.relayed


def test_a_generator_of_requests(channel: Own, recorder: Recorder) -> None:
    """Calls that a generator of requests makes, in gRPC's thread, carry the fields, too."""
    client = SyncClient(channel)

    def requests() -> Iterator[bytes]:
        yield from client.call("unary_unary")

    with meshtrace.use(IDS):
        assert b"ab" == channel.stream_unary("/recorder/stream_unary")(requests(), timeout=TIMEOUT)
    assert [IDS, IDS] == recorder.relayed


def test_wrong_arguments_of_a_channel() -> None:
    """Of wrong arguments gRPC tells by itself."""
    meshtrace.patch("grpc")
    for make in (grpc.insecure_channel, grpc.aio.insecure_channel):
        with pytest.raises(TypeError, match="target"):
            make()  # type: ignore[call-arg]


@pytest.mark.parametrize("owner", [grpc, grpc.aio], ids=["grpc", "grpc.aio"])
def test_a_mock_of_a_channel(owner: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no channel is given back as it is, whatever its arguments are called."""

    def mock(*_: object) -> str:
        return "mock"

    def named_mock(target: str) -> str:
        return target

    for fake in (mock, named_mock):
        with monkeypatch.context() as patching:
            patching.setattr(owner, "insecure_channel", fake)
            meshtrace.patch("grpc")
            assert owner.insecure_channel("mock") == "mock"
            meshtrace.unpatch("grpc")
            assert owner.insecure_channel is fake


def test_a_target_that_cannot_be_read(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """A channel is made also where its options cannot be read; its target is then not known."""
    meshtrace.patch("grpc")
    options = [("grpc.default_authority", b"\xff")]
    with grpc.insecure_channel(recorder.target, options):
        assert "a fault while reading where a channel of grpc leads" in caplog.text


def test_a_channel_that_cannot_be_wrapped(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a later gRPC asks more of a channel than ours has, the channel is gRPC's."""
    meshtrace.patch("grpc")
    monkeypatch.setattr(channels.Relaying, "__init__", lambda *_: 1 / 0)
    with grpc.insecure_channel(recorder.target) as channel, meshtrace.use(IDS):
        SyncClient(channel).call("unary_unary")
    assert [{}] == recorder.relayed
    assert "a fault while wrapping a channel of grpc" in caplog.text

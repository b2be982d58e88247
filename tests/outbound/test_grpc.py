"""What came in goes out with every call of gRPC, whichever way the channel is made."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
import grpc.aio
import pytest

import meshtrace
from meshtrace.departure import Departures
from meshtrace.outbound.grpc import aio_interceptors
from tests.outbound.grpc_recorder import (
    ANSWERS,
    KINDS,
    AioClient,
    Client,
    Own,
    Recorder,
    SyncClient,
    recording,
)
from tests.outbound.recording import ALL, B3, IDS, OTHER, W3C

BURST = int(os.environ.get("BURST", "320"))
"""How many calls each client makes in a burst."""

FORWARD = ["end-user", "baggage"]
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"

Settings = dict[str, Any]
Options = list[tuple[str, Any]] | None
Make = Callable[[asyncio.Runner, str, Options, Settings], Client]


class _Untouched(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """An interceptor of the application's, for one kind of calls, that does nothing."""

    async def intercept_unary_unary(
        self,
        continuation: Own,
        client_call_details: Own,
        request: Own,
    ) -> Own:
        return await continuation(client_call_details, request)


def _wrapped(_: asyncio.Runner, target: str, options: Options, settings: Settings) -> Client:
    return SyncClient(meshtrace.wrap(grpc.insecure_channel(target, options), **settings))


def _patched(_: asyncio.Runner, target: str, options: Options, settings: Settings) -> Client:
    meshtrace.configure(**settings)
    meshtrace.patch("grpc")
    return SyncClient(grpc.insecure_channel(target, options=options))


def _intercepted(
    runner: asyncio.Runner, target: str, options: Options, settings: Settings
) -> Client:
    authority = dict(options or ()).get("grpc.default_authority")
    ours = aio_interceptors(target, authority=authority, **settings)
    return AioClient(runner, lambda: grpc.aio.insecure_channel(target, options, interceptors=ours))


def _patched_aio(
    runner: asyncio.Runner, target: str, options: Options, settings: Settings
) -> Client:
    meshtrace.configure(**settings)
    meshtrace.patch("grpc")
    return AioClient(runner, lambda: grpc.aio.insecure_channel(target, options=options))


def _patched_beside_others(
    runner: asyncio.Runner, target: str, options: Options, settings: Settings
) -> Client:
    meshtrace.configure(**settings)
    meshtrace.patch("grpc")
    untouched: list[Any] = [_Untouched()]
    return AioClient(
        runner,
        lambda: grpc.aio.insecure_channel(target, options, interceptors=untouched),
    )


def _patched_and_intercepted(
    runner: asyncio.Runner, target: str, options: Options, settings: Settings
) -> Client:
    meshtrace.patch("grpc")
    untouched: list[Any] = [_Untouched(), *aio_interceptors(**settings)]
    return AioClient(runner, lambda: grpc.aio.insecure_channel(target, options, None, untouched))


@pytest.fixture(scope="module")
def _recorder() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def recorder(_recorder: Recorder) -> Recorder:
    """Give a server of gRPC that has received nothing yet."""
    _recorder.received.clear()
    return _recorder


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Give a loop."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(
    params=[
        pytest.param(_wrapped, id="a wrapped channel"),
        pytest.param(_patched, id="a channel of patched grpc"),
        pytest.param(_intercepted, id="a channel of grpc.aio with our interceptors"),
        pytest.param(_patched_aio, id="a channel of patched grpc.aio"),
        pytest.param(_patched_beside_others, id="one of patched grpc.aio with an interceptor"),
        pytest.param(_patched_and_intercepted, id="one of patched grpc.aio with ours, too"),
    ]
)
def make(
    request: pytest.FixtureRequest, recorder: Recorder, runner: asyncio.Runner
) -> Iterator[Callable[..., Client]]:
    """Give what makes a client that relays, by settings and channel options given here."""
    how: Make = request.param
    made = []

    def make_one(options: Options = None, target: str = "{}", **settings: Own) -> Client:
        made.append(how(runner, target.format(recorder.target), options, settings))
        return made[-1]

    yield make_one
    for client in made:
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_in_goes_out(kind: str, make: Callable[..., Client], recorder: Recorder) -> None:
    """A call of each kind carries every field of the request, byte for byte and once each."""
    client = make(forward=FORWARD)
    meshtrace.configure(forward=FORWARD)
    with meshtrace.use(ALL):
        assert ANSWERS[kind] == client.call(kind)
    assert [ALL] == recorder.relayed


@pytest.mark.parametrize("kind", KINDS)
def test_one_after_another(kind: str, make: Callable[..., Client], recorder: Recorder) -> None:
    """A channel carries each request's own fields; where none came, or outside any, nothing."""
    client = make()
    for brought in (IDS, OTHER, {}):
        with meshtrace.use(brought):
            client.call(kind)
    client.call(kind)
    assert [IDS, OTHER_IDS, {}, {}] == recorder.relayed


def test_a_burst(make: Callable[..., Client], recorder: Recorder) -> None:
    """Calls of all kinds, made for many requests at once, carry each its own request's fields."""
    brought = [
        {"x-request-id": f"{number:08}-0000-0000-0000-000000000000"} for number in range(BURST)
    ]
    make().burst(brought)
    arrived = sorted(recorder.relayed, key=lambda relayed: str(relayed["x-request-id"]))
    assert brought == arrived


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("dns:///{}", id="by DNS"),
        pytest.param("dns:{}", id="by DNS, in short"),
        pytest.param("ipv4:{}", id="by its address"),
    ],
)
def test_a_target_with_a_scheme(
    target: str, make: Callable[..., Client], recorder: Recorder
) -> None:
    """A target is judged by the host in it, in whichever spelling."""
    client = make(target=target)
    with meshtrace.use(W3C):
        client.call("unary_unary")
    assert [W3C] == recorder.relayed


def test_several_addresses(make: Callable[..., Client], recorder: Recorder) -> None:
    """A channel that may lead to any of several addresses carries what all of them may have."""
    client = make(target="ipv4:{},192.0.2.1:9080")
    with meshtrace.use({**IDS, **W3C}):
        client.call("unary_unary")
    assert [IDS] == recorder.relayed


def test_a_denied_host(make: Callable[..., Client], recorder: Recorder) -> None:
    """A denied host gets nothing."""
    client = make(deny_hosts="127.0.0.1")
    with meshtrace.use(IDS):
        client.call("unary_unary")
    assert [{}] == recorder.relayed


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(
            {"traceparent": OWN_PARENT},
            {"x-request-id": IDS["x-request-id"], **B3, "traceparent": OWN_PARENT},
            id="a traceparent keeps ours and its tracestate out",
        ),
        pytest.param(
            {"b3": "0"},
            {"x-request-id": IDS["x-request-id"], **W3C, "b3": "0"},
            id="a b3 keeps all of x-b3-* out",
        ),
        pytest.param(
            {"x-request-id": "own", "authorization": "secret"},
            {**W3C, **B3, "x-request-id": "own", "authorization": "secret"},
            id="an id of the caller's own",
        ),
        pytest.param(
            {"x-other-bin": b"\x00\xff\n", "x-own-bin": b""},
            {**IDS, **W3C, "x-other-bin": b"\x00\xff\n", "x-own-bin": b""},
            id="values in bytes are left alone",
        ),
    ],
)
def test_what_the_caller_sets(
    own: Mapping[str, str],
    expected: Mapping[str, str],
    make: Callable[..., Client],
    recorder: Recorder,
) -> None:
    """What the caller sets stays as it is, and keeps its whole format."""
    client = make()
    with meshtrace.use({**IDS, **W3C}):
        client.call("unary_unary", metadata=tuple(own.items()))
    assert [expected] == recorder.relayed


def test_what_the_caller_sets_is_replaced(make: Callable[..., Client], recorder: Recorder) -> None:
    """With ``on_conflict="replace"`` the request's fields take the place of the caller's."""
    client = make(on_conflict="replace")
    own = (("traceparent", OWN_PARENT), ("x-own", "1"))
    with meshtrace.use(IDS):
        client.call("unary_unary", metadata=own)
    assert [{**IDS, "x-own": "1"}] == recorder.relayed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make_metadata",
    [
        pytest.param(lambda *pairs: tuple(pairs), id="a tuple"),
        pytest.param(lambda *pairs: list(pairs), id="a list"),
        pytest.param(grpc.aio.Metadata, id="grpc.aio's own"),
    ],
)
def test_metadata_given_again(
    kind: str,
    make_metadata: Callable[..., Any],
    make: Callable[..., Client],
    recorder: Recorder,
) -> None:
    """Metadata of each type are not changed: given again they carry what is current then."""
    client = make()
    own = make_metadata(("x-own", "1"), ("x-own-bin", b"\xff"))
    before = repr(own)
    for brought in (IDS, OTHER, {}):
        with meshtrace.use(brought):
            client.call(kind, metadata=own)
    assert before == repr(own)
    expected: list[dict[str, str]] = [IDS, OTHER_IDS, {}]
    assert [{**ours, "x-own": "1", "x-own-bin": b"\xff"} for ours in expected] == recorder.relayed


def test_a_call_that_grpc_tries_again(make: Callable[..., Client], recorder: Recorder) -> None:
    """Where gRPC itself tries a call again, each try carries the same fields once."""
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    service_config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    client = make([("grpc.service_config", json.dumps(service_config))])
    recorder.failures[:] = [grpc.StatusCode.UNAVAILABLE] * 2
    with meshtrace.use(IDS):
        assert ANSWERS["unary_unary"] == client.call("unary_unary")
    assert [IDS] * 3 == recorder.relayed


def test_a_fault_of_ours(
    make: Callable[..., Client],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where meshtrace fails, the call goes on as it is, and one warning says so."""
    client = make()
    monkeypatch.setattr(Departures, "decide", lambda *_: 1 / 0)
    with meshtrace.use(IDS):
        for _ in range(2):
            assert ANSWERS["unary_unary"] == client.call("unary_unary", metadata=(("x-own", "1"),))
    assert [{"x-own": "1"}] * 2 == recorder.relayed
    assert ["meshtrace: a fault while adding metadata to a call of grpc; going on without"] == [
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    ]


def test_a_call_outside_any_request(
    make: Callable[..., Client], recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A call without any middleware before it is a sign of a missing half, which is said once."""
    client = make()
    for _ in range(2):
        client.call("unary_unary")
    assert [{}, {}] == recorder.relayed
    assert 1 == caplog.text.count("no middleware ever ran here")

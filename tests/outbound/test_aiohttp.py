"""What is aiohttp's own: its middlewares, its websockets, its hops and its private places."""

import asyncio
import gc
import logging
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

import meshtrace
from tests.outbound.recording import (
    ALL,
    B3,
    IDS,
    OTHER,
    USER_DATA,
    VENDOR_DATA,
    Answer,
    Recorder,
    redirect,
)

REVIEWS = "http://reviews:9080/reviews/0"
SHOP = "http://shop.example/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}

Use = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]]
Send = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


def _run(use: Use, *, debug: bool = False, **options: Any) -> None:  # noqa: ANN401 - the session's own
    """Use a wrapped session, made with these options."""

    async def main() -> None:
        async with aiohttp.ClientSession(**options) as session:
            await use(meshtrace.wrap(session))

    asyncio.run(main(), debug=debug)


async def _get(session: aiohttp.ClientSession, url: str, **options: Any) -> str:  # noqa: ANN401 - the call's own
    async with session.get(url, **options) as response:
        return await response.text()


class _Noting:
    """A client middleware that notes that it ran, and the names of ours that it saw."""

    def __init__(self, name: str, ran: list[tuple[str, bool]]) -> None:
        self._name = name
        self._ran = ran

    async def __call__(self, request: aiohttp.ClientRequest, send: Send) -> aiohttp.ClientResponse:
        self._ran.append((self._name, "x-request-id" in request.headers))
        return await send(request)


# The session


def test_wrap_gives_the_same_session(recorder: Recorder) -> None:
    """The session stays the same object, and looks as it did."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            before = repr(session)
            assert session is meshtrace.wrap(session)
            assert before == repr(session)
            assert "ClientSession" == type(session).__name__
            assert aiohttp.ClientSession.__doc__ == type(session).__doc__

    asyncio.run(main())
    assert [] == recorder.received


def test_debug_mode_has_nothing_to_say(recorder: Recorder) -> None:
    """Wrapping and calling in asyncio's debug mode brings no advice of aiohttp's."""

    async def use(session: aiohttp.ClientSession) -> None:
        meshtrace.patch("aiohttp")
        with meshtrace.use(B3):
            await _get(session, REVIEWS)

    _run(use, debug=True)
    assert [B3] == recorder.relayed


def test_a_session_that_nobody_holds(errors_logged: list[logging.LogRecord]) -> None:
    """A wrapped session that was not closed is freed at once, and says so, as any."""

    async def main() -> None:
        session = meshtrace.wrap(aiohttp.ClientSession())
        with pytest.warns(ResourceWarning, match="Unclosed"):
            del session

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
    said = [record.getMessage().partition("\n")[0] for record in errors_logged]
    assert ["Unclosed client session"] == said


def test_a_subclass_that_chooses_the_middlewares(recorder: Recorder) -> None:
    """A session's own class may set the middlewares of each call; ours is added to them."""
    ran: list[tuple[str, bool]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)

        class Choosing(aiohttp.ClientSession):
            async def _request(self, *args: Any, **kwargs: Any) -> aiohttp.ClientResponse:  # noqa: ANN401 - aiohttp's own
                kwargs["middlewares"] = [_Noting("chosen", ran)]
                return await super()._request(*args, **kwargs)

    async def main() -> None:
        async with Choosing() as session:
            meshtrace.wrap(session)
            with meshtrace.use(B3):
                await _get(session, REVIEWS)

    asyncio.run(main())
    assert [("chosen", False)] == ran
    assert [B3] == recorder.relayed


# Middlewares


def test_the_sessions_middlewares_run_in_their_order(recorder: Recorder) -> None:
    """The session's own middlewares run as they were given, and before ours."""
    ran: list[tuple[str, bool]] = []

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            await _get(session, REVIEWS)

    _run(use, middlewares=[_Noting("first", ran), _Noting("second", ran)])
    assert [("first", False), ("second", False)] == ran
    assert [IDS] == recorder.relayed


def test_a_calls_middlewares_take_the_sessions_place(recorder: Recorder) -> None:
    """A call's own middlewares replace the session's, as ever, and ours stays."""
    ran: list[tuple[str, bool]] = []

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            await _get(session, REVIEWS, middlewares=[_Noting("the call's", ran)])
            await _get(session, REVIEWS, middlewares=())

    _run(use, middlewares=[_Noting("the session's", ran)])
    assert [("the call's", False)] == ran
    assert [IDS, IDS] == recorder.relayed


def test_what_a_middleware_sets_wins(recorder: Recorder) -> None:
    """A format that a middleware sets is the caller's, and stays whole."""

    async def set_b3(request: aiohttp.ClientRequest, send: Send) -> aiohttp.ClientResponse:
        request.headers["B3"] = "0"
        return await send(request)

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            await _get(session, REVIEWS)

    _run(use, middlewares=[set_b3])
    expected = {name: value for name, value in IDS.items() if name not in B3}
    assert [{**expected, "b3": "0"}] == recorder.relayed


def test_each_round_of_an_authentication(recorder: Recorder) -> None:
    """The answer to a digest challenge carries what the first round carried, once."""
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    recorder.answers["/reviews/0"] = [Answer(401, challenge)]

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(ALL):
            await _get(session, REVIEWS)

    _run(use, middlewares=[aiohttp.DigestAuthMiddleware("user", "word")])
    assert [{**IDS, **VENDOR_DATA}] * 2 == recorder.relayed
    authorized = ["authorization" in received.headers for received in recorder.received]
    assert [False, True] == authorized


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param(OTHER, OTHER_IDS, id="another request's fields"),
        pytest.param(None, {}, id="nothing, outside any"),
    ],
)
def test_a_request_sent_again_in_another_context(
    context: dict[str, str] | None, expected: dict[str, str], recorder: Recorder
) -> None:
    """A middleware that sends the same request again elsewhere sends what is current there."""

    async def again(request: aiohttp.ClientRequest, send: Send) -> aiohttp.ClientResponse:
        (await send(request)).release()
        with meshtrace.use(context):
            return await send(request)

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            await _get(session, REVIEWS)

    _run(use, middlewares=[again])
    assert [IDS, expected] == recorder.relayed


def test_a_middleware_that_follows_redirects(recorder: Recorder) -> None:
    """Where a middleware follows a redirect itself, its hop is judged as aiohttp's would be."""
    recorder.answers["/reviews/0"] = [redirect(SHOP)]
    recorder.answers["/"] = [redirect(REVIEWS)]

    async def follow(request: aiohttp.ClientRequest, send: Send) -> aiohttp.ClientResponse:
        response = await send(request)
        while "Location" in response.headers:
            response.release()
            request.url = URL(response.headers["Location"])
            request.headers["Host"] = request.url.host or ""
            response = await send(request)
        return response

    async def use(session: aiohttp.ClientSession) -> None:
        meshtrace.configure(forward=USER_DATA)  # type: ignore[arg-type]  # its names
        with meshtrace.use(ALL):
            await _get(session, REVIEWS, middlewares=[follow])

    _run(use)
    assert [ALL, IDS, {**IDS, **VENDOR_DATA}] == recorder.relayed


def test_what_a_middleware_sets_on_a_hop(recorder: Recorder) -> None:
    """A header of one hop is the caller's, also where it is what we sent on the hop before."""
    recorder.answers["/reviews/0"] = [redirect("http://denied/")]

    async def set_id(request: aiohttp.ClientRequest, send: Send) -> aiohttp.ClientResponse:
        if request.url.host == "denied":
            request.headers["x-request-id"] = IDS["x-request-id"]
        return await send(request)

    async def use(session: aiohttp.ClientSession) -> None:
        meshtrace.configure(deny_hosts="denied")
        with meshtrace.use(IDS):
            await _get(session, REVIEWS)

    _run(use, middlewares=[set_id])
    assert [IDS, {"x-request-id": IDS["x-request-id"]}] == recorder.relayed


# Calls


@pytest.mark.parametrize("patched", [False, True], ids=["wrapped", "patched"])
def test_a_websocket(patched: bool) -> None:  # noqa: FBT001 - a parameter
    """The handshake of a websocket carries the headers."""
    came: list[dict[str, str]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        came.append({name.lower(): value for name, value in request.headers.items()})
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_str("hello")
        await websocket.close()
        return websocket

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", serve)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            if patched:
                meshtrace.patch("aiohttp")
            else:
                meshtrace.wrap(session)
            with meshtrace.use(IDS):
                async with session.ws_connect(server.make_url("/")) as websocket:
                    assert "hello" == await websocket.receive_str()

    asyncio.run(main())
    assert [IDS] == [{name: one[name] for name in one if name in ALL} for one in came]


def test_the_function_that_makes_a_session(recorder: Recorder) -> None:
    """``aiohttp.request`` sends the headers when aiohttp is patched, at each hop."""
    recorder.answers["/reviews/0"] = [redirect(SHOP)]
    meshtrace.patch("aiohttp")

    async def main() -> None:
        with meshtrace.use({**IDS, **VENDOR_DATA}):
            async with aiohttp.request("GET", REVIEWS) as response:
                assert "ok" == await response.text()

    asyncio.run(main())
    assert [{**IDS, **VENDOR_DATA}, IDS] == recorder.relayed


def test_the_caller_may_name_the_session(recorder: Recorder) -> None:
    """A call is made for the request in which it is awaited, not for that in which it was begun."""

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            call = session.get(REVIEWS)
        with meshtrace.use(OTHER):
            async with call as response:
                await response.read()

    _run(use)
    assert [OTHER_IDS] == recorder.relayed


@pytest.mark.parametrize(
    "url", [REVIEWS, URL(REVIEWS), "/reviews/0"], ids=["a text", "a URL", "a path"]
)
def test_urls_of_every_type(url: str | URL, recorder: Recorder) -> None:
    """A call is judged by the URL that it goes to, however that is given."""

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(ALL):
            async with session.get(url) as response:
                await response.read()

    _run(use, base_url="http://reviews:9080/")
    assert [{**IDS, **VENDOR_DATA}] == recorder.relayed


def test_nothing_is_kept_in_the_callers_headers(recorder: Recorder) -> None:
    """Neither the headers of the call nor those of the session are changed."""
    own = {"X-Own": "1"}

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            await _get(session, REVIEWS, headers=own)
        assert {"X-Session": "1"} == dict(session.headers)
        await _get(session, REVIEWS)

    _run(use, headers={"X-Session": "1"})
    assert {"X-Own": "1"} == own
    assert [{**IDS, "x-session": "1", "x-own": "1"}, {"x-session": "1"}] == recorder.relayed


def test_connections_are_used_again(recorder: Recorder) -> None:
    """Calls made for different requests share a connection, as without meshtrace."""
    reused: list[str] = []
    tracing = aiohttp.TraceConfig()

    async def on_reuse(*_: object) -> None:
        reused.append("yes")

    tracing.on_connection_reuseconn.append(on_reuse)

    async def use(session: aiohttp.ClientSession) -> None:
        for came in (IDS, OTHER, None):
            with meshtrace.use(came):
                await _get(session, REVIEWS)

    _run(use, trace_configs=[tracing])
    assert ["yes", "yes"] == reused
    assert [IDS, OTHER_IDS, {}] == recorder.relayed


def test_the_response_is_aiohttps_own(recorder: Recorder) -> None:
    """Status, history, body and what was sent are there as without meshtrace."""
    recorder.answers["/reviews/0"] = [redirect("http://reviews:9080/1")]

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(B3):
            response = await session.get(REVIEWS)
        assert aiohttp.ClientResponse is type(response)
        assert [302] == [hop.status for hop in response.history]
        assert "http://reviews:9080/1" == str(response.url)
        assert B3["x-b3-traceid"] == response.request_info.headers["X-B3-TraceId"]
        assert b"ok" == await response.read()

    _run(use)
    assert [B3, B3] == recorder.relayed


def test_an_error_is_aiohttps_own(recorder: Recorder) -> None:
    """What aiohttp raises comes out as it is, and the next call works."""
    recorder.answers["/reviews/0"] = [Answer(500)]

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(B3):
            with pytest.raises(aiohttp.ClientResponseError, match="500"):
                await session.get(REVIEWS, raise_for_status=True)
            with pytest.raises(TypeError, match="int"):
                await session.get(REVIEWS, middlewares=5)  # type: ignore[arg-type]  # the mistake
            await _get(session, REVIEWS)

    _run(use)
    assert [B3, B3] == recorder.relayed


# Faults and versions


def test_a_request_that_cannot_be_marked(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A class of requests that takes no attribute of ours sends without our fields."""

    class Strict(aiohttp.ClientRequest):
        def __setattr__(self, name: str, value: object) -> None:
            if name.startswith("meshtrace"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    recorder.answers["/reviews/0"] = [redirect(SHOP)]

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(IDS):
            assert "ok" == await _get(session, REVIEWS)

    _run(use, request_class=Strict)
    assert [{}, {}] == recorder.relayed
    assert ["meshtrace: a fault while adding headers to a call of aiohttp; going on without"] == [
        record.getMessage() for record in caplog.records
    ]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(aiohttp, "ClientMiddlewareType", id="before client middlewares"),
        pytest.param(aiohttp.ClientSession, "_request", id="after another inside"),
    ],
)
def test_an_unsupported_version(
    owner: object, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what the room works with, there is one warning with the range, and no change."""
    monkeypatch.delattr(owner, name)
    before = dict(vars(aiohttp.ClientSession))

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            assert session is meshtrace.wrap(session)
            assert aiohttp.ClientSession is type(session)

    asyncio.run(main())
    meshtrace.patch("aiohttp")
    assert before == dict(vars(aiohttp.ClientSession))
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 1 == len(said)
    assert "Supported: aiohttp>=3.12,<4" in said[0]
    assert aiohttp.__version__ in said[0]


def test_unpatch_gives_the_method_back(recorder: Recorder) -> None:
    """After unpatch the class has its own method again, and a wrapped session goes on."""
    original = aiohttp.ClientSession.__dict__["_request"]
    meshtrace.patch("aiohttp")
    meshtrace.patch("aiohttp")
    assert original is not aiohttp.ClientSession.__dict__["_request"]

    async def use(session: aiohttp.ClientSession) -> None:
        with meshtrace.use(B3):
            await _get(session, REVIEWS)
            meshtrace.unpatch("aiohttp")
            await _get(session, REVIEWS)

    _run(use)
    assert original is aiohttp.ClientSession.__dict__["_request"]
    assert [B3, B3] == recorder.relayed


def test_unpatch_under_somebody_elses_patch(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another patch lies over ours, unpatch leaves it, and ours does nothing."""
    meshtrace.patch("aiohttp")
    ours = aiohttp.ClientSession.__dict__["_request"]

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        return ours(self, *args, **kwargs)

    theirs.__wrapped__ = ours  # type: ignore[attr-defined]  # as functools.wraps does
    monkeypatch.setattr(aiohttp.ClientSession, "_request", theirs)
    meshtrace.unpatch("aiohttp")
    assert theirs is aiohttp.ClientSession.__dict__["_request"]

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with meshtrace.use(B3):
                await _get(session, REVIEWS)
                meshtrace.patch("aiohttp")
                assert theirs is aiohttp.ClientSession.__dict__["_request"]
                await _get(session, REVIEWS)

    asyncio.run(main())
    assert [{}, B3] == recorder.relayed


def test_a_mock_of_the_method(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mock that takes the method's place gets the call as it was made, and no more."""
    asked: list[dict[str, Any]] = []

    async def mock(_: object, *_args: object, **kwargs: Any) -> None:  # noqa: ANN401 - as asked
        asked.append(kwargs)

    meshtrace.patch("aiohttp")
    monkeypatch.setattr(aiohttp.ClientSession, "_request", mock)

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with meshtrace.use(B3):
                await session.get(REVIEWS, headers={"x-own": "1"})

    asyncio.run(main())
    assert [{"allow_redirects": True, "headers": {"x-own": "1"}}] == asked
    assert [] == recorder.received

"""Patching requests, beside others that do so, and taking it back."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

import meshtrace
from tests.outbound.recording import ALL, IDS, OTHER, W3C, Recorder

URL = "http://reviews:9080/"
ORIGINAL = requests.Session.send
Send = Callable[..., requests.Response]


@pytest.fixture(autouse=True)
def _original_again() -> Iterator[None]:
    assert ORIGINAL is requests.Session.send
    yield
    meshtrace.unpatch()
    requests.Session.send = ORIGINAL  # type: ignore[method-assign]  # as at the start


def _get() -> requests.Response:
    with meshtrace.use(IDS), requests.Session() as session:
        return session.get(URL)


def _marking(original: Send) -> Send:
    """Wrap a send as an instrumentation does that follows the rules."""

    @functools.wraps(original)
    def send(
        self: requests.Session,
        request: requests.PreparedRequest,
        **kwargs: Any,  # noqa: ANN401 - requests' own options
    ) -> requests.Response:
        request.headers["x-mark"] = "1"
        return original(self, request, **kwargs)

    return send


def _forgetful(original: Send) -> Send:
    """Wrap a send without saying what was wrapped."""

    def send(
        self: requests.Session,
        request: requests.PreparedRequest,
        **kwargs: Any,  # noqa: ANN401 - requests' own options
    ) -> requests.Response:
        return original(self, request, **kwargs)

    return send


def _install(send: Send) -> None:
    requests.Session.send = send  # type: ignore[method-assign]  # that is what is tested


class TestPatching:
    """`patch` and `unpatch` by themselves."""

    def test_it_looks_like_the_original(self) -> None:
        """What stands in for `Session.send` has its name, its text and its signature."""
        meshtrace.patch("requests")
        assert ORIGINAL is not requests.Session.send
        assert (ORIGINAL.__name__, ORIGINAL.__qualname__, ORIGINAL.__doc__) == (
            requests.Session.send.__name__,
            requests.Session.send.__qualname__,
            requests.Session.send.__doc__,
        )
        assert inspect.signature(ORIGINAL) == inspect.signature(requests.Session.send)

    def test_nothing_else_is_touched(self) -> None:
        """No other name of requests is another object afterwards."""
        modules = (requests, requests.sessions, requests.api, requests.adapters, requests.models)
        before = [dict(vars(module)) for module in modules]
        ours = {"prepare_request", "send"}
        others = {name: value for name, value in vars(requests.Session).items() if name not in ours}
        meshtrace.patch()
        assert before == [dict(vars(module)) for module in modules]
        assert others == {n: v for n, v in vars(requests.Session).items() if n not in ours}
        meshtrace.unpatch()
        assert before == [dict(vars(module)) for module in modules]

    def test_twice_is_once(self, recorder: Recorder) -> None:
        """Patching twice is patching once, and one `unpatch` takes it back."""
        meshtrace.patch()
        patched = requests.Session.send
        meshtrace.patch("requests", "requests")
        assert patched is requests.Session.send
        _get()
        meshtrace.unpatch()
        assert ORIGINAL is requests.Session.send
        assert [IDS] == recorder.relayed

    def test_taking_it_back(self, recorder: Recorder) -> None:
        """`unpatch` puts back the very method that was there, and sessions go on without fields."""
        meshtrace.patch("requests")
        with requests.Session() as session, meshtrace.use(IDS):
            session.get(URL)
            meshtrace.unpatch("requests")
            session.get(URL)
            meshtrace.unpatch("requests")
            session.get(URL)
        assert ORIGINAL is requests.Session.send
        assert [IDS, {}, {}] == recorder.relayed

    def test_again_and_again(self, recorder: Recorder) -> None:
        """It can be patched and taken back any number of times."""
        for _ in range(3):
            meshtrace.patch()
            _get()
            meshtrace.unpatch()
            assert ORIGINAL is requests.Session.send
        assert [IDS] * 3 == recorder.relayed

    def test_wrapped_sessions_go_on(self, recorder: Recorder) -> None:
        """`unpatch` leaves sessions alone that were wrapped one by one."""
        meshtrace.patch()
        with meshtrace.Session() as session, meshtrace.use(IDS):
            meshtrace.unpatch()
            session.get(URL)
        assert [IDS] == recorder.relayed


class TestBesideAnother:
    """Somebody else wraps `Session.send`, too."""

    @pytest.mark.parametrize("wrapper", [_marking, _forgetful])
    def test_wrapped_before(self, wrapper: Callable[[Send], Send], recorder: Recorder) -> None:
        """What was wrapped before goes on inside, and `unpatch` puts it back."""
        theirs = wrapper(ORIGINAL)
        _install(theirs)
        meshtrace.patch()
        _get()
        meshtrace.unpatch()
        assert theirs is requests.Session.send
        assert [IDS] == [_unmarked(sent) for sent in recorder.relayed]

    @pytest.mark.parametrize("wrapper", [_marking, _forgetful])
    def test_wrapped_after(self, wrapper: Callable[[Send], Send], recorder: Recorder) -> None:
        """Where we are wrapped, `unpatch` leaves the others in place, and ours does nothing."""
        meshtrace.patch()
        theirs = wrapper(requests.Session.send)
        _install(theirs)
        _get()
        meshtrace.unpatch()
        _get()
        assert theirs is requests.Session.send
        assert [IDS, {}] == [_unmarked(sent) for sent in recorder.relayed]

    @pytest.mark.parametrize("wrapper", [_marking, _forgetful])
    def test_patched_again_inside(
        self, wrapper: Callable[[Send], Send], recorder: Recorder
    ) -> None:
        """Patching again where we are wrapped already adds nothing twice."""
        meshtrace.patch()
        _install(wrapper(requests.Session.send))
        meshtrace.patch()
        _get()
        meshtrace.unpatch()
        _get()
        meshtrace.patch()
        _get()
        assert [IDS, {}, IDS] == [_unmarked(sent) for sent in recorder.relayed]

    def test_the_other_goes_first(self, recorder: Recorder) -> None:
        """Where the other takes its wrapper off again, ours is as it was: at work, or off."""
        meshtrace.patch()
        ours = requests.Session.send
        _install(_marking(ours))
        _install(ours)
        _get()
        _install(_marking(ours))
        meshtrace.unpatch()
        _install(ours)
        _get()
        meshtrace.unpatch()
        assert ORIGINAL is requests.Session.send
        assert [IDS, {}] == recorder.relayed

    def test_its_marks_stay_its_own(self) -> None:
        """An attribute by which another knows its wrapper is not taken over by ours."""
        theirs: Any = _marking(ORIGINAL)
        theirs.applied = True
        _install(theirs)
        meshtrace.patch()
        assert not hasattr(requests.Session.send, "applied")


def _unmarked(sent: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in sent.items() if name != "x-mark"}


@pytest.fixture
def instrumentor() -> Iterator[RequestsInstrumentor]:
    """Give OpenTelemetry's instrumentation of requests, off before and after."""
    instrumentor = RequestsInstrumentor()
    yield instrumentor
    instrumentor.uninstrument()


class TestBesideOpenTelemetry:
    """The real instrumentation, with and without an SDK, before and after ours."""

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_without_an_sdk(
        self, first: str, instrumentor: RequestsInstrumentor, recorder: Recorder
    ) -> None:
        """An instrumentation that makes no spans changes nothing of what came."""
        meshtrace.configure(forward=["end-user", "baggage"])
        if first == "ours":
            meshtrace.patch()
            instrumentor.instrument(tracer_provider=NoOpTracerProvider())
        else:
            instrumentor.instrument(tracer_provider=NoOpTracerProvider())
            meshtrace.patch()
        with meshtrace.use(ALL), requests.Session() as session:
            session.get(URL)
        assert [ALL] == recorder.relayed

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_with_an_sdk(
        self, first: str, instrumentor: RequestsInstrumentor, recorder: Recorder
    ) -> None:
        """One that makes spans changes nothing either: its own traceparent gives way."""
        provider = TracerProvider()
        if first == "ours":
            meshtrace.patch()
            instrumentor.instrument(tracer_provider=provider)
        else:
            instrumentor.instrument(tracer_provider=provider)
            meshtrace.patch()
        _get()
        assert [IDS] == recorder.relayed

    def test_uninstrumented(self, instrumentor: RequestsInstrumentor, recorder: Recorder) -> None:
        """Once theirs is taken off, ours is in place and at work."""
        meshtrace.patch()
        ours = requests.Session.send
        instrumentor.instrument(tracer_provider=TracerProvider())
        instrumentor.uninstrument()
        assert ours is requests.Session.send
        _get()
        assert [IDS] == recorder.relayed

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_with_a_wrapped_session(
        self, first: str, instrumentor: RequestsInstrumentor, recorder: Recorder
    ) -> None:
        """A wrapped session relays what came while it is instrumented, and afterwards."""
        with requests.Session() as session:
            if first == "ours":
                meshtrace.wrap(session)
            instrumentor.instrument(tracer_provider=TracerProvider())
            meshtrace.wrap(session)
            with meshtrace.use(W3C):
                session.get(URL)
            instrumentor.uninstrument()
            with meshtrace.use(OTHER):
                session.get(URL)
        first_sent, second_sent = recorder.relayed
        assert W3C == first_sent
        assert {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]} == second_sent


def _ours(request: requests.PreparedRequest) -> dict[str, Any]:
    return {name: value for name, value in request.headers.items() if name in IDS}


class TestMocked:
    """`unittest.mock` in the place of `Session.send`, in every order."""

    @pytest.mark.parametrize("first", ["the patch", "the mock"])
    def test_a_plain_mock_and_a_patch(self, first: str) -> None:
        """A plain mock is called without the session, and sees the fields in either order."""
        if first == "the patch":
            meshtrace.patch()
        with mock.patch.object(requests.Session, "send") as send, requests.Session() as session:
            if first == "the mock":
                meshtrace.patch()
            with meshtrace.use(IDS):
                session.get(URL)
        (request,) = send.call_args.args
        assert URL == request.url
        assert IDS == _ours(request)

    @pytest.mark.parametrize("first", ["the patch", "the mock"])
    def test_an_autospecced_mock_and_a_patch(self, first: str) -> None:
        """An autospecced mock is called with the session, and sees the fields in either order."""
        if first == "the patch":
            meshtrace.patch()
        with (
            mock.patch.object(requests.Session, "send", autospec=True) as send,
            requests.Session() as session,
        ):
            if first == "the mock":
                meshtrace.patch()
            with meshtrace.use(IDS):
                session.get(URL)
            caller, request = send.call_args.args
        assert session is caller
        assert IDS == _ours(request)

    @pytest.mark.parametrize("autospec", [False, True])
    @pytest.mark.parametrize("first", ["the session", "the mock"])
    def test_a_mock_and_a_wrapped_session(self, first: str, *, autospec: bool) -> None:
        """A wrapped session calls a mock on its class, whichever came first, with the fields."""
        with requests.Session() as session:
            if first == "the session":
                meshtrace.wrap(session)
            with mock.patch.object(requests.Session, "send", autospec=autospec or None) as send:
                meshtrace.wrap(session)
                with meshtrace.use(IDS):
                    session.get(URL)
        assert IDS == _ours(send.call_args.args[-1])

    def test_the_patch_is_back_after_the_mock(self, recorder: Recorder) -> None:
        """After a mock has come and gone, the patch is at work."""
        meshtrace.patch()
        with mock.patch.object(requests.Session, "send"):
            _get()
        _get()
        assert [IDS] == recorder.relayed

    def test_a_mocked_request(self) -> None:
        """A mock of `Session.request` never reaches us, and is called as ever."""
        meshtrace.patch()
        with mock.patch.object(requests.Session, "request") as request, meshtrace.use(IDS):
            requests.get(URL, timeout=1)
        assert mock.call(method="get", url=URL, params=None, timeout=1) == request.call_args

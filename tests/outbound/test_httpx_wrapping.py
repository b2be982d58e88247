"""How a client of httpx or httpx2 is made to relay, and what it stays."""

import gc
import inspect
import pickle
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider

import meshtrace
from tests.outbound.httpx_use import Use
from tests.outbound.recording import B3, IDS, Recorder

URL = "http://reviews:9080/"
SEND = "_send_single_request"
"""What every attempt goes through; see `meshtrace.httpx_like`."""
OLDEST = {"httpx": "0.21", "httpx2": "2.0"}


@pytest.fixture(autouse=True)
def _as_it_was(use: Use) -> Iterator[None]:
    original = getattr(use.kind, SEND)
    yield
    meshtrace.unpatch()
    assert original is getattr(use.kind, SEND)


def _subclass(use: Use) -> Any:  # noqa: ANN401 - of one of two libraries
    """Give a class of clients with ways of its own."""

    class Own(use.kind):  # type: ignore[misc,name-defined]  # of one of two libraries
        """A client with ways of its own."""

        def build_request(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - httpx's own options
            request = super().build_request(*args, **kwargs)
            request.headers["x-own"] = "1"
            return request

    return Own


class TestWrapping:
    """`wrap`, for one client."""

    @pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "patched"])
    def test_a_client_with_any_attribute(
        self, *, wrapped: bool, use: Use, recorder: Recorder
    ) -> None:
        """A client that has whatever it is asked for relays, too."""

        class Api(use.kind):  # type: ignore[misc,name-defined]  # of one of two libraries
            def __getattr__(self, name: str) -> str:
                return name

        client = use.client(Api)
        if wrapped:
            meshtrace.wrap(client)
        else:
            meshtrace.patch()
        with meshtrace.use(IDS):
            use.do(partial(client.get, URL))
        assert [IDS] == recorder.relayed

    def test_the_client_stays_what_it_is(self, use: Use) -> None:
        """It is the same object, of a class of the same name, and nothing else is touched."""
        client = use.client()
        mine = {name: getattr(client, name) for name in ("headers", "event_hooks", "timeout")}
        kind = use.kind
        before = dict(vars(kind))
        assert client is meshtrace.wrap(client)
        assert isinstance(client, kind)
        assert (kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__) == (
            type(client).__name__,
            type(client).__qualname__,
            type(client).__module__,
            type(client).__doc__,
        )
        assert mine == {name: getattr(client, name) for name in mine}
        assert before == dict(vars(kind))

    def test_twice(self, use: Use, recorder: Recorder) -> None:
        """A client that is wrapped again is of the same class, and follows the later settings."""
        client = meshtrace.wrap(use.client(), deny_hosts="reviews")
        kind = type(client)
        assert kind is type(meshtrace.wrap(client))
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        use.do(lambda: client.get(URL))
        assert [IDS, {}] == recorder.relayed

    def test_another_client_is_not_touched(self, use: Use, recorder: Recorder) -> None:
        """Only the client that is wrapped relays."""
        meshtrace.wrap(use.client())
        other = use.client()
        with meshtrace.use(IDS):
            use.do(lambda: other.get(URL))
        assert [{}] == recorder.relayed

    def test_a_class_with_ways_of_its_own(self, use: Use, recorder: Recorder) -> None:
        """A client of a subclass keeps its ways, wrapped or patched."""
        kind = _subclass(use)
        wrapped = meshtrace.wrap(use.client(kind))
        again = meshtrace.wrap(use.client(kind))
        assert type(wrapped) is type(again)
        meshtrace.patch(use.library.__name__)
        with meshtrace.use(IDS):
            for client in (wrapped, again, use.client(kind)):
                use.do(partial(client.get, URL))
        assert [{**IDS, "x-own": "1"}] * 3 == recorder.relayed

    def test_a_client_that_nobody_closes(self, use: Use) -> None:
        """A wrapped client is let go of as soon as one that is not wrapped."""
        gc.collect()
        gc.disable()
        try:
            client = meshtrace.wrap(use.kind())
            reference = weakref.ref(client)
            del client
            assert reference() is None
        finally:
            gc.enable()

    def test_entered_and_left(self, use: Use, recorder: Recorder) -> None:
        """A wrapped client is opened and closed as ever, and raises when it is used afterwards."""
        client = meshtrace.wrap(use.client())

        async def awaited() -> None:
            async with client as entered:
                await entered.get(URL)

        def called() -> None:
            with client as entered:
                entered.get(URL)

        with meshtrace.use(IDS):
            use.do(called if use.blocks else awaited)
        assert client.is_closed
        with pytest.raises(RuntimeError, match="closed"):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed


class TestPatching:
    """`patch` and `unpatch`, for all clients."""

    def test_it_looks_like_the_original(self, use: Use) -> None:
        """What stands in for the library's method has its name, its text and its signature."""
        original = getattr(use.kind, SEND)
        meshtrace.patch(use.library.__name__)
        patched = getattr(use.kind, SEND)
        assert original is not patched
        assert (original.__name__, original.__qualname__, original.__doc__) == (
            patched.__name__,
            patched.__qualname__,
            patched.__doc__,
        )
        assert inspect.signature(original) == inspect.signature(patched)

    def test_nothing_else_is_touched(self, use: Use) -> None:
        """No other name of the library is another object afterwards."""
        before = dict(vars(use.library))
        methods = {name: value for name, value in vars(use.kind).items() if name != SEND}
        meshtrace.patch()
        assert before == dict(vars(use.library))
        assert methods == {name: value for name, value in vars(use.kind).items() if name != SEND}

    def test_a_client_wrapped_while_patched(self, use: Use, recorder: Recorder) -> None:
        """A client that is wrapped while its library is patched relays when it no longer is."""
        meshtrace.patch(use.library.__name__)
        client = meshtrace.wrap(use.client())
        meshtrace.unpatch(use.library.__name__)
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed

    @pytest.mark.parametrize("first", ["the mock", "the patch"])
    def test_a_mock_of_the_method(self, first: str, use: Use) -> None:
        """A mock in the place of `send` is called as ever, whichever came first."""
        if first == "the patch":
            meshtrace.patch(use.library.__name__)
        with mock.patch.object(use.kind, "send", autospec=True) as send:
            meshtrace.patch(use.library.__name__)
            client = meshtrace.wrap(use.client())
            send.return_value = "answered"
            with meshtrace.use(IDS):
                assert "answered" == use.do(lambda: client.get(URL))
        assert 1 == send.call_count


class TestBesideOpenTelemetry:
    """The real instrumentation, which works below, at the transports."""

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_it_writes_its_own_parent(self, first: str, use: Use, recorder: Recorder) -> None:
        """With an SDK it writes its own traceparent; all else is relayed as it came."""
        instrumentor = HTTPXClientInstrumentor()
        if first == "ours":
            meshtrace.patch()
        instrumentor.instrument(tracer_provider=TracerProvider())
        try:
            meshtrace.patch()
            client = use.client()
            with meshtrace.use(IDS):
                use.do(lambda: client.get(URL))
        finally:
            instrumentor.uninstrument()
        (sent,) = recorder.relayed
        assert {"x-request-id": IDS["x-request-id"], **B3} == {
            name: value for name, value in sent.items() if name != "traceparent"
        }


def _other_method(_: object, request: object, timeout: object) -> None:
    """Stand in for the method as it was before 0.20."""


class TestVersions:
    """A library that is not as it should be."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(
                lambda use, patch: patch.setattr(use.library, "__version__", "0.20.0"),
                id="an older version",
            ),
            pytest.param(lambda use, patch: patch.delattr(use.kind, SEND), id="without the method"),
            pytest.param(
                lambda use, patch: patch.setattr(use.kind, SEND, _other_method),
                id="another method of that name",
            ),
        ],
    )
    @pytest.mark.parametrize("verb", ["wrap", "patch"])
    def test_one_that_is_not_supported(
        self,
        verb: str,
        change: Callable[[Use, pytest.MonkeyPatch], None],
        use: Use,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It works as without meshtrace, and one warning says which version would do."""
        with pytest.MonkeyPatch.context() as monkeypatch:
            change(use, monkeypatch)
            before = dict(vars(use.kind))
            client = use.client()
            for _ in range(2):
                if verb == "wrap":
                    assert client is meshtrace.wrap(client)
                else:
                    meshtrace.patch(use.library.__name__)
            assert type(client) is use.kind
            assert before == dict(vars(use.kind))
            meshtrace.unpatch(use.library.__name__)
            version = use.library.__version__
        name = use.library.__name__
        said = f"{name} {version} is not supported, and works as without meshtrace"
        assert [f"meshtrace: {said}; supported: {OLDEST[name]} or later"] == [
            record.getMessage() for record in caplog.records if record.name == "meshtrace"
        ]

    @pytest.mark.parametrize("version", ["{}", "{}.9", "2.16.2", "3.0.dev1", "10.0b1"])
    def test_one_that_is(
        self, version: str, use: Use, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
    ) -> None:
        """The oldest version and any later one is taken, as long as it has the method."""
        oldest = OLDEST[use.library.__name__]
        monkeypatch.setattr(use.library, "__version__", version.format(oldest))
        client = meshtrace.wrap(use.client())
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed


class TestPickling:
    """A request goes to another process as its caller made it."""

    @pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "patched"])
    def test_what_was_added_stays_here(
        self, *, wrapped: bool, use: Use, recorder: Recorder
    ) -> None:
        """What it was given is off, what that took the place of is back, and it stays as it is."""
        meshtrace.configure(on_conflict="replace")
        client = use.client()
        if wrapped:
            meshtrace.wrap(client)
        else:
            meshtrace.patch(use.library.__name__)
        request = client.build_request("GET", URL, headers={"B3": "0"})
        made = pickle.loads(pickle.dumps(request)).headers  # noqa: S301 - just made
        with meshtrace.use(IDS):
            use.do(lambda: client.send(request))
        meshtrace.unpatch()
        sent = request.headers.copy()
        other = pickle.loads(pickle.dumps(request))  # noqa: S301 - just made
        assert (made, "0") == (other.headers, other.headers["b3"])
        assert use.library.Request is type(other)
        assert (sent, use.library.Request) == (request.headers, type(request))
        assert {*IDS} <= {*sent}
        assert [IDS] == recorder.relayed

    def test_a_strange_one(
        self, use: Use, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One whose headers somebody has taken away is pickled as it is."""
        client = meshtrace.wrap(use.client())
        request = client.build_request("GET", URL)
        with meshtrace.use(IDS):
            use.do(lambda: client.send(request))
        request.headers = None
        assert pickle.loads(pickle.dumps(request)).headers is None  # noqa: S301 - just made
        assert 1 == sum("a fault while" in record.getMessage() for record in caplog.records)
        assert [IDS] == recorder.relayed

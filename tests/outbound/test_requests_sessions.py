"""A wrapped session stays the session it was."""

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

import meshtrace
from tests.outbound.recording import IDS, W3C, Answer, Recorder

URL = "http://reviews:9080/"


class Tenant(requests.Session):
    """A session that carries more than requests' own does."""

    __attrs__ = [*requests.Session.__attrs__, "tenant"]  # noqa: RUF012 - as requests has it

    def __init__(self, tenant: str = "blue") -> None:
        super().__init__()
        self.tenant = tenant


class Sparse(requests.Session):
    """A session that pickles in a way of its own."""

    def __getstate__(self) -> dict[str, Any]:
        return {"headers": {"x-sparse": "1"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]  # what it keeps is not all that a session needs
        self.headers.update(state["headers"])


class Relaying(meshtrace.Session):
    """A relaying session of the application's own, with more to carry."""

    __attrs__ = [*requests.Session.__attrs__, "tenant"]  # noqa: RUF012 - as requests has it
    tenant = "blue"


def _pickled(session: requests.Session, protocol: int) -> Any:  # noqa: ANN401 - as pickle has it
    return pickle.loads(pickle.dumps(session, protocol))  # noqa: S301 - our own


TWINS = [
    pytest.param(lambda session: _pickled(session, 0), id="pickled, as long ago"),
    pytest.param(lambda session: _pickled(session, pickle.HIGHEST_PROTOCOL), id="pickled"),
    pytest.param(copy.copy, id="copied"),
    pytest.param(copy.deepcopy, id="copied deeply"),
]


class TestWhatItStays:
    """`wrap` changes what a session sends, and nothing else of it."""

    def test_the_same_object(self) -> None:
        """`wrap` gives back the session it was given."""
        with requests.Session() as session:
            assert session is meshtrace.wrap(session)

    @pytest.mark.parametrize("kind", [requests.Session, Tenant])
    def test_its_class(self, kind: type[requests.Session]) -> None:
        """It is still an instance of its class, and is called and printed like one."""
        with kind() as plain, meshtrace.wrap(kind()) as wrapped:
            assert isinstance(wrapped, kind)
            assert (kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__) == (
                type(wrapped).__name__,
                type(wrapped).__qualname__,
                type(wrapped).__module__,
                type(wrapped).__doc__,
            )
            assert repr(plain).partition(" at ")[0] == repr(wrapped).partition(" at ")[0]

    def test_a_local_class(self) -> None:
        """A class made in a function prints as it did."""

        class Local(requests.Session):
            """Made here."""

        with Local() as plain, meshtrace.wrap(Local()) as wrapped:
            assert repr(plain).partition(" at ")[0] == repr(wrapped).partition(" at ")[0]

    def test_what_it_was_given(self, recorder: Recorder) -> None:
        """Headers, cookies, hooks and adapters stay."""
        with requests.Session() as session:
            session.headers["x-own"] = "1"
            session.cookies.set("a", "b")
            adapter = session.get_adapter(URL)
            meshtrace.wrap(session).get(URL)
            assert adapter is session.get_adapter(URL)
        assert [("1", "a=b")] == [
            (got.headers["x-own"], got.headers["cookie"]) for got in recorder.received
        ]

    def test_it_closes(self, recorder: Recorder) -> None:
        """Leaving it closes its connections, as requests' own does."""
        with meshtrace.wrap(requests.Session()) as session:
            session.get(URL)
            adapter: Any = session.get_adapter(URL)
            assert 1 == len(adapter.poolmanager.pools)
        assert 0 == len(adapter.poolmanager.pools)
        assert 1 == len(recorder.received)

    def test_it_is_let_go(self) -> None:
        """Nothing keeps a session that its owner has let go."""
        gone = weakref.ref(meshtrace.wrap(requests.Session()))
        gc.collect()
        assert gone() is None

    @pytest.mark.parametrize("twin", TWINS)
    def test_a_twin(
        self, twin: Callable[[requests.Session], requests.Session], recorder: Recorder
    ) -> None:
        """A pickled or copied one is a session with the same settings, and relays."""
        with meshtrace.wrap(Tenant("green"), deny_hosts="shop.example") as session:
            session.headers["x-own"] = "1"
            with twin(session) as other, meshtrace.use(IDS):
                assert isinstance(other, Tenant)
                assert ("green", "1") == (other.tenant, other.headers["x-own"])
                other.get(URL)
                other.get("http://shop.example/")
        assert [{**IDS, "x-own": "1"}, {"x-own": "1"}] == recorder.relayed

    @pytest.mark.parametrize("twin", TWINS)
    def test_a_twin_of_one_that_pickles_in_its_own_way(
        self, twin: Callable[[requests.Session], requests.Session], recorder: Recorder
    ) -> None:
        """A session whose class says itself what it keeps is kept that way, and relays."""
        with twin(meshtrace.wrap(Sparse())) as other, meshtrace.use(IDS):
            assert isinstance(other, Sparse)
            other.get(URL)
        assert [{**IDS, "x-sparse": "1"}] == recorder.relayed

    @pytest.mark.parametrize("twin", TWINS)
    def test_a_twin_of_a_relaying_session(
        self, twin: Callable[[requests.Session], requests.Session], recorder: Recorder
    ) -> None:
        """A session of a class below `meshtrace.Session` keeps its settings and its own, too."""
        with Relaying(deny_hosts="shop.example") as session:
            session.tenant = "green"
            with twin(session) as other, meshtrace.use(IDS):
                assert isinstance(other, Relaying)
                assert "green" == other.tenant
                other.get(URL)
                other.get("http://shop.example/")
        assert [IDS, {}] == recorder.relayed

    def test_what_it_raises(self, session: requests.Session) -> None:
        """An unprepared request and a bad URL raise what requests raises."""
        unprepared: Any = requests.Request("GET", URL)
        with meshtrace.use(IDS):
            with pytest.raises(ValueError, match="You can only send PreparedRequests"):
                session.send(unprepared)
            with pytest.raises(requests.exceptions.MissingSchema):
                session.get("reviews/0")
            with pytest.raises(requests.exceptions.InvalidSchema):
                session.get("ftp://reviews/")


class TestOptions:
    """Options and settings of one session."""

    MAKERS = [  # noqa: RUF012 - not written
        pytest.param(lambda **given: meshtrace.wrap(requests.Session(), **given), id="wrap"),
        pytest.param(meshtrace.Session, id="meshtrace.Session"),
    ]

    @pytest.mark.parametrize("make", MAKERS)
    def test_options(self, make: Callable[..., requests.Session], recorder: Recorder) -> None:
        """Keyword options count for that session only."""
        with make(deny_hosts="reviews") as strict, make() as session, meshtrace.use(IDS):
            strict.get(URL)
            session.get(URL)
        assert [{}, IDS] == recorder.relayed

    @pytest.mark.parametrize("make", MAKERS)
    def test_settings(self, make: Callable[..., requests.Session], recorder: Recorder) -> None:
        """Settings made elsewhere count below the options, and their deny lists add up."""
        settings = meshtrace.Settings(deny_hosts="reviews", trace_hosts="ratings")
        with (
            make(settings=settings, deny_hosts="details", trace_hosts="all") as session,
            meshtrace.use(IDS),
        ):
            session.get("http://reviews/")
            session.get("http://details/")
            session.get("http://orders/")
        assert [{}, {}, IDS] == recorder.relayed

    @pytest.mark.parametrize("make", MAKERS)
    def test_wrong_ones(self, make: Callable[..., requests.Session]) -> None:
        """A wrong option raises at once."""
        with pytest.raises(meshtrace.ConfigurationError, match=r"do you mean deny_hosts\?"):
            make(deny_host="reviews")

    @pytest.mark.parametrize("make", MAKERS)
    def test_wrapping_again(
        self, make: Callable[..., requests.Session], recorder: Recorder
    ) -> None:
        """Wrapping again is wrapping once, with the later settings."""
        with make(deny_hosts="reviews") as session, meshtrace.use(IDS):
            kind = type(session)
            assert session is meshtrace.wrap(session)
            assert kind is type(session)
            session.get(URL)
        assert [IDS] == recorder.relayed

    def test_in_patched_requests(self, recorder: Recorder) -> None:
        """In patched requests, a wrapped session keeps its own settings."""
        meshtrace.patch("requests")
        with (
            meshtrace.Session(deny_hosts="reviews") as strict,
            requests.Session() as session,
            meshtrace.use(IDS),
        ):
            strict.get(URL)
            session.get(URL)
        assert [{}, IDS] == recorder.relayed

    def test_user_data_narrowed(self, recorder: Recorder) -> None:
        """A session's own `forward` narrows what it sends of the user data that came."""
        meshtrace.configure(forward=["end-user", "x-canary", "x-route-*", "baggage"])
        came = {
            "end-user": "jason",
            "x-canary": "1",
            "x-route-a": "a",
            "baggage": "color=blue,user=alice,size=1",
        }
        with meshtrace.use({"b3": "0", **came}):
            for forward in ("", "x-canary", "x-route-*", "baggage.user,baggage.size", "baggage.no"):
                with meshtrace.Session(forward=forward) as session:
                    session.get(URL)
            with meshtrace.Session() as session:
                session.get(URL)
        assert [
            {"b3": "0"},
            {"b3": "0", "x-canary": "1"},
            {"b3": "0", "x-route-a": "a"},
            {"b3": "0", "baggage": "user=alice,size=1"},
            {"b3": "0"},
            {"b3": "0", **came},
        ] == recorder.relayed

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
        """`MESHTRACE_DISABLED=1` beats code: a wrapped session is left alone, and sends as ever."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        with requests.Session() as plain, meshtrace.Session() as session, meshtrace.use(IDS):
            assert plain is meshtrace.wrap(plain)
            assert requests.Session is type(plain)
            plain.get(URL)
            session.get(URL)
            with _pickled(session, pickle.HIGHEST_PROTOCOL) as other:
                other.get(URL)
        assert [{}, {}, {}] == recorder.relayed


def test_one_session_for_many_threads(session: requests.Session, recorder: Recorder) -> None:
    """One session, shared by 32 threads that serve 1600 requests, mixes nothing."""
    meshtrace.configure(forward="end-user")
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    start = threading.Barrier(32)

    def serve(thread: int) -> None:
        start.wait()
        for turn in range(50):
            number = thread * 50 + turn
            mine = {"b3": f"{number + 1:032x}-{number + 1:016x}-1", "end-user": f"user-{number}"}
            with meshtrace.use(mine):
                session.get(f"http://reviews/{number}")

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(serve, range(32)))
    wrong = [
        got.path
        for got in recorder.received
        for number in [int(got.path[1:])]
        if got.relayed
        != {"b3": f"{number + 1:032x}-{number + 1:016x}-1", "end-user": f"user-{number}"}
    ]
    assert [] == wrong
    assert {f"/{number}" for number in range(1600)} == {got.path for got in recorder.received}


def test_threads_that_follow_redirects(session: requests.Session, recorder: Recorder) -> None:
    """Redirects followed by many threads at once stay each in its own request."""
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
    for number in range(200):
        recorder.answers[f"/{number}"] = [
            Answer(302, {"Location": f"http://shop.example/{number}?there"})
        ]

    def serve(number: int) -> None:
        with meshtrace.use({**W3C, "x-request-id": f"request-{number}"}):
            session.get(f"http://reviews/{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(serve, range(200)))
    sent = {got.path: got.relayed for got in recorder.received}
    ids = {"traceparent": W3C["traceparent"]}
    for number in range(200):
        request_id = {"x-request-id": f"request-{number}"}
        assert {**W3C, **request_id} == sent[f"/{number}"]
        assert {**ids, **request_id} == sent[f"/{number}?there"]

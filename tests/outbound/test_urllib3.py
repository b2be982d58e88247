"""urllib3: what a manager, a pool and the module's own function send, and what they leave alone."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Self

import pytest
import urllib3
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, PoolManager
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.recording import ALL, B3, IDS, OTHER, VENDOR_DATA, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
OWN = {"X-Request-Id": "own", "X-Own": "1"}
WITH_OWN = {**IDS, "x-request-id": "own", "x-own": "1"}

SINCE_2 = pytest.mark.skipif(
    vars(urllib3)["__version__"].startswith("1."), reason="urllib3 2 has it first"
)
HTTPHeaderDict: Any = type(HTTPResponse().headers)


def _patched() -> PoolManager:
    meshtrace.patch("urllib3")
    return PoolManager()


@pytest.fixture(
    params=[
        pytest.param(lambda: meshtrace.wrap(PoolManager()), id="a wrapped manager"),
        pytest.param(_patched, id="a manager of patched urllib3"),
    ]
)
def manager(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[PoolManager]:
    """Give a manager that relays."""
    assert [] == recorder.received
    make: Callable[[], PoolManager] = request.param
    with make() as manager:
        yield manager


class TestHeaders:
    """What the caller gives, in each place and of each type, is not changed."""

    def test_of_a_manager(self, recorder: Recorder) -> None:
        """A manager's own headers win, for every call, and stay as they are."""
        headers = dict(OWN)
        with meshtrace.wrap(PoolManager(headers=headers)) as manager, meshtrace.use(IDS):
            manager.request("GET", URL)
            manager.request("POST", URL, body=b"body")
            assert headers is manager.headers
        assert OWN == headers
        assert [WITH_OWN, WITH_OWN] == recorder.relayed

    @pytest.mark.parametrize("headers", [OWN, HTTPHeaderDict(OWN), MappingProxyType(OWN)])
    def test_of_a_pool(self, headers: Mapping[str, str], recorder: Recorder) -> None:
        """A pool's own headers win, and stay as they are for other threads."""
        before = repr(headers)
        with meshtrace.wrap(HTTPConnectionPool("reviews", headers=headers)) as pool:
            with meshtrace.use(IDS):
                pool.request("GET", "/")
                pool.urlopen("GET", "/", headers=None)
            pool.request("GET", "/")
            assert headers is pool.headers
        assert before == repr(headers)
        own = {"x-request-id": "own", "x-own": "1"}
        assert [WITH_OWN, WITH_OWN, own] == recorder.relayed

    def test_of_a_pool_in_a_class(self, recorder: Recorder) -> None:
        """An object that many calls share keeps nothing of any of them."""
        shared = HTTPHeaderDict(OWN)
        with meshtrace.wrap(PoolManager()) as manager:
            for brought in (IDS, {}, OTHER):
                with meshtrace.use(brought):
                    manager.request("GET", URL, headers=shared)
        assert HTTPHeaderDict(OWN) == shared
        own = {"x-request-id": "own", "x-own": "1"}
        assert [WITH_OWN, own, {**own, "b3": OTHER["b3"]}] == recorder.relayed

    def test_several_lines_of_one_name(self, manager: PoolManager, recorder: Recorder) -> None:
        """Several lines of one name, which urllib3's own type holds, stay several."""
        headers = HTTPHeaderDict([("X-Own", "1"), ("X-Own", "2")])
        with meshtrace.use(IDS):
            manager.request("GET", URL, headers=headers)
        (received,) = recorder.received
        assert ["1", "2"] == [value for name, value in received.lines if name == "X-Own"]
        assert IDS["x-request-id"] == received.headers["x-request-id"]

    def test_by_place(self, manager: PoolManager, recorder: Recorder) -> None:
        """Headers and retries that are given by place are taken from there."""
        pool = manager.connection_from_url(URL)
        recorder.answers["/"] = [Answer(503), Answer(503)]
        retry = Retry(3, status_forcelist=[503], backoff_factor=0)
        with meshtrace.use(IDS):
            assert 503 == pool.urlopen("POST", "/", b"body", dict(OWN), 3).status
            assert 200 == pool.urlopen("GET", "/", None, None, retry).status
            assert 200 == pool.urlopen("GET", "/", None).status
        assert [WITH_OWN, IDS, IDS, IDS] == recorder.relayed
        assert b"body" == recorder.received[0].body

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param([("X-Own", "1")], id="a list of pairs"),
            pytest.param((("X-Own", "1"),), id="a tuple of pairs"),
            pytest.param("X-Own: 1", id="a text"),
            pytest.param(5, id="a number"),
        ],
    )
    def test_of_a_type_that_urllib3_refuses(
        self,
        headers: Any,  # noqa: ANN401 - what is no type for it
        manager: PoolManager,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """What urllib3 refuses is its own error, and no fault of ours."""
        with pytest.raises(Exception) as expected:  # noqa: PT011 - compared below
            HTTPConnectionPool("reviews").request("GET", "/", headers=headers)
        with meshtrace.use(IDS), pytest.raises(Exception) as raised:  # noqa: PT011 - compared below
            manager.request("GET", URL, headers=headers)
        assert (type(expected.value), str(expected.value)) == (
            type(raised.value),
            str(raised.value),
        )
        assert [] == caplog.records

    def test_a_list_of_pairs_for_a_body(self, manager: PoolManager, recorder: Recorder) -> None:
        """A list of pairs, which urllib3 takes with a body, wins like all the caller's."""
        with meshtrace.use(IDS):
            pairs: Any = list(OWN.items())
            manager.request("POST", URL, fields={"a": "b"}, headers=pairs)
        assert [WITH_OWN] == recorder.relayed

    def test_that_cannot_be_copied(
        self, manager: PoolManager, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Headers that cannot be copied are sent as urllib3 would have, if it does not copy."""

        class Odd(dict[str, str]):
            copies = 0

            def copy(self) -> dict[str, str]:
                self.copies += 1
                if self.copies == 1:
                    raise ZeroDivisionError
                return dict(self)

        with meshtrace.use(IDS):
            manager.request("GET", URL, headers=Odd(a="b"))
        assert [{"a": "b"}] == recorder.relayed
        assert ["a fault while adding headers to a call of urllib3"] == [
            record.getMessage().split(": ")[1].split(";")[0] for record in caplog.records
        ]


class TestWhatItIsUsedFor:
    """Ways to use urllib3, each as without meshtrace."""

    @SINCE_2
    def test_the_modules_own_function(self, recorder: Recorder) -> None:
        """`urllib3.request` relays once urllib3 is patched."""
        meshtrace.patch("urllib3")
        with meshtrace.use(IDS):
            assert b"ok" == urllib3.request("GET", URL).data
        assert [IDS] == recorder.relayed

    @SINCE_2
    def test_a_body_in_json(self, manager: PoolManager, recorder: Recorder) -> None:
        """What urllib3 makes of its arguments arrives beside ours."""
        with meshtrace.use(IDS):
            manager.request("POST", URL, json={"a": 1})
        (received,) = recorder.received
        assert {"a": 1} == json.loads(received.body)
        assert "application/json" == received.headers["content-type"]
        assert IDS == received.relayed

    def test_a_streamed_answer(self, manager: PoolManager, recorder: Recorder) -> None:
        """An answer that is read piece by piece is not read before, and its connection is kept."""
        body = b"piece" * 20_000
        recorder.answers["/"] = [Answer(body=body)]
        with meshtrace.use(IDS):
            answer = manager.request("GET", URL, preload_content=False)
            assert body == b"".join(answer.stream(1000))
            answer.release_conn()
            manager.request("GET", URL)
        assert ["reviews"] == recorder.looked_up
        assert [IDS, IDS] == recorder.relayed

    def test_a_body_that_makes_calls_itself(self, manager: PoolManager, recorder: Recorder) -> None:
        """A call made while another one's body is read is decided by itself."""
        pool = manager.connection_from_url(URL)

        def body() -> Iterator[bytes]:
            with meshtrace.use(OTHER):
                pool.request("GET", "/inner", retries=Retry(0))
            yield b"body"

        with meshtrace.use(IDS):
            pool.request("POST", "/outer", body=body())
        assert {"/inner": OTHER_IDS, "/outer": IDS} == {
            received.path: received.relayed for received in recorder.received
        }

    def test_a_body_that_follows_redirects(self, manager: PoolManager, recorder: Recorder) -> None:
        """A chain of redirects inside another call is no part of that."""
        meshtrace.configure(forward=["end-user", "baggage"])
        recorder.answers["/0"] = [redirect("http://ratings/1")]

        def body() -> Iterator[bytes]:
            yield manager.request("GET", "http://reviews/0").data

        with meshtrace.use(ALL):
            manager.request("POST", "http://shop.example/", body=body())
        assert {"/0": ALL, "/1": ALL, "/": IDS} == {
            received.path: received.relayed for received in recorder.received
        }

    def test_connections_are_used_again(self, manager: PoolManager, recorder: Recorder) -> None:
        """One connection serves many calls, made for many requests."""
        for brought in (IDS, OTHER, {}):
            with meshtrace.use(brought):
                manager.request("GET", URL)
        assert ["reviews"] == recorder.looked_up
        assert [IDS, OTHER_IDS, {}] == recorder.relayed
        pool = manager.connection_from_url(URL)
        assert (1, 3) == (pool.num_connections, pool.num_requests)

    @pytest.mark.parametrize(
        ("url", "share"),
        [
            pytest.param("http://[::1]:9080/", {**IDS, **VENDOR_DATA}, id="IPv6 of the mesh"),
            pytest.param("http://[2001:db8::1]/", IDS, id="IPv6 outside"),
            pytest.param("http://REVIEWS:9080/", {**IDS, **VENDOR_DATA}, id="in capitals"),
            pytest.param("http://8.8.8.8/", IDS, id="IPv4 outside"),
        ],
    )
    def test_hosts(
        self, url: str, share: dict[str, str], manager: PoolManager, recorder: Recorder
    ) -> None:
        """A host is judged as in every other room, however it is written."""
        with meshtrace.use(ALL):
            manager.request("GET", url)
        assert [share] == recorder.relayed

    def test_the_host_header(self, manager: PoolManager, recorder: Recorder) -> None:
        """A Host header of the caller's is judged, too."""
        with meshtrace.use(ALL):
            manager.request("GET", URL, headers={"Host": "shop.example"})
        assert [IDS] == recorder.relayed


class TestRedirects:
    """Redirects that a pool follows, that a manager follows, and that nobody follows."""

    @pytest.fixture(autouse=True)
    def _user_data_is_forwarded(self) -> None:
        meshtrace.configure(forward=["end-user", "baggage"])

    @pytest.mark.parametrize("status", [301, 303, 307])
    def test_of_a_pool(self, status: int, manager: PoolManager, recorder: Recorder) -> None:
        """A pool that follows a redirect by itself sends everything once more, and once each."""
        pool = manager.connection_from_url(URL)
        recorder.answers["/"] = [redirect("/there", status)]
        with meshtrace.use(ALL):
            pool.request("POST", "/", body=b"body", headers=OWN)
        expected = {**ALL, "x-request-id": "own", "x-own": "1"}
        assert [expected, expected] == recorder.relayed

    @pytest.mark.parametrize("status", [302, 303])
    def test_of_a_pool_with_what_was_replaced(self, status: int, recorder: Recorder) -> None:
        """What ours took the place of stands at the next hop, if ours may not go there any more."""
        pool = meshtrace.wrap(
            HTTPConnectionPool("reviews"), on_conflict="replace", deny_hosts="denied"
        )
        recorder.answers["/"] = [redirect("/there", status)]

        class Configuring(Retry):
            def new(self, **options: Any) -> Self:  # noqa: ANN401 - urllib3's own
                meshtrace.configure(deny_hosts="reviews")
                return super().new(**options)

        with pool, meshtrace.use(IDS):
            pool.request("GET", "/", headers=OWN, retries=Configuring(3))
        assert [{**IDS, "x-own": "1"}, {"x-request-id": "own", "x-own": "1"}] == recorder.relayed

    def test_authorization(self, manager: PoolManager, recorder: Recorder) -> None:
        """What came as `authorization` goes to a host that is named, and not past a redirect."""
        meshtrace.configure(authorization_hosts="orders")
        came = {**IDS, "authorization": "Bearer jason"}
        recorder.answers["/"] = [redirect("/there")] * 2
        with meshtrace.use(came):
            manager.request("GET", "http://orders/")
            manager.connection_from_url("http://orders/").request("GET", "/")
        assert ["Bearer jason", None, "Bearer jason", None] == [
            received.headers.get("authorization") for received in recorder.received
        ]

    def test_a_chain_followed_by_hand(self, manager: PoolManager, recorder: Recorder) -> None:
        """Who follows a redirect by hand, and hands on the retries, has a chain as well."""
        recorder.answers["/"] = [redirect("http://reviews/there")]
        with meshtrace.use(ALL):
            first = manager.request("GET", "http://shop.example/", redirect=False)
            assert first.retries is not None
            retries = first.retries
            for response in (HTTPResponse(status=503), first):
                retries = retries.increment("GET", "http://shop.example/", response=response)
            manager.request("GET", "http://reviews/there", retries=retries)
        assert [IDS, {**IDS, **VENDOR_DATA}] == recorder.relayed

    def test_a_retry_in_a_chain(self, manager: PoolManager, recorder: Recorder) -> None:
        """A retry keeps its place in a chain of redirects."""
        recorder.answers["/"] = [Answer(503), redirect("http://reviews/there")]
        recorder.answers["/there"] = [Answer(503)]
        retry = Retry(5, status_forcelist=[503], backoff_factor=0)
        with meshtrace.use(ALL):
            manager.request("GET", "http://shop.example/", retries=retry)
        withheld = {**IDS, **VENDOR_DATA}
        assert [IDS, IDS, withheld, withheld] == recorder.relayed

    def test_not_followed(self, manager: PoolManager, recorder: Recorder) -> None:
        """A redirect that is not to be followed comes back as it is."""
        recorder.answers["/"] = [redirect("http://shop.example/")]
        with meshtrace.use(ALL):
            assert 302 == manager.request("GET", URL, redirect=False).status
        assert [ALL] == recorder.relayed


class TestWrapping:
    """What `wrap` takes, and what becomes of it."""

    def test_pools_of_a_manager(self, recorder: Recorder) -> None:
        """A manager's pools relay: those it has, those it makes, and those it hands out."""
        with PoolManager() as manager:
            before = manager.connection_from_url(URL)
            assert manager is meshtrace.wrap(manager, deny_hosts="ratings")
            with meshtrace.use(IDS):
                manager.request("GET", URL)
                before.request("GET", "/")
                manager.connection_from_host("ratings").request("GET", "/")
                manager.connection_from_host("details").request("GET", "/")
            assert before is manager.connection_from_url(URL)
        assert [IDS, IDS, {}, IDS] == recorder.relayed

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(PoolManager, id="a manager"),
            pytest.param(lambda: urllib3.ProxyManager("http://proxy:3128"), id="a proxy's manager"),
            pytest.param(lambda: HTTPConnectionPool("reviews"), id="a pool"),
            pytest.param(lambda: HTTPSConnectionPool("reviews"), id="a pool of TLS"),
        ],
    )
    def test_the_same_object(self, make: Callable[[], Any]) -> None:
        """What is wrapped stays itself, and is called what its class is called."""
        client = make()
        before = type(client)
        assert client is meshtrace.wrap(client)
        assert isinstance(client, before)
        assert (before.__name__, before.__qualname__, before.__module__, before.__doc__) == (
            type(client).__name__,
            type(client).__qualname__,
            type(client).__module__,
            type(client).__doc__,
        )
        wrapped = type(client)
        assert client is meshtrace.wrap(client)
        assert wrapped is type(client)

    def test_a_subclass_that_chooses_another_host(self, recorder: Recorder) -> None:
        """The caller's own class goes first: what it makes of a call is what is judged."""

        class Rerouting(HTTPConnectionPool):
            def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's own
                kwargs["headers"] = {**(kwargs.get("headers") or {}), "Host": "shop.example"}
                return super().urlopen(method, url, *args, **kwargs)

        with meshtrace.wrap(Rerouting("reviews")) as pool, meshtrace.use(ALL):
            pool.request("GET", "/")
        assert [IDS] == recorder.relayed

    def test_a_manager_with_pools_of_its_own(self, recorder: Recorder) -> None:
        """A manager whose pools are of somebody's own class, as botocore has them, relays."""

        class Connection(urllib3.connection.HTTPConnection):
            def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib3's own
                self.asked = True
                super().request(*args, **kwargs)

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        meshtrace.patch("urllib3", "http.client")
        with PoolManager() as patched, meshtrace.wrap(PoolManager(), deny_hosts="s3") as wrapped:
            for manager in (patched, wrapped):
                manager.pool_classes_by_scheme = {"http": Pool}
                pool = manager.connection_from_url("http://s3/")
                with meshtrace.use(IDS):
                    pool.urlopen(
                        method="PUT",
                        url="/bucket",
                        body=b"body",
                        headers=HTTPHeaderDict({"X-Amz-Date": "now"}),
                        retries=Retry(0),
                        assert_same_host=False,
                        preload_content=False,
                        decode_content=False,
                        chunked=False,
                    ).read()
        assert [{**IDS, "x-amz-date": "now"}, {"x-amz-date": "now"}] == recorder.relayed

    def test_a_version_that_is_too_old(
        self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A version that is not supported works as without meshtrace, and one warning says so."""
        monkeypatch.setattr(urllib3, "__version__", "1.22")
        original = HTTPConnectionPool.urlopen
        meshtrace.patch("urllib3")
        meshtrace.unpatch("urllib3")
        with meshtrace.wrap(PoolManager()) as manager, meshtrace.use(IDS):
            assert type(manager) is PoolManager
            manager.request("GET", URL)
        assert original is HTTPConnectionPool.urlopen
        assert [{}] == recorder.relayed
        (record,) = caplog.records
        assert logging.WARNING == record.levelno
        assert record.getMessage() == (
            "meshtrace: urllib3 1.22 is not supported, and works as without meshtrace; "
            "supported: 1.23 or later"
        )


def test_the_format_of_the_caller(manager: PoolManager, recorder: Recorder) -> None:
    """What the caller sets of a format keeps all of ours in that format out."""
    with meshtrace.use(IDS):
        manager.request("GET", URL, headers={"B3": "0"})
    expected = {name: value for name, value in IDS.items() if name not in B3}
    assert [{**expected, "b3": "0"}] == recorder.relayed

"""urllib.request: what openers and `urlopen` send, and what they leave alone."""

import copy
import io
import pickle
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    AbstractHTTPHandler,
    BaseHandler,
    HTTPHandler,
    HTTPRedirectHandler,
    OpenerDirector,
    Request,
    build_opener,
    urlopen,
)

import pytest

import meshtrace
from tests.outbound.recording import ALL, B3, IDS, OTHER, VENDOR_DATA, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
WITHOUT_USER_DATA = {**IDS, **VENDOR_DATA}
DO_OPEN = AbstractHTTPHandler.do_open
REDIRECT_REQUEST = HTTPRedirectHandler.redirect_request

Build = Callable[..., OpenerDirector]


def _wrapped(*handlers: BaseHandler) -> OpenerDirector:
    opener = build_opener(*handlers)
    assert opener is meshtrace.wrap(opener)
    return opener


def _patched(*handlers: BaseHandler) -> OpenerDirector:
    meshtrace.patch("urllib", "http.client")
    return build_opener(*handlers)


@pytest.fixture(
    params=[
        pytest.param(_wrapped, id="a wrapped opener"),
        pytest.param(_patched, id="an opener of patched urllib"),
    ]
)
def build(request: pytest.FixtureRequest, recorder: Recorder) -> Build:
    """Give what builds an opener that relays."""
    assert [] == recorder.received
    made: Build = request.param
    return made


@pytest.fixture
def _no_opener_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.mark.usefixtures("_no_opener_installed")
class TestUrlopen:
    """`urlopen`, and what is installed for it."""

    def test_patched(self, recorder: Recorder) -> None:
        """`urlopen` relays, with a URL, a request, a body and a time limit."""
        meshtrace.patch("urllib")
        with meshtrace.use(IDS):
            for target in (URL, Request(URL)):
                with urlopen(target, data=b"a=b", timeout=9) as response:  # noqa: S310 - http
                    assert b"ok" == response.read()
        assert [IDS, IDS] == recorder.relayed
        assert [b"a=b", b"a=b"] == [received.body for received in recorder.received]

    def test_an_installed_opener(self, recorder: Recorder) -> None:
        """`urlopen` relays by the settings of the opener that is installed."""
        urllib.request.install_opener(meshtrace.wrap(build_opener(), deny_hosts="denied"))
        meshtrace.patch("urllib")
        with meshtrace.use(IDS):
            urlopen(URL).close()
            urlopen("http://denied/").close()
        assert [IDS, {}] == recorder.relayed

    def test_retrieved(self, tmp_path: Path, recorder: Recorder) -> None:
        """`urlretrieve` relays, too."""
        meshtrace.patch("urllib")
        with meshtrace.use(IDS):
            urllib.request.urlretrieve(URL, tmp_path / "got")
        assert b"ok" == (tmp_path / "got").read_bytes()
        assert [IDS] == recorder.relayed


class TestTheCallersOwn:
    """Headers of the caller, in each place where they may be."""

    def test_of_a_request(self, build: Build, recorder: Recorder) -> None:
        """A request's headers win, and the request stays as it is."""
        request = Request(URL, headers={"X-Request-Id": "own"})
        request.add_unredirected_header("B3", "0")
        opener = build()
        opener.open(request).close()
        before = (dict(request.headers), dict(request.unredirected_hdrs))
        with meshtrace.use(IDS):
            opener.open(request).close()
        own = {"x-request-id": "own", "b3": "0"}
        assert [own, {**own, "traceparent": IDS["traceparent"]}] == recorder.relayed
        assert before == (request.headers, request.unredirected_hdrs)

    def test_of_an_opener(self, build: Build, recorder: Recorder) -> None:
        """What an opener adds to every request wins."""
        opener = build()
        opener.addheaders = [("X-Request-ID", "own"), ("X-Own", "1")]
        with meshtrace.use(IDS):
            opener.open(URL).close()
        assert [{**IDS, "x-request-id": "own", "x-own": "1"}] == recorder.relayed

    @pytest.mark.parametrize("order", [100, 900])
    def test_of_a_handler(self, order: int, build: Build, recorder: Recorder) -> None:
        """What another handler adds wins, whenever it does so."""

        class Adding(BaseHandler):
            handler_order = order

            def http_request(self, request: Request) -> Request:
                request.add_header("X-B3-Sampled", "0")
                return request

        with meshtrace.use(IDS):
            build(Adding()).open(URL).close()
        expected = {name: value for name, value in IDS.items() if name not in B3}
        assert [{**expected, "x-b3-sampled": "0"}] == recorder.relayed

    def test_is_replaced(self, build: Build, recorder: Recorder) -> None:
        """What is replaced is still on the caller's request."""
        meshtrace.configure(on_conflict="replace", deny_hosts="denied")
        opener = build()
        request = Request(URL, headers={"X-Request-Id": "own"})
        with meshtrace.use(IDS):
            opener.open(request).close()
            request.full_url = "http://denied/"
            request.remove_header("Host")
            opener.open(request).close()
        assert [IDS, {"x-request-id": "own"}] == recorder.relayed
        assert {"X-request-id": "own"} == request.headers

    def test_a_host_header(self, build: Build, recorder: Recorder) -> None:
        """A Host header that the caller sets is judged, too."""
        with meshtrace.use(ALL):
            build().open(Request(URL, headers={"Host": "shop.example"})).close()
        assert [IDS] == recorder.relayed


class TestRequestObjects:
    """What is left of a request on the caller's object."""

    def test_sent_by_threads_at_once(self, build: Build, recorder: Recorder) -> None:
        """One request object that two threads send carries each thread's own context."""
        meeting = threading.Barrier(2, timeout=9)

        class Waiting(HTTPHandler):
            def http_open(self, req: Request) -> Any:  # noqa: ANN401 - urllib's own
                return self.do_open(self.connect, req)

            def connect(self, *args: Any, **kwargs: Any) -> HTTPConnection:  # noqa: ANN401 - urllib's own
                meeting.wait()
                return HTTPConnection(*args, **kwargs)

        opener = build(Waiting())
        request = Request(URL)

        def send(brought: dict[str, str]) -> None:
            with meshtrace.use(brought):
                opener.open(request).close()

        threads = [threading.Thread(target=send, args=[brought]) for brought in (IDS, OTHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [OTHER_IDS, IDS] == sorted(recorder.relayed, key=len)

    def test_copied_and_pickled(self, build: Build, recorder: Recorder) -> None:
        """A request that was sent can be copied and pickled, without anything of its context."""
        opener = build()
        request = Request(URL)
        with meshtrace.use(IDS):
            opener.open(request).close()
        dumped = pickle.dumps(request)
        assert IDS["x-request-id"].encode() not in dumped
        for again in (copy.copy(request), copy.deepcopy(request), pickle.loads(dumped)):  # noqa: S301 - made here
            with meshtrace.use(OTHER):
                opener.open(again).close()
        assert [IDS, *[OTHER_IDS] * 3] == recorder.relayed

    def test_of_a_class_of_its_own(self, build: Build, recorder: Recorder) -> None:
        """A request of a subclass is asked as ever, for its method and for its body."""

        class Putting(Request):
            def get_method(self) -> str:
                return "PUT"

        request = Putting(URL, data=io.BytesIO(b"body"), headers={"Content-Length": "4"})
        with meshtrace.use(IDS):
            build().open(request).close()
        assert [("PUT", b"body")] == [(got.method, got.body) for got in recorder.received]
        assert [IDS] == recorder.relayed

    def test_that_cannot_be_copied(
        self, build: Build, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A request that cannot be copied is sent as it is, and one warning says so."""

        class Unique(Request):
            def __copy__(self) -> "Unique":
                raise ZeroDivisionError

        opener = build()
        with meshtrace.use(IDS):
            opener.open(Unique(URL)).close()
            opener.open(Unique(URL)).close()
        assert [{}, {}] == recorder.relayed
        assert 1 == sum("adding headers to a call of urllib" in text for text in caplog.messages)


class TestRedirects:
    """Chains of redirects, also those that somebody's own handler follows."""

    @pytest.fixture(autouse=True)
    def _chain(self, recorder: Recorder) -> None:
        meshtrace.configure(forward=["end-user", "baggage"])
        recorder.answers["/0"] = [redirect("http://shop.example/1")]
        recorder.answers["/1"] = [redirect("http://reviews/2", 307)]

    def test_of_a_handler_that_asks_ours(self, build: Build, recorder: Recorder) -> None:
        """A handler of redirects that builds on urllib's remembers the chain."""

        class Marking(HTTPRedirectHandler):
            def redirect_request(self, *args: Any) -> Request | None:  # noqa: ANN401 - urllib's own
                request = super().redirect_request(*args)
                assert request is not None
                request.add_header("X-Own", "1")
                return request

        with meshtrace.use(ALL):
            build(Marking()).open("http://reviews/0").close()
        own = {"x-own": "1"}
        assert [ALL, {**IDS, **own}, {**WITHOUT_USER_DATA, **own}] == recorder.relayed

    def test_of_a_handler_with_its_own_requests(self, build: Build, recorder: Recorder) -> None:
        """Where nobody knows the chain, user data is not sent any more."""

        class Making(HTTPRedirectHandler):
            def redirect_request(self, *args: Any) -> Request:  # noqa: ANN401 - urllib's own
                return Request(args[-1])  # noqa: S310 - http

        opener = build(Making())
        request = Request("http://reviews/0")
        with meshtrace.use(ALL):
            opener.open(request).close()
            opener.open(request).close()
        assert [ALL, IDS, WITHOUT_USER_DATA, ALL] == recorder.relayed

    def test_refused(self, build: Build, recorder: Recorder) -> None:
        """A handler that follows no redirect has its answer."""

        class Refusing(HTTPRedirectHandler):
            def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - urllib's own
                return None

        with meshtrace.use(ALL), pytest.raises(HTTPError) as raised:
            build(Refusing()).open("http://reviews/0")
        with raised.value as error:
            assert 302 == error.code
        assert [ALL] == recorder.relayed

    def test_that_urllib_refuses(self, build: Build, recorder: Recorder) -> None:
        """What urllib itself does not follow is its own error."""
        with meshtrace.use(ALL), pytest.raises(HTTPError) as raised:
            build().open(Request("http://reviews/1", data=b"body"))
        with raised.value as error:
            assert 307 == error.code
        assert [ALL] == recorder.relayed

    def test_in_no_context(self, build: Build, recorder: Recorder) -> None:
        """A chain outside any request carries nothing."""
        build().open("http://reviews/0").close()
        assert [{}] * 3 == recorder.relayed


class TestHandlers:
    """Handlers of an opener: those it has, those it gets, and those that go their own way."""

    def test_added_later(self, recorder: Recorder) -> None:
        """A handler that is added to a wrapped opener relays."""
        opener = OpenerDirector()
        meshtrace.wrap(opener)
        for handler in (HTTPHandler(), HTTPRedirectHandler(), urllib.request.HTTPErrorProcessor()):
            opener.add_handler(handler)
        recorder.answers["/0"] = [redirect("http://ratings/1")]
        with meshtrace.use(IDS):
            response = opener.open("http://reviews/0")
            assert response is not None
            response.close()
        assert [IDS, IDS] == recorder.relayed

    def test_of_no_subclass(self, recorder: Recorder) -> None:
        """A handler of the very class that all others have below them relays, too."""

        class Sending(BaseHandler):
            def __init__(self) -> None:
                self.handler = AbstractHTTPHandler()

            def http_open(self, req: Request) -> object:
                req.host = "reviews"
                return self.handler.do_open(HTTPConnection, req)

        opener = OpenerDirector()
        sending = Sending()
        opener.add_handler(sending)
        opener.add_handler(sending.handler)
        meshtrace.patch("urllib")
        with meshtrace.use(IDS):
            response = opener.open(URL)
            assert response is not None
            response.close()
        assert [IDS] == recorder.relayed

    def test_moved_to_another_opener(self, recorder: Recorder) -> None:
        """A handler that was taken to an opener that is not wrapped sends as without meshtrace."""
        handler = HTTPHandler()
        meshtrace.wrap(build_opener(handler))
        opener = build_opener(handler)
        with meshtrace.use(IDS):
            opener.open(URL).close()
        assert [{}] == recorder.relayed

    def test_authentication(self, build: Build, recorder: Recorder) -> None:
        """Each round of an authentication carries the fields once."""
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, URL, "jason", "secret")
        recorder.answers["/"] = [Answer(401, {"WWW-Authenticate": 'Basic realm="shop"'})]
        with meshtrace.use(IDS):
            build(urllib.request.HTTPBasicAuthHandler(passwords)).open(URL).close()
        assert [None, "Basic amFzb246c2VjcmV0"] == [
            received.headers.get("authorization") for received in recorder.received
        ]
        assert [IDS, IDS] == recorder.relayed

    def test_a_connection_of_no_known_kind(self, build: Build, recorder: Recorder) -> None:
        """A connection of somebody's own, which takes no attribute, is used as it is."""

        class Slotted:
            __slots__ = ("_connection",)

            def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - urllib's own
                self._connection = HTTPConnection(*args, **kwargs)

            @property
            def sock(self) -> Any:  # noqa: ANN401 - urllib's own
                return self._connection.sock

            @sock.setter
            def sock(self, sock: Any) -> None:  # noqa: ANN401 - urllib's own
                self._connection.sock = sock

            def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - urllib's own
                return getattr(self._connection, name)

        class Sending(HTTPHandler):
            def http_open(self, req: Request) -> Any:  # noqa: ANN401 - urllib's own
                return self.do_open(Slotted, req)  # type: ignore[arg-type]  # it is as good as one

        with meshtrace.use(IDS):
            build(Sending()).open(URL).close()
        assert [IDS] == recorder.relayed

    @pytest.mark.parametrize(
        "url", [pytest.param("data:,ok", id="data"), pytest.param("file:///", id="a file")]
    )
    def test_other_schemes(self, url: str, build: Build, recorder: Recorder) -> None:
        """What is no HTTP is not looked at."""
        opener = build()

        def outcome() -> object:
            try:
                return opener.open(url).read()
            except URLError as error:
                return str(error)

        without = outcome()
        with meshtrace.use(IDS):
            assert without == outcome()
        assert [] == recorder.received


class TestProxies:
    """The target is judged, and a proxy learns nothing."""

    @pytest.fixture(autouse=True)
    def _proxied(self, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
        assert [] == recorder.received
        monkeypatch.delenv("NO_PROXY")
        meshtrace.configure(forward=["end-user", "baggage"], deny_hosts="proxy")

    @pytest.mark.parametrize(
        ("host", "expected"), [("reviews", ALL), ("shop.example", IDS), ("proxy", {})]
    )
    def test_forwarded(
        self, host: str, expected: dict[str, str], build: Build, recorder: Recorder
    ) -> None:
        """What a proxy forwards is judged by its URL."""
        with meshtrace.use(ALL):
            build(urllib.request.ProxyHandler({"http": "http://proxy:3128"})).open(
                f"http://{host}/path"
            ).close()
        assert ["proxy"] == recorder.looked_up
        assert [expected] == recorder.relayed

    @pytest.mark.parametrize(
        ("host", "expected"), [("reviews", ALL), ("shop.example", IDS), ("proxy", {})]
    )
    def test_through_a_tunnel(
        self, host: str, expected: dict[str, str], build: Build, recorder: Recorder
    ) -> None:
        """What goes through a tunnel is judged by its end; what opens it has nothing of ours."""

        class Tunnelled(HTTPConnection):
            default_port = 443

            def set_tunnel(self, host: str, port: Any = None, headers: Any = None) -> None:  # noqa: ANN401 - urllib's own
                # Without it, http.server closes the connection of an HTTP/1.0 request.
                super().set_tunnel(host, port, {**headers, "Connection": "keep-alive"})

        class Terminating(HTTPHandler):
            def https_open(self, req: Request) -> Any:  # noqa: ANN401 - urllib's own
                return self.do_open(Tunnelled, req)

            https_request = HTTPHandler.do_request_

        class NoTLS(urllib.request.HTTPSHandler, Terminating):
            https_open = Terminating.https_open

        recorder.answers[f"{host}:443"] = [Answer(body=b"")]
        opener = build(urllib.request.ProxyHandler({"https": "http://proxy:3128"}), NoTLS())
        with meshtrace.use(ALL):
            opener.open(f"https://{host}/path").close()
        assert ["proxy"] == recorder.looked_up
        assert [("CONNECT", {}), ("GET", expected)] == [
            (received.method, received.relayed) for received in recorder.received
        ]


class TestPatching:
    """`patch` and `unpatch`."""

    @pytest.fixture(autouse=True)
    def _original_again(self) -> Iterator[None]:
        yield
        meshtrace.unpatch()
        assert DO_OPEN is AbstractHTTPHandler.do_open
        assert REDIRECT_REQUEST is HTTPRedirectHandler.redirect_request

    def test_taking_it_back(self) -> None:
        """`unpatch` puts back the very methods that were there."""
        meshtrace.patch("urllib")
        assert DO_OPEN is not AbstractHTTPHandler.do_open
        meshtrace.unpatch("urllib")
        assert DO_OPEN is AbstractHTTPHandler.do_open
        assert REDIRECT_REQUEST is HTTPRedirectHandler.redirect_request

    def test_beside_a_wrapped_opener(self, recorder: Recorder) -> None:
        """A wrapped opener of patched urllib decides by its own settings, at each hop."""
        meshtrace.patch("urllib", "http.client")
        opener = meshtrace.wrap(build_opener(), deny_hosts="denied")
        recorder.answers["/0"] = [redirect("http://denied/1")]
        with meshtrace.use(IDS):
            opener.open("http://reviews/0").close()
        assert [IDS, {}] == recorder.relayed

    def test_a_handler_by_itself(self, recorder: Recorder) -> None:
        """A handler that has no opener relays, once urllib is patched."""
        meshtrace.patch("urllib")
        request = Request(URL)
        request.timeout = 9
        with meshtrace.use(IDS):
            HTTPHandler().http_open(request).close()
        assert [IDS] == recorder.relayed


class TestWrapping:
    """What `wrap` makes of an opener."""

    def test_the_same_object(self) -> None:
        """An opener and its handlers stay themselves, and of their classes."""

        class Opener(OpenerDirector):
            """An opener of somebody's own."""

        opener: Any = Opener()
        handlers: list[Any] = [HTTPHandler(), HTTPRedirectHandler()]
        for handler in handlers:
            opener.add_handler(handler)
        before = [type(each) for each in (opener, *handlers)]
        assert opener is meshtrace.wrap(opener)
        assert opener is meshtrace.wrap(opener)
        after = [type(each) for each in (opener, *opener.handlers)]
        for was, now in zip(before, after, strict=True):
            assert issubclass(now, was)
            assert (was.__name__, was.__module__, was.__doc__) == (
                now.__name__,
                now.__module__,
                now.__doc__,
            )

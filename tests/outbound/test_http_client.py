"""http.client: what connections send, by ``request`` and by hand, and what they leave alone."""

import http.client
import io
import xmlrpc.client
from collections.abc import Callable, Iterator
from http.client import CannotSendHeader, CannotSendRequest, HTTPConnection, HTTPSConnection
from typing import Any
from urllib.request import build_opener

import pytest
import requests
import urllib3
from urllib3 import PoolManager

import meshtrace
import meshtrace.outbound.http_client  # before a cassette changes what it finds
from tests.outbound.recording import ALL, B3, IDS, OTHER, Answer, Recorder

OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
ORIGINAL = HTTPConnection.putrequest

Make = Callable[[HTTPConnection], HTTPConnection]


def _patched(connection: HTTPConnection) -> HTTPConnection:
    meshtrace.patch("http.client")
    return connection


@pytest.fixture(
    params=[
        pytest.param(meshtrace.wrap, id="wrapped"),
        pytest.param(_patched, id="patched"),
    ]
)
def relaying(request: pytest.FixtureRequest, recorder: Recorder) -> Make:
    """Give what makes a connection relay."""
    assert [] == recorder.received
    made: Make = request.param
    return made


@pytest.fixture
def connection(relaying: Make) -> Iterator[HTTPConnection]:
    """Give a connection that relays."""
    connection = HTTPConnection("reviews", 9080)
    yield relaying(connection)
    connection.close()


def _answer(connection: HTTPConnection) -> int:
    with connection.getresponse() as response:
        response.read()
        return response.status


class TestByHand:
    """Requests that are put together line by line."""

    def test_the_caller_wins(self, connection: HTTPConnection, recorder: Recorder) -> None:
        """What the caller puts keeps its format, however it is spelled, and whenever it is put."""
        with meshtrace.use(IDS):
            connection.putrequest("POST", "/", skip_accept_encoding=True)
            connection.putheader(b"X-B3-SAMPLED", b"0")
            connection.putheader("X-Own", 1, b"2", "3")
            connection.putheader("Content-Length", 4)
            connection.putheader("X-Request-Id", bytearray(b"own"))
            connection.endheaders(b"body")
        assert 200 == _answer(connection)
        (received,) = recorder.received
        assert {
            "x-own": "1\r\n\t2\r\n\t3",
            "x-b3-sampled": "0",
            "x-request-id": "own",
            "traceparent": IDS["traceparent"],
        } == received.relayed
        assert b"body" == received.body

    def test_what_is_replaced(self, relaying: Make, recorder: Recorder) -> None:
        """With ``on_conflict="replace"`` ours takes the place of all lines of a format."""
        meshtrace.configure(on_conflict="replace")
        connection = relaying(HTTPConnection("reviews"))
        with meshtrace.use(OTHER):
            connection.putrequest("GET", "/")
            connection.putheader("X-B3-TraceId", "1" * 16)
            connection.putheader("X-Own", "1")
            connection.putheader("B3", "1")
            connection.endheaders()
        assert 200 == _answer(connection)
        assert [{**OTHER_IDS, "x-own": "1"}] == recorder.relayed
        connection.close()

    def test_several_lines_of_one_name(
        self, connection: HTTPConnection, recorder: Recorder
    ) -> None:
        """Lines that had to wait are all put, in their order."""
        with meshtrace.use(ALL):
            connection.putrequest("GET", "/")
            connection.putheader("tracestate", "a=1")
            connection.putheader("tracestate", "b=2")
            connection.endheaders()
        assert 200 == _answer(connection)
        (received,) = recorder.received
        assert ["a=1", "b=2"] == [value for name, value in received.lines if name == "tracestate"]
        assert "traceparent" not in received.headers

    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            pytest.param({}, IDS, id="nothing of the caller's own"),
            pytest.param({"X-Request-Id": "own"}, {**IDS, "x-request-id": "own"}, id="an id"),
        ],
    )
    def test_the_context_of_the_beginning_counts(
        self,
        own: dict[str, str],
        expected: dict[str, str],
        connection: HTTPConnection,
        recorder: Recorder,
    ) -> None:
        """A request carries what was current when it was begun."""
        with meshtrace.use(IDS):
            connection.putrequest("GET", "/")
        with meshtrace.use(OTHER):
            for name, value in own.items():
                connection.putheader(name, value)
            connection.endheaders()
        assert 200 == _answer(connection)
        assert [expected] == recorder.relayed

    def test_begun_and_given_up(self, connection: HTTPConnection) -> None:
        """A request that was given up leaves nothing on its connection."""
        before = type(connection)
        with meshtrace.use(IDS):
            connection.putrequest("GET", "/")
        connection.close()
        assert before is type(connection)
        assert not hasattr(connection, "meshtrace_request")

    def test_given_up_behind_the_back_of_its_class(self, connection: HTTPConnection) -> None:
        """A connection that is closed by the method of another class can begin another request."""
        before = type(connection)
        with meshtrace.use(IDS):
            connection.putrequest("GET", "/")
            HTTPConnection.close(connection)
            connection.request("GET", "/")
        assert before is type(connection)
        assert 200 == _answer(connection)

    def test_another_one_in_between(self, connection: HTTPConnection, recorder: Recorder) -> None:
        """A request that cannot be begun yet leaves the one alone that is under way."""
        with meshtrace.use(IDS):
            connection.putrequest("GET", "/")
            connection.putheader("X-Request-Id", "own")
            with pytest.raises(CannotSendRequest):
                connection.putrequest("GET", "/")
            connection.endheaders()
        assert 200 == _answer(connection)
        assert [{**IDS, "x-request-id": "own"}] == recorder.relayed

    def test_what_http_client_refuses(self, connection: HTTPConnection, recorder: Recorder) -> None:
        """What http.client refuses is its own error, at the latest where the headers end."""
        with meshtrace.use(IDS):
            with pytest.raises(CannotSendHeader):
                connection.putheader("X-Own", "1")
            with pytest.raises(CannotSendHeader):
                connection.endheaders()
            with pytest.raises(http.client.InvalidURL):
                connection.putrequest("GET", "/a b")
            connection.close()
            with pytest.raises(TypeError):
                connection.request(None, "/")  # type: ignore[arg-type]  # that is what is tested
            connection.close()
            connection.putrequest("GET", "/")
            with pytest.raises(CannotSendRequest):
                connection.putrequest("GET", "/")
            with pytest.raises(ValueError, match="Invalid header name"):
                connection.putheader("X-Own:", "1")
            with pytest.raises((AttributeError, TypeError)):
                connection.putheader(None, "1")  # type: ignore[arg-type]  # that is what is tested
            connection.putheader("traceparent", "a\nb")
            with pytest.raises(ValueError, match="Invalid header value"):
                connection.endheaders()
        assert [] == recorder.received


class TestByRequest:
    """Requests made in one call."""

    def test_a_connection_stays_what_it_is(
        self, connection: HTTPConnection, recorder: Recorder
    ) -> None:
        """A connection is kept and used again, and is of its class when a request has been sent."""
        before = type(connection)
        for brought in (IDS, OTHER, {}):
            with meshtrace.use(brought):
                connection.request("GET", "/")
            assert before is type(connection)
            assert 200 == _answer(connection)
        assert ["reviews"] == recorder.looked_up
        assert [IDS, OTHER_IDS, {}] == recorder.relayed
        assert [] == [name for name in vars(connection) if name == "meshtrace_request"]

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(lambda: b"body", id="bytes"),
            pytest.param(lambda: "body", id="a text"),
            pytest.param(lambda: io.BytesIO(b"body"), id="a file"),
            pytest.param(lambda: iter([b"bo", b"dy"]), id="pieces"),
        ],
    )
    def test_bodies(
        self, body: Callable[[], Any], connection: HTTPConnection, recorder: Recorder
    ) -> None:
        """A body of any kind arrives as without meshtrace."""
        with meshtrace.use(IDS):
            connection.request("POST", "/", body())
        assert 200 == _answer(connection)
        assert [b"body"] == [received.body for received in recorder.received]
        assert [IDS] == recorder.relayed

    def test_the_callers_headers_are_not_changed(
        self, connection: HTTPConnection, recorder: Recorder
    ) -> None:
        """A dict of headers that many calls share stays as it is."""
        headers = {"X-Request-Id": "own", "X-Own": "1"}
        with meshtrace.use(IDS):
            connection.request("GET", "/", headers=headers)
        assert 200 == _answer(connection)
        assert {"X-Request-Id": "own", "X-Own": "1"} == headers
        assert [{**IDS, "x-request-id": "own", "x-own": "1"}] == recorder.relayed

    @pytest.mark.parametrize(
        ("host", "headers", "expected"),
        [
            pytest.param("reviews", {}, ALL, id="a host of the mesh"),
            pytest.param("shop.example", {}, IDS, id="a host outside"),
            pytest.param("[::1]", {}, ALL, id="IPv6 of the mesh"),
            pytest.param("[2001:db8::1]", {}, IDS, id="IPv6 outside"),
            pytest.param("reviews", {"Host": "shop.example"}, IDS, id="another host's name"),
            pytest.param("reviews", {"host": b"shop.example"}, IDS, id="its name in bytes"),
        ],
    )
    def test_hosts(
        self,
        host: str,
        headers: Any,  # noqa: ANN401 - http.client's own
        expected: dict[str, str],
        relaying: Make,
        recorder: Recorder,
    ) -> None:
        """The host is judged, and beside it the one that the caller names."""
        meshtrace.configure(forward=["end-user", "baggage"])
        connection = relaying(HTTPConnection(host))
        with meshtrace.use(ALL):
            connection.request("GET", "/", headers=headers)
        assert 200 == _answer(connection)
        assert [expected] == recorder.relayed
        connection.close()

    def test_a_url_of_a_proxy(self, relaying: Make, recorder: Recorder) -> None:
        """What is asked of a proxy is judged by its URL."""
        connection = relaying(HTTPConnection("proxy.example", 3128))
        with meshtrace.use(ALL):
            for url in ("http://ratings/", "http://shop.example/"):
                connection.request("GET", url)
                assert 200 == _answer(connection)
        withheld = {
            name: value for name, value in ALL.items() if name not in {"end-user", "baggage"}
        }
        assert [withheld, IDS] == recorder.relayed
        connection.close()


class TestTunnels:
    """What goes through a proxy by a tunnel."""

    @pytest.mark.parametrize(
        ("host", "headers", "expected"),
        [
            pytest.param("ratings", {}, ALL, id="to the mesh"),
            pytest.param("shop.example", {}, IDS, id="outside"),
            pytest.param("denied", {}, {}, id="a denied host"),
            pytest.param("shop.example", {"Host": "ratings"}, IDS, id="outside, by another name"),
        ],
    )
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_the_target_is_judged(  # noqa: PLR0913, PLR0917 - what varies
        self,
        when: str,
        host: str,
        headers: dict[str, str],
        expected: dict[str, str],
        relaying: Make,
        recorder: Recorder,
    ) -> None:
        """The end of a tunnel is judged, not the proxy; what opens the tunnel has nothing."""
        meshtrace.configure(forward=["end-user", "baggage"], deny_hosts=["denied", "proxy"])
        connection = HTTPConnection("proxy", 3128)
        if when == "after":
            relaying(connection)
        # Without it, http.server closes the connection of an HTTP/1.0 request.
        connection.set_tunnel(host, 80, {"Connection": "keep-alive"})
        if when == "before":
            relaying(connection)
        recorder.answers[f"{host}:80"] = [Answer(body=b"")]
        with meshtrace.use(ALL):
            connection.request("GET", "/", headers=headers)
        assert 200 == _answer(connection)
        assert ["proxy"] == recorder.looked_up
        assert [("CONNECT", {}), ("GET", expected)] == [
            (received.method, received.relayed) for received in recorder.received
        ]
        connection.close()

    def test_of_which_nothing_can_be_known(self, relaying: Make, recorder: Recorder) -> None:
        """Where the end of a tunnel cannot be asked for, the proxy and the Host header count."""
        connection: Any = relaying(HTTPConnection("proxy"))
        meshtrace.configure(forward=["end-user", "baggage"])
        with meshtrace.use(ALL):
            del connection._tunnel_host  # noqa: SLF001 - as it may be gone one day
            connection.putrequest("GET", "/", skip_host=True)
            connection._tunnel_host = None  # noqa: SLF001 - as it may be gone one day
            connection.putheader("Host", "shop.example")
            connection.endheaders()
        assert 200 == _answer(connection)
        assert [IDS] == recorder.relayed
        connection.close()

    def test_connect_by_hand(self, connection: HTTPConnection, recorder: Recorder) -> None:
        """A CONNECT that is made by hand is for the proxy."""
        recorder.answers["ratings:80"] = [Answer(body=b"")]
        with meshtrace.use(IDS):
            connection.request("connect", "ratings:80")
        assert 200 == _answer(connection)
        assert [{}] == recorder.relayed


class TestOtherClasses:
    """Connections of subclasses, and what is built on connections."""

    def test_a_class_with_headers_of_its_own(self, relaying: Make, recorder: Recorder) -> None:
        """What a subclass adds by itself, at either end, wins like all the caller's."""

        class Signing(HTTPConnection):
            """A connection of somebody's own."""

            def putrequest(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
                super().putrequest(*args, **kwargs)
                self.putheader("X-Request-Id", "own")

            def endheaders(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
                self.putheader("X-B3-Sampled", "0")
                super().endheaders(*args, **kwargs)

        connection = relaying(Signing("reviews"))
        with meshtrace.use(IDS):
            connection.request("GET", "/")
        assert 200 == _answer(connection)
        expected = {name: value for name, value in IDS.items() if name not in B3}
        assert [{**expected, "x-request-id": "own", "x-b3-sampled": "0"}] == recorder.relayed
        assert isinstance(connection, Signing)
        connection.close()

    @pytest.mark.parametrize("on_conflict", ["keep", "replace"])
    def test_a_class_that_calls_http_client_by_name(
        self,
        on_conflict: Any,  # noqa: ANN401 - one of two texts
        relaying: Make,
        recorder: Recorder,
    ) -> None:
        """A subclass that knows nothing of others, as urllib3 1.26 has it, sends nothing twice."""
        meshtrace.configure(on_conflict=on_conflict)

        class ByName(HTTPConnection):
            def putrequest(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
                HTTPConnection.putrequest(self, *args, **kwargs)
                self.putheader("X-B3-Sampled", "0")

            def putheader(self, *args: Any) -> None:  # noqa: ANN401 - http.client's own
                HTTPConnection.putheader(self, *args)

        connection = relaying(ByName("reviews"))
        with meshtrace.use(IDS):
            connection.request("GET", "/", headers={"X-Request-Id": "own"})
        assert 200 == _answer(connection)
        kept = {name: value for name, value in IDS.items() if name not in B3}
        kept |= {"x-b3-sampled": "0", "x-request-id": "own"}
        assert [kept if on_conflict == "keep" else IDS] == recorder.relayed
        connection.close()

    @pytest.mark.parametrize("on_conflict", ["keep", "replace"])
    def test_a_class_that_puts_headers_in_the_end(
        self,
        on_conflict: Any,  # noqa: ANN401 - one of two texts
        relaying: Make,
        recorder: Recorder,
    ) -> None:
        """What a subclass puts where the headers end, wins: nothing can take its place."""
        meshtrace.configure(on_conflict=on_conflict)

        class Ending(HTTPConnection):
            def endheaders(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
                self.putheader("X-B3-Sampled", "0")
                super().endheaders(*args, **kwargs)

        connection = relaying(Ending("reviews"))
        with meshtrace.use(IDS):
            connection.request("GET", "/")
        assert 200 == _answer(connection)
        expected = {name: value for name, value in IDS.items() if name not in B3}
        assert [{**expected, "x-b3-sampled": "0"}] == recorder.relayed
        connection.close()

    def test_a_class_that_ends_the_headers_by_name(
        self, relaying: Make, recorder: Recorder
    ) -> None:
        """A subclass that ends the headers past everybody sends its caller's, and no more."""

        class Ending(HTTPConnection):
            def endheaders(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - http.client's own
                HTTPConnection.endheaders(self, *args, **kwargs)

        connection = relaying(Ending("reviews"))
        before = type(connection)
        with meshtrace.use(IDS):
            connection.request("GET", "/", headers={"X-Request-Id": "own"})
        assert before is type(connection)
        assert 200 == _answer(connection)
        assert [{"x-request-id": "own"}] == recorder.relayed
        connection.close()

    def test_a_connection_that_cannot_be_made(self, relaying: Make, recorder: Recorder) -> None:
        """A class that closes what it could not connect raises its own error, and can try again."""

        class Closing(HTTPConnection):
            def connect(self) -> None:
                try:
                    super().connect()
                except OSError:
                    self.close()
                    raise

        connection = relaying(Closing("reviews"))
        before = type(connection)
        recorder.unreachable = 1
        with meshtrace.use(IDS):
            with pytest.raises(ConnectionRefusedError):
                connection.request("GET", "/")
            assert before is type(connection)
            connection.request("GET", "/")
        assert 200 == _answer(connection)
        assert [IDS] == recorder.relayed
        connection.close()

    def test_of_tls(self, relaying: Make, recorder: Recorder) -> None:
        """A connection of TLS is of its class, and relays as another."""

        class NoTLS(HTTPSConnection):
            connect = HTTPConnection.connect

        connection = relaying(NoTLS("reviews"))
        with meshtrace.use(IDS):
            connection.request("GET", "/")
        assert 200 == _answer(connection)
        assert [IDS] == recorder.relayed
        connection.close()

    def test_http_1_0(self, relaying: Make, recorder: Recorder) -> None:
        """A connection of HTTP/1.0, which puts no Host by itself, relays."""

        class Old(HTTPConnection):
            _http_vsn = 10
            _http_vsn_str = "HTTP/1.0"

        connection = relaying(Old("reviews"))
        with meshtrace.use(IDS):
            connection.request("GET", "/")
        assert 200 == _answer(connection)
        assert [IDS] == recorder.relayed
        connection.close()

    def test_xmlrpc(self, recorder: Recorder) -> None:
        """Calls of xmlrpc.client relay, one after another on one connection."""
        meshtrace.patch("http.client")
        body = xmlrpc.client.dumps(("ok",), methodresponse=True).encode()
        recorder.answers["/RPC2"] = [Answer(200, {"Content-Type": "text/xml"}, body)] * 2
        with xmlrpc.client.ServerProxy("http://reviews:9080/RPC2") as proxy:
            for brought in (IDS, OTHER):
                with meshtrace.use(brought):
                    assert "ok" == proxy.rate("a")
        assert ["reviews"] == recorder.looked_up
        assert [IDS, OTHER_IDS] == recorder.relayed

    def test_what_cannot_become_another_class(
        self, relaying: Make, recorder: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A connection whose class cannot be built upon, sends as without meshtrace."""

        class Sealing(type):
            sealed = False

            def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> type:
                if cls.sealed:
                    raise TypeError("no subclass")
                return super().__new__(cls, name, bases, members)

        class Final(HTTPConnection, metaclass=Sealing):
            pass

        connection = relaying(Final("reviews"))
        Sealing.sealed = True
        with meshtrace.use(IDS):
            for _ in range(2):
                connection.request("GET", "/")
                assert 200 == _answer(connection)
        assert [{}, {}] == recorder.relayed
        assert 1 == sum("a request of http.client" in text for text in caplog.messages)
        connection.close()


class TestOtherRooms:
    """What another room has decided is not decided again."""

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(
                lambda: meshtrace.wrap(build_opener(), deny_hosts="reviews").open(
                    "http://reviews/"
                ),
                id="a wrapped opener",
            ),
            pytest.param(
                lambda: meshtrace.wrap(PoolManager(), deny_hosts="reviews").request(
                    "GET", "http://reviews/"
                ),
                id="a wrapped manager of urllib3",
            ),
            pytest.param(
                lambda: meshtrace.Session(deny_hosts="reviews").get("http://reviews/"),
                id="a session of requests",
            ),
        ],
    )
    def test_nothing_for_a_denied_host(self, call: Callable[[], Any], recorder: Recorder) -> None:
        """What a client's own settings deny is not added further in."""
        meshtrace.patch("http.client")
        with meshtrace.use(IDS):
            call().close()
        assert [{}] == recorder.relayed

    def test_all_of_them_patched(self, recorder: Recorder) -> None:
        """With every room at work each call carries every field once."""
        meshtrace.patch()
        with meshtrace.use(IDS):
            with build_opener().open("http://reviews/") as response:
                response.read()
            requests.get("http://reviews/", timeout=9)
            PoolManager().request("GET", "http://reviews/")
            connection = HTTPConnection("reviews")
            connection.request("GET", "/")
            assert 200 == _answer(connection)
            connection.close()
        assert [IDS] * 4 == recorder.relayed

    def test_a_connection_of_urllib3(self, recorder: Recorder) -> None:
        """A connection of urllib3 that is used by hand can be wrapped, and is not patched."""
        meshtrace.patch("http.client")
        with meshtrace.use(IDS):
            for connection in (
                urllib3.connection.HTTPConnection("reviews"),
                meshtrace.wrap(urllib3.connection.HTTPConnection("reviews")),
            ):
                connection.request("GET", "/")
                assert 200 == connection.getresponse().status
                connection.close()
        assert [{}, IDS] == recorder.relayed


class TestPatching:
    """`patch` and `unpatch`."""

    def test_taking_it_back(self) -> None:
        """`unpatch` puts back the very method that was there."""
        meshtrace.patch("http.client")
        assert ORIGINAL is not HTTPConnection.putrequest
        meshtrace.unpatch("http.client")
        assert ORIGINAL is HTTPConnection.putrequest

    def test_a_request_under_way(self, recorder: Recorder) -> None:
        """A request that was begun before `unpatch` ends as it began."""
        meshtrace.patch("http.client")
        connection = HTTPConnection("reviews")
        with meshtrace.use(IDS):
            connection.putrequest("GET", "/")
            meshtrace.unpatch("http.client")
            connection.endheaders()
            assert 200 == _answer(connection)
            connection.request("GET", "/")
            assert 200 == _answer(connection)
        assert type(connection) is HTTPConnection
        assert [IDS, {}] == recorder.relayed
        connection.close()


def test_a_wrapped_connection_is_the_same_object() -> None:
    """What is wrapped stays itself, and is called what its class is called."""

    class Own(HTTPConnection):
        """A connection of somebody's own."""

    for connection, before in ((Own("reviews"), Own), (HTTPConnection("reviews"), HTTPConnection)):
        assert connection is meshtrace.wrap(meshtrace.wrap(connection))
        assert isinstance(connection, before)
        now = type(connection)
        assert (before.__name__, before.__module__, before.__doc__) == (
            now.__name__,
            now.__module__,
            now.__doc__,
        )

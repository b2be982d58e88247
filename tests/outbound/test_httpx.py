"""What came in goes out with every attempt of httpx and httpx2, in whichever way it is made."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import httpx2
import pytest
import respx

import meshtrace
from tests.outbound.httpx_use import Use
from tests.outbound.recording import ALL, B3, IDS, OTHER, USER_DATA, Answer, Recorder, redirect

URL = "http://reviews:9080/reviews/0"
OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
LIBRARIES = [pytest.param(library, id=library.__name__) for library in (httpx, httpx2)]


@pytest.fixture(params=["wrapped", "patched"])
def relaying(request: pytest.FixtureRequest, use: Use, recorder: Recorder) -> Callable[..., Any]:
    """Give what makes a client that relays."""
    assert [] == recorder.received

    def wrapped(**options: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        return meshtrace.wrap(use.client(**options))

    def patched(**options: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        meshtrace.patch(use.library.__name__)
        return use.client(**options)

    return wrapped if request.param == "wrapped" else patched


@pytest.fixture
def client(relaying: Callable[..., Any]) -> Any:  # noqa: ANN401 - of one of two libraries
    """Give a client that relays."""
    return relaying(follow_redirects=True)


WAYS = [
    pytest.param(lambda use, client: use.do(lambda: client.get(URL)), id="get"),
    pytest.param(lambda use, client: use.do(lambda: client.head(URL)), id="head"),
    pytest.param(lambda use, client: use.do(lambda: client.post(URL, json={})), id="post JSON"),
    pytest.param(
        lambda use, client: use.do(lambda: client.put(URL, content=b"x")), id="put with a body"
    ),
    pytest.param(lambda use, client: use.do(lambda: client.request("GET", URL)), id="request"),
    pytest.param(
        lambda use, client: use.do(lambda: client.send(client.build_request("GET", URL))),
        id="a request that the client built",
    ),
    pytest.param(
        lambda use, client: use.do(lambda: client.send(use.library.Request("GET", URL))),
        id="a request made by hand",
    ),
    pytest.param(lambda use, client: use.stream(client, URL), id="an answer that is streamed"),
    pytest.param(
        lambda use, client: use.do(lambda: client.get(URL, params={"a": "b"}, timeout=5)),
        id="with parameters and a timeout",
    ),
    pytest.param(
        lambda use, client: use.do(lambda: client.get(URL, auth=("jason", "secret"))),
        id="with a password",
    ),
]


@pytest.mark.parametrize("send", WAYS)
def test_what_came_in_goes_out(
    send: Callable[[Use, Any], object],
    use: Use,
    client: Any,  # noqa: ANN401 - of one of two libraries
    recorder: Recorder,
) -> None:
    """Every way of sending carries every field, byte for byte and one line each."""
    meshtrace.configure(forward=["end-user", "baggage"])
    with meshtrace.use(ALL):
        send(use, client)
    assert [ALL] == recorder.relayed


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_the_functions_of_the_front_door(library: Any, name: str, recorder: Recorder) -> None:  # noqa: ANN401 - one of two libraries
    """`httpx.get` and its siblings, which make a client of their own, relay once patched."""
    meshtrace.patch(library.__name__)
    with meshtrace.use(IDS):
        getattr(library, name)(URL, trust_env=False)
    assert [(name.upper(), IDS)] == [(got.method, got.relayed) for got in recorder.received]


@pytest.mark.parametrize("library", LIBRARIES)
def test_streaming_by_the_front_door(library: Any, recorder: Recorder) -> None:  # noqa: ANN401 - one of two libraries
    """`httpx.stream` relays once patched, and its answer is read as ever."""
    meshtrace.patch(library.__name__)
    recorder.answers["/reviews/0"] = [Answer(body=b"x" * 100_000)]
    with meshtrace.use(IDS), library.stream("GET", URL) as response:
        assert 100_000 == sum(map(len, response.iter_bytes()))
    assert [IDS] == recorder.relayed


def test_a_base_url(use: Use, relaying: Callable[..., Any], recorder: Recorder) -> None:
    """The host of ``base_url`` is judged, where a call names a path only."""
    client = relaying(base_url="http://shop.example/")
    meshtrace.configure(forward="end-user")
    with meshtrace.use({**IDS, "end-user": "jason"}):
        use.do(lambda: client.get("reviews/0"))
    assert [IDS] == recorder.relayed
    assert ["shop.example"] == [received.headers["host"] for received in recorder.received]


class TestHooks:
    """The application's event hooks."""

    def test_they_are_kept(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """They are the ones that were given, and are called as ever, in their order."""
        called: list[str] = []
        hooks = {
            "request": [
                use.hook(lambda _: called.append("a")),
                use.hook(lambda _: called.append("b")),
            ],
            "response": [use.hook(lambda _: called.append("c"))],
        }
        client = relaying(event_hooks=hooks)
        assert hooks == client.event_hooks
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert hooks == client.event_hooks
        assert ["a", "b", "c"] == called
        assert [IDS] == recorder.relayed

    def test_what_one_sets_wins(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """A header that a hook sets is the caller's, and keeps its whole format from ours."""

        def own(request: Any) -> None:  # noqa: ANN401 - of one of two libraries
            assert set() == IDS.keys() & {*request.headers}
            request.headers["traceparent"] = OWN_PARENT

        client = relaying(event_hooks={"request": [use.hook(own)]})
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        expected = {"x-request-id": IDS["x-request-id"], **B3, "traceparent": OWN_PARENT}
        assert [expected] == recorder.relayed

    def test_one_that_sends_the_request_elsewhere(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """Where a hook changes the URL, the host that the request really goes to is judged."""

        def elsewhere(request: Any) -> None:  # noqa: ANN401 - of one of two libraries
            request.url = request.url.copy_with(host="shop.example")

        client = relaying(event_hooks={"request": [use.hook(elsewhere)]})
        meshtrace.configure(forward="end-user")
        with meshtrace.use({**IDS, "end-user": "jason"}):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed

    def test_one_that_is_set_later(self, use: Use, client: Any, recorder: Recorder) -> None:  # noqa: ANN401 - of one of two libraries
        """Replacing the hooks of a client takes nothing of ours away."""
        client.event_hooks = {"request": [], "response": []}
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed


class TestAuth:
    """``auth=``, which may send several requests."""

    def test_a_signature_does_not_cover_the_fields(
        self,
        use: Use,
        client: Any,  # noqa: ANN401 - of one of two libraries
        recorder: Recorder,
    ) -> None:
        """A signature is made before the fields are added, so that no later hop breaks it."""
        signed: list[set[str]] = []

        def sign(request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
            signed.append({*request.headers})
            request.headers["Authorization"] = "signature"
            return request

        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL, auth=sign))
        assert set() == IDS.keys() & signed[0]
        assert ["signature"] == [got.headers["authorization"] for got in recorder.received]
        assert [IDS] == recorder.relayed

    def test_digest_authentication(self, use: Use, client: Any, recorder: Recorder) -> None:  # noqa: ANN401 - of one of two libraries
        """The second round carries the same fields as the first, and none of them twice."""
        challenge = {"WWW-Authenticate": 'Digest realm="mesh", nonce="abc", qop="auth"'}
        recorder.answers["/reviews/0"] = [Answer(401, challenge)]
        digest = use.library.DigestAuth("jason", "secret")
        with meshtrace.use(IDS):
            assert 200 == use.do(lambda: client.get(URL, auth=digest)).status_code
        assert [IDS, IDS] == recorder.relayed

    def test_a_token_from_elsewhere(self, use: Use, client: Any, recorder: Recorder) -> None:  # noqa: ANN401 - of one of two libraries
        """A request that authentication makes by itself is judged by where it goes."""
        library = use.library

        class Token(library.Auth):  # type: ignore[misc,name-defined]  # of one of two libraries
            def auth_flow(self, request: Any) -> Iterator[Any]:  # noqa: ANN401 - of one of two libraries
                yield library.Request("POST", "http://login.example/token")
                yield request

        meshtrace.configure(forward=["end-user", "baggage"])
        with meshtrace.use(ALL):
            use.do(lambda: client.get(URL, auth=Token()))
        assert [IDS, ALL] == recorder.relayed


class TestTransports:
    """Transports of the application's own, and those of the library that lead elsewhere."""

    def test_one_of_its_own(self, use: Use, relaying: Callable[..., Any]) -> None:
        """A transport is given a request that has the fields."""
        seen: list[dict[str, str]] = []

        def answer(request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
            seen.append(_ours(request.headers))
            return use.library.Response(204)

        client = relaying(transport=use.transport(answer))
        mounted = relaying(mounts={"http://reviews": use.transport(answer)})
        mock = relaying(transport=use.library.MockTransport(answer))
        with meshtrace.use(IDS):
            for one in (client, mounted, mock):
                assert 204 == use.do(partial(one.get, "http://reviews/")).status_code
        assert [IDS] * 3 == seen

    def test_one_that_tries_again(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """A transport that sends the request again sends the fields again, once each."""
        library = use.library

        class Blocking(library.HTTPTransport):  # type: ignore[misc,name-defined]  # of one of two libraries
            def handle_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
                super().handle_request(request).read()
                return super().handle_request(request)

        class Awaited(library.AsyncHTTPTransport):  # type: ignore[misc,name-defined]  # of one of two libraries
            async def handle_async_request(self, request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
                await (await super().handle_async_request(request)).aread()
                return await super().handle_async_request(request)

        client = relaying(transport=Blocking() if use.blocks else Awaited())
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert [IDS, IDS] == recorder.relayed

    def test_an_application_in_the_process(self, use: Use, relaying: Callable[..., Any]) -> None:
        """An application that is called without a socket gets the fields."""
        seen: list[dict[str, str]] = []

        def wsgi(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
            headers = {name[5:].replace("_", "-"): value for name, value in environ.items()}
            seen.append(_ours(headers))
            start("204 No Content", [])
            return []

        async def asgi(scope: Any, _: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
            seen.append(_ours({name.decode(): value.decode() for name, value in scope["headers"]}))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        library = use.library
        client = relaying(
            transport=library.WSGITransport(wsgi) if use.blocks else library.ASGITransport(asgi)
        )
        with meshtrace.use(IDS):
            assert 204 == use.do(lambda: client.get(URL)).status_code
        assert [IDS] == seen

    @pytest.mark.parametrize("mocker", ["httpx", "httpcore"])
    def test_a_mock_of_respx(self, mocker: str, recorder: Recorder) -> None:
        """A mock that stands in for the transport sees the fields."""
        meshtrace.patch("httpx")
        with respx.mock(using=mocker) as mock, meshtrace.use(IDS):
            route = mock.get(URL).respond(204)
            assert 204 == httpx.get(URL).status_code
        assert IDS == _ours(route.calls.last.request.headers)
        assert [] == recorder.received


class TestRedirects:
    """Chains that the application follows itself, and what the library takes off on the way."""

    def test_the_next_request_sent_by_hand(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """`response.next_request` carries what is current when sent, and remembers its way."""
        client = relaying()
        meshtrace.configure(forward="end-user")
        recorder.answers["/0"] = [redirect("http://reviews/1")]
        with meshtrace.use({**IDS, "end-user": "jason"}):
            following = use.do(lambda: client.get("http://shop.example/0")).next_request
        with meshtrace.use(OTHER):
            use.do(lambda: client.send(following))
            use.do(lambda: client.send(following))
        use.do(lambda: client.send(following))
        other = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
        assert [IDS, other, other, {}] == recorder.relayed

    def test_authorization_is_not_sent_after_one(
        self,
        use: Use,
        client: Any,  # noqa: ANN401 - of one of two libraries
        recorder: Recorder,
    ) -> None:
        """The request's own ``authorization`` goes to named hosts only, and not any further."""
        meshtrace.configure(authorization_hosts=["orders"])
        recorder.answers["/0"] = [redirect("http://orders/1")]
        with meshtrace.use({**IDS, "authorization": "Bearer jason"}):
            use.do(lambda: client.get("http://orders/0"))
        assert ["Bearer jason", None] == [
            got.headers.get("authorization") for got in recorder.received
        ]

    def test_a_request_made_from_one_that_was_sent(
        self,
        use: Use,
        client: Any,  # noqa: ANN401 - of one of two libraries
        recorder: Recorder,
    ) -> None:
        """A request that copies another's headers and extensions copies nothing of ours."""
        first = client.build_request("GET", URL)
        with meshtrace.use(IDS):
            use.do(lambda: client.send(first))
        second = use.library.Request("GET", URL, headers=first.headers, extensions=first.extensions)
        with meshtrace.use(OTHER):
            use.do(lambda: client.send(second))
        use.do(lambda: client.send(second))
        other = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
        assert [IDS, other, {}] == recorder.relayed

    def test_too_many(self, use: Use, relaying: Callable[..., Any], recorder: Recorder) -> None:
        """A chain without an end raises the library's own error."""
        client = relaying(follow_redirects=True, max_redirects=2)
        recorder.answers["/"] = [redirect("http://reviews/")] * 9
        with meshtrace.use(IDS), pytest.raises(use.library.TooManyRedirects):
            use.do(lambda: client.get("http://reviews/"))
        assert [IDS] * 3 == recorder.relayed


class TestTheCallersObjects:
    """What the caller made stays as it was, but for the request that is sent."""

    def test_the_clients_headers_are_never_written(
        self, use: Use, relaying: Callable[..., Any], recorder: Recorder
    ) -> None:
        """`client.headers`, which calls share, is the same before, during and after a call."""
        during: list[object] = []
        client = relaying()
        client.event_hooks["response"].append(
            use.hook(lambda _: during.append(dict(client.headers)))
        )
        before = dict(client.headers)
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
        assert [IDS] == recorder.relayed
        assert [before] == during
        assert before == dict(client.headers)

    def test_the_response_tells_what_was_sent(self, use: Use, client: Any) -> None:  # noqa: ANN401 - of one of two libraries
        """`response.request` has the headers that went out, and the caller's own extensions."""
        given = {"sni_hostname": "reviews"}
        with meshtrace.use(IDS):
            request = use.do(lambda: client.get(URL, extensions=given)).request
        assert IDS == _ours(request.headers)
        assert "reviews" == request.extensions["sni_hostname"]
        assert {"sni_hostname": "reviews"} == given

    def test_what_the_application_sets(self, use: Use, client: Any, recorder: Recorder) -> None:  # noqa: ANN401 - of one of two libraries
        """What is set with `set_header` goes out from then on."""
        with meshtrace.use(IDS):
            meshtrace.set_header("End-User", USER_DATA["end-user"])
            use.do(lambda: client.get(URL))
        assert [{**IDS, "end-user": "jason"}] == recorder.relayed

    def test_a_request_that_is_odd(
        self, use: Use, relaying: Callable[..., Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        """What cannot be read is sent as it is, and said once."""

        def spoil(request: Any) -> None:  # noqa: ANN401 - of one of two libraries
            request.extensions = None

        seen: list[dict[str, str]] = []

        def answer(request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
            seen.append(_ours(request.headers))
            return use.library.Response(204)

        hooks = {"request": [use.hook(spoil)]}
        client = relaying(transport=use.transport(answer), event_hooks=hooks)
        with meshtrace.use(IDS):
            use.do(lambda: client.get(URL))
            use.do(lambda: client.get(URL))
        assert [{}, {}] == seen
        name = use.library.__name__
        assert [
            f"meshtrace: a fault while adding headers to a call of {name}; going on without"
        ] == [record.getMessage() for record in caplog.records if record.name == "meshtrace"]


def _ours(headers: Any) -> dict[str, str]:  # noqa: ANN401 - of one of two libraries, or a dict
    return {name.lower(): value for name, value in headers.items() if name.lower() in IDS}

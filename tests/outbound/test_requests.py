"""What came in goes out with every call of requests, in whichever way it is sent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.recording import ALL, IDS, OTHER, USER_DATA, Answer, Recorder

URL = "http://reviews:9080/reviews/0"


class OwnWay(requests.Session):
    """A session with ways of its own."""

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
        """Call below a prefix."""
        return super().request(method, f"{url}?own", *args, **kwargs)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401 - requests' own options
        """Send with a mark on it."""
        request.headers["x-own"] = "1"
        return super().send(request, **kwargs)


def _chunks() -> Iterator[bytes]:
    yield b"al"
    yield b"ice"


def _hand_prepared(session: requests.Session) -> requests.Response:
    prepared = requests.PreparedRequest()
    prepared.prepare("GET", URL)
    return session.send(prepared)


WAYS = [
    pytest.param(lambda session: session.get(URL), id="get"),
    pytest.param(lambda session: session.head(URL), id="head"),
    pytest.param(lambda session: session.post(URL, data=b"x"), id="post with a body"),
    pytest.param(lambda session: session.put(URL, json={}), id="put with JSON"),
    pytest.param(lambda session: session.request("GET", URL), id="request"),
    pytest.param(
        lambda session: session.send(session.prepare_request(requests.Request("GET", URL))),
        id="a request that the session prepared",
    ),
    pytest.param(
        lambda session: session.send(requests.Request("GET", URL).prepare()),
        id="a request that prepared itself",
    ),
    pytest.param(_hand_prepared, id="a request prepared by hand"),
    pytest.param(
        lambda session: session.send(request=requests.Request("GET", URL).prepare()),
        id="a request given by name",
    ),
    pytest.param(lambda session: session.get(URL, timeout=(5, 5)), id="with a timeout"),
    pytest.param(
        lambda session: session.get(URL, cookies={"a": "b"}, params={"c": "d"}),
        id="with cookies and parameters",
    ),
]


@pytest.mark.parametrize("send", WAYS)
def test_what_came_in_goes_out(
    send: Callable[[requests.Session], requests.Response],
    session: requests.Session,
    recorder: Recorder,
) -> None:
    """Every way of sending carries every field of the request, byte for byte and one line each."""
    meshtrace.configure(forward=["end-user", "baggage"])
    with meshtrace.use(ALL):
        assert 200 == send(session).status_code
    assert [ALL] == recorder.relayed


@pytest.mark.parametrize("send", WAYS)
def test_nothing_goes_out_where_nothing_came_in(
    send: Callable[[requests.Session], requests.Response],
    session: requests.Session,
    recorder: Recorder,
) -> None:
    """No way of sending makes an id up, in a request that brought none, and outside any."""
    with meshtrace.use({}):
        send(session)
    send(session)
    assert [{}, {}] == recorder.relayed


@pytest.mark.parametrize("name", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_the_functions_of_patched_requests(name: str, recorder: Recorder) -> None:
    """`requests.get` and its siblings, which make a session of their own, relay once patched."""
    meshtrace.patch("requests")
    with meshtrace.use(IDS):
        getattr(requests, name)("http://reviews/")
    assert [(name.upper(), IDS)] == [(got.method, got.relayed) for got in recorder.received]


def test_a_subclass_with_its_own_ways(recorder: Recorder) -> None:
    """A session whose class overrides `send` and `request` keeps them, wrapped or patched."""
    meshtrace.patch("requests")
    with meshtrace.wrap(OwnWay()) as wrapped, OwnWay() as patched, meshtrace.use(IDS):
        wrapped.get("http://reviews/")
        patched.get("http://reviews/")
    assert ["/?own", "/?own"] == [got.path for got in recorder.received]
    assert [{**IDS, "x-own": "1"}] * 2 == recorder.relayed


def test_a_body_that_is_generated(session: requests.Session, recorder: Recorder) -> None:
    """An upload whose body is a generator carries the fields, and its body arrives whole."""
    with meshtrace.use(IDS):
        session.post(URL, data=_chunks())
    assert [(IDS, b"alice")] == [(got.relayed, got.body) for got in recorder.received]


def test_an_answer_that_is_streamed(session: requests.Session, recorder: Recorder) -> None:
    """A streamed answer is read as ever, also after the request has ended."""
    recorder.answers["/"] = [Answer(body=b"x" * 100_000)]
    with meshtrace.use(IDS):
        response = session.get("http://reviews/", stream=True)
    with response:
        assert 100_000 == sum(map(len, response.iter_content(1000)))
    assert [IDS] == recorder.relayed


def test_a_hook_that_calls_on(session: requests.Session, recorder: Recorder) -> None:
    """A response hook that sends another request with the same session relays, too."""

    def call_on(response: requests.Response, **_: object) -> None:
        if response.url.endswith("/first"):
            session.get("http://ratings/second")

    session.hooks["response"].append(call_on)
    with meshtrace.use(IDS):
        session.get("http://reviews/first")
    assert ["/first", "/second"] == [got.path for got in recorder.received]
    assert [IDS, IDS] == recorder.relayed


def test_a_hook_that_sends_the_same_again(session: requests.Session, recorder: Recorder) -> None:
    """A response hook that sends the very request again doubles nothing."""

    def once_more(response: requests.Response, **_: object) -> requests.Response:
        return session.send(response.request) if response.status_code == 503 else response

    recorder.answers["/"] = [Answer(503)]
    session.hooks["response"].append(once_more)
    with meshtrace.use(IDS):
        assert 200 == session.get("http://reviews/").status_code
    assert [IDS, IDS] == recorder.relayed


def test_a_signature_does_not_cover_the_fields(
    session: requests.Session, recorder: Recorder
) -> None:
    """`auth=` signs before the fields are added, so that no later hop breaks the signature."""
    signed: list[list[str]] = []

    class Signing(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            signed.append([name.lower() for name in request.headers])
            request.headers["Authorization"] = "signature"
            return request

    with meshtrace.use(IDS):
        session.get(URL, auth=Signing())
    assert set() == IDS.keys() & {*signed[0]}
    assert [(IDS, "signature")] == [
        (got.relayed, got.headers["authorization"]) for got in recorder.received
    ]


def test_digest_authentication(session: requests.Session, recorder: Recorder) -> None:
    """The second try of digest authentication, which requests sends by itself, carries the same."""
    challenge = {"WWW-Authenticate": 'Digest realm="mesh", nonce="abc", qop="auth"'}
    recorder.answers["/"] = [Answer(401, challenge)]
    with meshtrace.use(IDS):
        response = session.get("http://reviews/", auth=HTTPDigestAuth("jason", "secret"))
    assert 200 == response.status_code
    assert [IDS, IDS] == recorder.relayed
    assert recorder.received[1].headers["authorization"].startswith("Digest ")


def test_retries_of_urllib3(session: requests.Session, recorder: Recorder) -> None:
    """Each retry carries the same fields as the first try, and none of them twice."""
    retry = Retry(total=2, status_forcelist=[503], backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    recorder.answers["/"] = [Answer(503), Answer(503)]
    with meshtrace.use(IDS):
        assert 200 == session.get("http://reviews/").status_code
    assert [IDS] * 3 == recorder.relayed


def test_a_mounted_adapter_sees_the_fields(session: requests.Session) -> None:
    """What is sent through an adapter of the application's own has the fields, too."""
    seen: list[dict[str, str]] = []

    class Memory(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]  # it needs no options
            seen.append({name: value for name, value in request.headers.items() if name in IDS})
            response = requests.Response()
            response.status_code = 204
            response.request = request
            response.url = str(request.url)
            return response

    session.mount("http://", Memory())
    with meshtrace.use(IDS):
        session.get(URL)
    assert [IDS] == seen


def test_the_response_tells_what_was_sent(session: requests.Session, recorder: Recorder) -> None:
    """`response.request` has the headers that really went out."""
    with meshtrace.use(IDS):
        headers = session.get(URL).request.headers
    assert recorder.received[0].headers.items() >= {(n.lower(), v) for n, v in headers.items()}
    assert {**headers, **IDS} == {**headers}


def test_a_request_that_sets_user_data(session: requests.Session, recorder: Recorder) -> None:
    """What the application sets with `set_header` goes out from then on, for this request only."""
    with meshtrace.use(IDS):
        session.get(URL)
        meshtrace.set_header("End-User", "jason")
        session.get(URL)
    with meshtrace.use(OTHER):
        session.get(URL)
    ids_of_other = {name: OTHER[name] for name in ("x-request-id", "b3")}
    assert [IDS, {**IDS, "end-user": "jason"}, ids_of_other] == recorder.relayed


def test_one_after_another(session: requests.Session, recorder: Recorder) -> None:
    """A connection that is kept alive between two requests carries each one's own fields."""
    with meshtrace.use(IDS):
        session.get(URL)
    with meshtrace.use(OTHER):
        session.get(URL)
    session.get(URL)
    assert [IDS, {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}, {}] == recorder.relayed


def test_detached(session: requests.Session, recorder: Recorder) -> None:
    """Inside `detached()` a call carries nothing."""
    with meshtrace.use(IDS), meshtrace.detached():
        session.get(URL)
    assert [{}] == recorder.relayed


def test_settings_given_in_code_later_count(session: requests.Session, recorder: Recorder) -> None:
    """A session made before `configure` follows what it says."""
    with meshtrace.use(IDS):
        meshtrace.configure(deny_hosts="reviews")
        session.get(URL)
        meshtrace.configure()
        session.get(URL)
    assert [{}, IDS] == recorder.relayed


def test_the_sessions_own_headers_are_never_written(
    session: requests.Session, recorder: Recorder
) -> None:
    """`session.headers`, which threads share, is the same before, during and after a call."""
    meshtrace.configure(forward="end-user")
    before = dict(session.headers)
    during: list[dict[str, Any]] = []
    session.hooks["response"].append(lambda *_, **__: during.append(dict(session.headers)))
    with meshtrace.use({**IDS, "end-user": USER_DATA["end-user"]}):
        session.get(URL)
    assert 1 == len(recorder.received)
    assert [before] == during
    assert before == dict(session.headers)

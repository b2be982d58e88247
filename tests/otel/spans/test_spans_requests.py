"""What is sent again below a session of requests: each time an attempt, with a span and its ids."""

import copy
import gc
import io
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

import pytest
import requests
import urllib3
from opentelemetry import context
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3 import HTTPConnectionPool
from urllib3.util.retry import Retry

import meshtrace
from tests.formats.strategies import TRACE
from tests.otel.spans.conftest import Spans
from tests.otel.spans.serving import CAME, serve
from tests.outbound.recording import Answer, Recorder, redirect

URL = "http://reviews:9080/"
ORIGINAL = HTTPConnectionPool.urlopen
CHALLENGE = Answer(401, {"WWW-Authenticate": 'Digest realm="mesh", nonce="n", qop="auth"'})


def _patched(*names: str) -> requests.Session:
    meshtrace.patch(*names)
    return requests.Session()


@pytest.fixture(
    params=[
        pytest.param(lambda: meshtrace.wrap(requests.Session()), id="a wrapped session"),
        pytest.param(lambda: _patched("requests"), id="requests patched alone"),
        pytest.param(_patched, id="all patched"),
    ]
)
def session(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[requests.Session]:
    """Give a session that tries again, made in each way in which one is made."""
    assert [] == recorder.received
    make: Callable[[], requests.Session] = request.param
    with make() as session:
        session.mount("http://", HTTPAdapter(max_retries=_retry()))
        yield session
    meshtrace.unpatch()
    assert ORIGINAL is HTTPConnectionPool.urlopen


def _seen(_: requests.Response, **__: object) -> None:
    """Do nothing: a hook that can be pickled."""


def _retry(total: int = 5) -> Retry:
    return Retry(total, status_forcelist=[503], backoff_factor=0)


def _told(spans: Spans, name: str) -> list[object]:
    return [(span.attributes or {}).get(name) for span in spans.clients]


def _codes(spans: Spans) -> list[object]:
    return _told(spans, "http.response.status_code")


def _errors(spans: Spans) -> list[object]:
    return _told(spans, "error.type")


def _counts(spans: Spans) -> list[object]:
    return _told(spans, "http.request.resend_count")


def _id(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def _are_on_the_wire(recorder: Recorder, spans: Spans) -> None:
    """Check that each attempt has left with the ids of its own span, one line each."""
    ids = [{"traceparent": f"00-{TRACE}-{_id(s)}-01", "x-b3-spanid": _id(s)} for s in spans.clients]
    assert len(ids) == len({sent["x-b3-spanid"] for sent in ids})
    assert [{**CAME, **own} for own in ids] == recorder.relayed
    assert [spans.server.context] * len(ids) == [span.parent for span in spans.clients]


def test_each_retry_has_a_span(session: requests.Session, recorder: Recorder, spans: Spans) -> None:
    """Attempts stand beside one another, are counted, and each tells how it went."""
    recorder.answers["/"] = [Answer(503), Answer(lost=True), Answer(503)]
    serve(lambda: session.get(URL))
    _are_on_the_wire(recorder, spans)
    assert [503, None, 503, 200] == _codes(spans)
    assert ["503", "urllib3.exceptions.ProtocolError", "503", None] == _errors(spans)
    assert [None, 1, 2, 3] == _counts(spans)
    assert {URL} == set(_told(spans, "url.full"))


def test_connecting_again_is_an_attempt(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """An attempt that reaches nobody tells why, and the next one its number."""
    recorder.unreachable = 1
    serve(lambda: session.get(URL))
    assert [None, 200] == _codes(spans)
    assert [None, 1] == _counts(spans)
    assert ["urllib3.exceptions.NewConnectionError", None] == _errors(spans)
    assert [_id(spans.clients[1])] == [sent["x-b3-spanid"] for sent in recorder.relayed]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Answer(503), requests.exceptions.RetryError, id="answered with an error"),
        pytest.param(Answer(lost=True), requests.exceptions.ConnectionError, id="lost"),
    ],
)
def test_the_last_attempt_tells_what_was_raised(
    answer: Answer,
    error: type[Exception],
    session: requests.Session,
    recorder: Recorder,
    spans: Spans,
) -> None:
    """A call that is given up ends its last attempt with requests' error, which stands there."""
    session.mount("http://", HTTPAdapter(max_retries=_retry(1)))
    recorder.answers["/"] = [answer] * 2
    with pytest.raises(error):
        serve(lambda: session.get(URL))
    _are_on_the_wire(recorder, spans)
    assert f"requests.exceptions.{error.__name__}" == _errors(spans)[1]
    assert ["exception"] == [event.name for event in spans.clients[1].events]
    assert () == spans.server.events


def test_the_round_that_answers_a_challenge_has_a_span(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Digest authentication sends twice: the second is an attempt, with a parent of its own."""
    recorder.answers["/"] = [CHALLENGE]
    serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
    _are_on_the_wire(recorder, spans)
    assert [401, 200] == _codes(spans)
    assert [None, 1] == _counts(spans)
    assert ["authorization" in got.headers for got in recorder.received] == [False, True]


def test_a_round_that_fails(session: requests.Session, recorder: Recorder, spans: Spans) -> None:
    """A round tries again like the first one, and ends with what is raised."""
    session.mount("http://", HTTPAdapter(max_retries=_retry(1)))
    recorder.answers["/"] = [CHALLENGE, Answer(503), Answer(503)]
    with pytest.raises(requests.exceptions.RetryError):
        serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
    _are_on_the_wire(recorder, spans)
    assert ["401", "503", "requests.exceptions.RetryError"] == _errors(spans)
    assert [None, 1, 2] == _counts(spans)


def test_attempts_of_all_kinds_are_counted_together(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Retries, rounds and redirects of one call have one count."""
    recorder.answers["/"] = [Answer(503), CHALLENGE, Answer(503), redirect("http://ratings/b")]
    recorder.answers["/b"] = [Answer(503)]
    serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
    _are_on_the_wire(recorder, spans)
    assert [503, 401, 503, 302, 503, 200] == _codes(spans)
    assert [None, 1, 2, 3, 4, 5] == _counts(spans)


def test_a_request_that_is_sent_again_begins_anew(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """The caller's own next sending of a request is another call."""
    recorder.answers["/"] = [Answer(503)]
    prepared = session.prepare_request(requests.Request("GET", URL))

    def twice() -> None:
        session.send(prepared)
        session.send(prepared)

    serve(twice)
    _are_on_the_wire(recorder, spans)
    assert [None, 1, None] == _counts(spans)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda request: request])
def test_an_adapter_that_tries_again(
    twin: Callable[[Any], Any], session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Tries of an adapter of the application's own, also of copies, are attempts."""

    class Trying(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
            for _ in range(2):
                try:
                    response = super().send(twin(request), *args, **kwargs)
                except requests.ConnectionError:
                    continue
                if response.status_code == 200:
                    break
            return response

    recorder.answers["/"] = [Answer(503)]
    session.mount("http://", Trying())
    serve(lambda: session.get(URL))
    _are_on_the_wire(recorder, spans)
    assert [503, 200] == _codes(spans)
    recorder.answers["/"] = [Answer(lost=True)]
    serve(lambda: session.get(URL))
    assert "urllib3.exceptions.ProtocolError" == _errors(spans)[2]
    assert [None, 1, None, 1] == _counts(spans)


def test_what_a_session_denies_is_denied_each_time(recorder: Recorder, spans: Spans) -> None:
    """The settings of the session decide for every attempt, also where urllib3 is patched."""
    meshtrace.patch()
    recorder.answers["/"] = [Answer(503), CHALLENGE]
    with meshtrace.wrap(requests.Session(), deny_hosts="reviews") as session:
        session.mount("http://", HTTPAdapter(max_retries=_retry()))
        serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
    assert [{}] * 3 == recorder.relayed
    assert [None, 1, 2] == _counts(spans)


def test_what_ours_takes_the_place_of_is_replaced_each_time(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """With ``on_conflict="replace"`` no attempt has the caller's own."""
    meshtrace.configure(spans=True, on_conflict="replace")
    recorder.answers["/"] = [Answer(503), CHALLENGE]
    headers = {"B3": "0", "TraceParent": "own", "X-B3-SpanId": "own"}
    serve(lambda: session.get(URL, headers=headers, auth=HTTPDigestAuth("u", "p")))
    ids = [_id(span) for span in spans.clients]
    assert ids == [sent["x-b3-spanid"] for sent in recorder.relayed]
    assert ids == [sent["traceparent"][36:52] for sent in recorder.relayed]


def test_somebody_between_ours_and_ours(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Where urllib3 is changed twice, because one between does not say so, an attempt is one."""
    recorder.answers["/"] = [Answer(503), CHALLENGE, Answer(503)]
    recorder.answers["/before"] = [Answer()]
    serve(lambda: session.get(f"{URL}before"))
    ours = HTTPConnectionPool.urlopen

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - urllib3's own
        return ours(self, *args, **kwargs)

    try:
        HTTPConnectionPool.urlopen = theirs  # type: ignore[method-assign]  # as many do
        serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
        assert theirs is not HTTPConnectionPool.urlopen
    finally:
        meshtrace.unpatch()
        assert theirs is HTTPConnectionPool.urlopen
        HTTPConnectionPool.urlopen = ORIGINAL  # type: ignore[method-assign]  # as at the start
    assert [None, None, 1, 2, 3] == _counts(spans)
    assert [_id(span) for span in spans.clients] == [
        sent["x-b3-spanid"] for sent in recorder.relayed
    ]


def test_beneath_another_tracer(
    session: requests.Session,
    recorder: Recorder,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where others may write headers, the last look leaves each attempt its own."""
    for module in ("requests.sending", "urllib3.attempts"):
        monkeypatch.setattr(f"meshtrace.outbound.{module}.others_write", lambda _: True)
    recorder.answers["/"] = [Answer(503), CHALLENGE, Answer(503), redirect("http://ratings/b")]
    serve(lambda: session.get(URL, auth=HTTPDigestAuth("u", "p")))
    _are_on_the_wire(recorder, spans)
    assert [None, 1, 2, 3, 4] == _counts(spans)


def test_a_call_of_anybody_else_is_left_alone(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Where urllib3 is not patched, it is watched for calls of requests, and for nothing else."""
    meshtrace.unpatch("urllib3")
    recorder.answers["/"] = [Answer(503)]

    def call() -> None:
        session.get(f"{URL}a")
        with HTTPConnectionPool("reviews", 9080) as pool:
            pool.urlopen("GET", "/", retries=_retry())

    meshtrace.unpatch("http.client")
    serve(call)
    assert [200] == _codes(spans)
    assert [{}, {}] == recorder.relayed[1:]


def test_where_no_span_is_made_urllib3_stays_as_it_is(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Relaying alone changes nothing of urllib3 that is not patched."""
    meshtrace.configure()
    meshtrace.unpatch("urllib3")
    recorder.answers["/"] = [Answer(503), CHALLENGE]
    with meshtrace.use(CAME):
        session.get(URL, auth=HTTPDigestAuth("u", "p"))
    assert ORIGINAL is HTTPConnectionPool.urlopen
    assert [CAME] * 3 == recorder.relayed
    assert [] == spans.all


def test_what_is_kept_of_a_call_is_plain(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """Headers of an attempt can be copied and pickled, and are read where there is no meshtrace."""
    twins: list[Any] = []

    def hook(response: requests.Response, **_: object) -> None:
        headers = response.request.headers
        twins.extend((copy.deepcopy(headers), pickle.loads(pickle.dumps(headers)), headers))  # noqa: S301 - made here
        assert b"meshtrace." not in pickle.dumps(headers)

    serve(lambda: session.get(URL, hooks={"response": hook}))
    assert [twins[2]] * 2 == twins[:2]
    assert 1 == len(recorder.received) == len(spans.clients)


def test_a_request_that_is_kept_on_its_way(recorder: Recorder, spans: Spans) -> None:
    """An adapter that pickles it keeps what the caller made; one that copies it may send that."""
    pickled: list[bytes] = []
    copies: list[requests.PreparedRequest] = []

    class Keeping(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
            pickled.append(pickle.dumps(request))
            copies.append(request.copy())
            return super().send(request, *args, **kwargs)

    with meshtrace.wrap(requests.Session()) as session:
        session.mount("http://", Keeping())
        serve(lambda: session.get(URL, hooks={"response": _seen}))
    assert b"meshtrace" not in pickled[0]
    assert {"response": [_seen]} == pickle.loads(pickled[0]).hooks  # noqa: S301 - just made
    with requests.Session() as plain:
        plain.send(copies[0])
    assert [200] == _codes(spans)
    assert 2 == len(recorder.received)


def test_a_request_that_is_sent_twice_at_once(spans: Spans) -> None:
    """It has its own hooks again, also where the one that was sent first is answered first."""
    prepared = requests.Request("GET", URL).prepare()
    own = prepared.hooks
    others: list[threading.Thread] = []
    both, over = threading.Event(), threading.Event()

    class Crossing(BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - requests' own options
            if not others:
                others.append(threading.Thread(target=meshtrace.carry(send)))
                others[0].start()
                both.wait(5)
            else:
                both.set()
                over.wait(5)
            response = requests.Response()
            response.status_code, response.url, response.raw = 204, URL, io.BytesIO()
            response.request = request
            return response

        def close(self) -> None:
            """Have nothing to close."""

    def send() -> None:
        with meshtrace.wrap(requests.Session()) as session:
            session.mount("http://", Crossing())
            session.send(prepared)

    def call() -> None:
        send()
        over.set()
        others[0].join()

    serve(call)
    assert own is prepared.hooks
    assert 2 == len(spans.clients)


def test_what_a_response_keeps(recorder: Recorder, spans: Spans) -> None:
    """Who keeps a response keeps nothing of what was current when it was asked for."""
    kept: list[requests.Response] = []
    work: weakref.ref[Answer] | None = None

    def call() -> None:
        nonlocal work
        current = Answer()
        work = weakref.ref(current)
        context.attach(context.set_value("work", current))
        with meshtrace.wrap(requests.Session()) as session:
            kept.append(session.get(URL))

    serve(lambda: copy_context().run(call))
    gc.collect()
    assert work is not None
    assert work() is None
    assert [200] == [response.status_code for response in kept] == _codes(spans)
    assert 1 == len(recorder.received)


def test_a_response_without_a_status(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    """What a test has in the place of a response may lack what a span tells."""
    answered = requests.Response()
    answered.url, answered.raw = URL, io.BytesIO()
    del answered.status_code

    class Answering(BaseAdapter):
        def send(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - requests' own options
            return answered

        def close(self) -> None:
            """Have nothing to close."""

    def call() -> None:
        with meshtrace.wrap(requests.Session()) as session:
            session.mount("http://", Answering())
            assert answered is session.get(URL, allow_redirects=False, stream=True)

    serve(call)
    assert [None] == _codes(spans)
    assert "looking at a response of requests" in caplog.text


def test_a_request_that_is_sent_past_the_session_later(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """When a call is over, its request, sent by hand to an adapter, is no attempt any more."""

    def call() -> None:
        response = session.get(URL)
        session.get_adapter(URL).send(response.request)

    serve(call)
    assert 2 == len(recorder.received)
    assert recorder.relayed[0] == recorder.relayed[1]
    assert _id(spans.clients[0]) == recorder.relayed[1]["x-b3-spanid"]


def test_a_fault_of_ours_does_not_harm_a_retry(
    session: requests.Session,
    recorder: Recorder,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What cannot be made an attempt is sent as it is."""

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("meshtrace.outbound.requests.attempts.put_on", bug)
    recorder.answers["/"] = [Answer(503)]
    serve(lambda: session.get(URL))
    assert 200 == _codes(spans)[-1]
    assert 2 == len(recorder.received)
    assert 1 == sum("a fault while" in record.getMessage() for record in caplog.records)


def test_an_attempt_without_a_span(
    session: requests.Session, recorder: Recorder, spans: Spans
) -> None:
    """An attempt for which another tracer has a span goes out under what is current then."""

    class Quiet(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
            super().send(request, *args, **kwargs)
            with suppress_http_instrumentation():
                return super().send(request, *args, **kwargs)

    session.mount("http://", Quiet())
    serve(lambda: session.get(URL))
    assert [_id(spans.clients[0]), _id(spans.server)] == [
        sent["x-b3-spanid"] for sent in recorder.relayed
    ]


def test_over_a_urllib3_that_is_too_old(
    recorder: Recorder, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays as it is: what it sends again has the first attempt's span."""
    monkeypatch.setattr(urllib3, "__version__", "1.22")
    recorder.answers["/"] = [Answer(503)]
    with meshtrace.wrap(requests.Session()) as session:
        session.mount("http://", HTTPAdapter(max_retries=_retry()))
        serve(lambda: session.get(URL))
    assert ORIGINAL is HTTPConnectionPool.urlopen
    assert [_id(spans.clients[0])] * 2 == [sent["x-b3-spanid"] for sent in recorder.relayed]

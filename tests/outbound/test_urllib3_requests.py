"""requests over urllib3, both of them relaying or one: nothing is decided twice."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.recording import ALL, B3, IDS, W3C, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
FORWARD = ["end-user", "baggage"]


def _retrying() -> requests.Session:
    session = requests.Session()
    retry = Retry(5, status_forcelist=[503], backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


@pytest.fixture(
    params=[
        pytest.param(("urllib3",), id="urllib3 patched"),
        pytest.param(("urllib3", "requests"), id="both patched"),
        pytest.param(("urllib3", "requests", "http.client"), id="http.client patched, too"),
    ]
)
def _patched(request: pytest.FixtureRequest) -> None:
    meshtrace.patch(*request.param)


@pytest.fixture(
    params=[
        pytest.param([], id="answered at once"),
        pytest.param([Answer(503), Answer(lost=True)], id="answered at the third try"),
    ]
)
def tries(request: pytest.FixtureRequest, recorder: Recorder) -> int:
    """Give how often the first request is made."""
    recorder.answers["/"] = list(request.param)
    return 1 + len(request.param)


@pytest.mark.usefixtures("_patched")
class TestOnce:
    """What a call of requests carries, at each try."""

    def test_a_session(self, tries: int, recorder: Recorder) -> None:
        """A session that is not wrapped sends every field once."""
        with _retrying() as session, meshtrace.use({**IDS, **W3C}):
            session.get(URL)
        assert [{**IDS, **W3C}] * tries == recorder.relayed

    def test_a_wrapped_session(self, tries: int, recorder: Recorder) -> None:
        """A session that is wrapped sends every field once."""
        with meshtrace.wrap(_retrying()) as session, meshtrace.use({**IDS, **W3C}):
            session.get(URL)
        assert [{**IDS, **W3C}] * tries == recorder.relayed

    def test_what_a_session_does_not_forward(self, tries: int, recorder: Recorder) -> None:
        """What a session's own settings keep back is not added further in."""
        meshtrace.configure(forward=FORWARD)
        with meshtrace.wrap(_retrying(), forward="baggage") as session, meshtrace.use(ALL):
            session.get(URL)
        expected = {name: value for name, value in ALL.items() if name != "end-user"}
        assert [expected] * tries == recorder.relayed

    def test_a_host_that_a_session_denies(self, tries: int, recorder: Recorder) -> None:
        """A host that a session's own settings deny gets nothing."""
        with meshtrace.wrap(_retrying(), deny_hosts="reviews") as session, meshtrace.use(ALL):
            session.get(URL)
        assert [{}] * tries == recorder.relayed

    def test_a_plain_dict_for_headers(self, tries: int, recorder: Recorder) -> None:
        """Headers in a plain dict, put on a prepared request, hide no decision, nor change."""
        headers = {"x-own": "1"}
        with meshtrace.wrap(_retrying(), deny_hosts="reviews") as session, meshtrace.use(IDS):
            prepared = session.prepare_request(requests.Request("GET", URL))
            prepared.headers = headers  # type: ignore[assignment]  # which many do
            session.send(prepared)
            prepared.url = "http://ratings/"
            session.send(prepared)
        assert {"x-own": "1"} == headers
        assert [{"x-own": "1"}] * tries + [{**IDS, "x-own": "1"}] == recorder.relayed

    def test_what_a_session_replaces(self, tries: int, recorder: Recorder) -> None:
        """A session that replaces the caller's headers does so at each try."""
        with meshtrace.wrap(_retrying(), on_conflict="replace") as session, meshtrace.use(IDS):
            session.get(URL, headers={"TraceParent": OWN_PARENT})
        assert [IDS] * tries == recorder.relayed

    def test_the_caller_wins(self, tries: int, recorder: Recorder) -> None:
        """What the caller sets of a format keeps the rest of it out, at each try."""
        with _retrying() as session, meshtrace.use(IDS):
            session.get(URL, headers={"X-B3-Sampled": "0"})
        expected = {name: value for name, value in IDS.items() if name not in B3}
        assert [{**expected, "x-b3-sampled": "0"}] * tries == recorder.relayed

    def test_no_context(self, tries: int, recorder: Recorder) -> None:
        """Outside any request nothing is sent, also by a request object that was sent in one."""
        with meshtrace.wrap(_retrying()) as session:
            prepared = session.prepare_request(requests.Request("GET", URL))
            with meshtrace.use(IDS):
                session.send(prepared)
            session.send(prepared)
        assert [*[IDS] * tries, {}] == recorder.relayed


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(requests.Session, id="a session of patched requests"),
        pytest.param(lambda: meshtrace.wrap(requests.Session()), id="a wrapped session"),
    ],
)
def test_a_chain_of_redirects(make: Callable[[], requests.Session], recorder: Recorder) -> None:
    """The session's own memory of a chain counts."""
    meshtrace.configure(forward=FORWARD, deny_hosts="denied")
    meshtrace.patch()
    recorder.answers["/0"] = [redirect("http://denied/1")]
    recorder.answers["/1"] = [redirect("http://reviews/2")]
    with make() as session, meshtrace.use(ALL):
        session.get("http://reviews/0")
    expected = {name: value for name, value in ALL.items() if name not in FORWARD}
    assert [ALL, {}, expected] == recorder.relayed


def test_headers_that_were_decided_on_are_still_requests_own(recorder: Recorder) -> None:
    """The request of a response can be copied, pickled and compared as ever."""
    meshtrace.patch()
    with requests.Session() as session, meshtrace.use(IDS):
        sent = session.get(URL).request
    assert type(sent.headers) is CaseInsensitiveDict
    assert IDS == {name: value for name, value in sent.headers.items() if name in IDS}
    duplicates: list[Any] = [
        copy.copy(sent.headers),
        copy.deepcopy(sent.headers),
        pickle.loads(pickle.dumps(sent.headers)),  # noqa: S301 - made here
    ]
    assert [sent.headers] * 3 == duplicates
    assert b"meshtrace." not in pickle.dumps(sent.headers)
    assert [IDS] == recorder.relayed

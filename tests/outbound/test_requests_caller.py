"""What the caller set on a request stays, and a request that is sent again is decided afresh."""

import copy
import pickle
from collections.abc import Callable

import pytest
import requests

import meshtrace
from tests.outbound.recording import ALL, B3, IDS, OTHER, VENDOR_DATA, W3C, Recorder

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
REQUEST_ID = {"x-request-id": IDS["x-request-id"]}
DATADOG = {
    "x-datadog-trace-id": "1",
    "x-datadog-parent-id": "2",
    "x-datadog-sampling-priority": "1",
    "x-datadog-tags": "_dd.p.tid=6a1d3ccb00000000",
}
SW8 = {"sw8": VENDOR_DATA["sw8"]}
CAME = {**ALL, **DATADOG}


def _without(*names: str) -> dict[str, str]:
    return {name: value for name, value in CAME.items() if name not in names}


FORMATS = [
    pytest.param({"traceparent": "own"}, _without(*W3C), id="traceparent: all of W3C is left"),
    pytest.param({"TraceState": "own"}, _without(*W3C), id="tracestate alone: all of W3C is left"),
    pytest.param({"b3": "own"}, _without(*B3), id="b3: all of x-b3-* is left"),
    pytest.param({"X-B3-TraceId": "own"}, _without(*B3), id="x-b3-traceid: all of B3 is left"),
    pytest.param({"X-B3-FLAGS": "1"}, _without(*B3), id="x-b3-flags, which did not come: B3 left"),
    pytest.param({"x-datadog-origin": "own"}, _without(*DATADOG), id="Datadog is one format"),
    pytest.param({"SW8-X": "own"}, _without("sw8"), id="SkyWalking is one format"),
    pytest.param({"X-Request-ID": "own"}, _without("x-request-id"), id="x-request-id by itself"),
    pytest.param({"End-User": "own"}, _without("end-user"), id="user data name by name"),
    pytest.param({"traceparent": ""}, _without(*W3C), id="an empty value is a value"),
    pytest.param({"traceparent": b"own"}, _without(*W3C), id="a value in bytes"),
    pytest.param({"traceparent": None}, CAME, id="None is no value to requests, and so to us"),
    pytest.param({"x-traceparent": "own"}, CAME, id="another name is another header"),
]


@pytest.mark.parametrize(("own", "expected"), FORMATS)
def test_the_caller_keeps_whole_formats(
    own: dict[str, str | bytes | None],
    expected: dict[str, str],
    session: requests.Session,
    recorder: Recorder,
) -> None:
    """Of a format in which the caller set anything, in any case, nothing of ours is added."""
    meshtrace.configure(forward=["end-user", "baggage"])
    with meshtrace.use(CAME):
        session.get(URL, headers=own)
    sent = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in own.items()
        if value is not None
    }
    assert [{**expected, **sent}] == recorder.relayed


@pytest.mark.parametrize("name", ["b3", "B3"])
def test_a_header_of_the_session_is_the_callers_too(
    name: str, session: requests.Session, recorder: Recorder
) -> None:
    """What stands in `session.headers` counts as set by the caller."""
    session.headers[name] = "0"
    with meshtrace.use(IDS):
        session.get(URL)
    assert [{**REQUEST_ID, "traceparent": IDS["traceparent"], "b3": "0"}] == recorder.relayed


def test_a_header_set_on_the_prepared_request(
    session: requests.Session, recorder: Recorder
) -> None:
    """What was set on a prepared request by hand counts as set by the caller."""
    prepared = requests.Request("GET", URL).prepare()
    prepared.headers["Traceparent"] = "own"
    with meshtrace.use(IDS):
        session.send(prepared)
    assert [{**REQUEST_ID, **B3, "traceparent": "own"}] == recorder.relayed


class TestReplacing:
    """`on_conflict="replace"` turns it round."""

    @pytest.fixture(autouse=True)
    def _replace(self) -> None:
        meshtrace.configure(on_conflict="replace")

    def test_ours_takes_the_place(self, session: requests.Session, recorder: Recorder) -> None:
        """What came takes the place of the caller's whole format, and adds no second line."""
        own = {"TraceParent": "own", "TRACESTATE": "own=1", "b3": "0", "x-datadog-origin": "own"}
        with meshtrace.use({"traceparent": IDS["traceparent"], **B3}):
            session.get(URL, headers=own)
        expected = {"traceparent": IDS["traceparent"], **B3, "x-datadog-origin": "own"}
        assert [expected] == recorder.relayed

    def test_sent_again(self, session: requests.Session, recorder: Recorder) -> None:
        """Sent in another request or in none, the caller's own is back where nothing is ours."""
        own = {"TraceParent": "own"}
        prepared = session.prepare_request(requests.Request("GET", URL, headers=own))
        with meshtrace.use(W3C):
            session.send(prepared)
        with meshtrace.use({"b3": "0"}):
            session.send(prepared)
        session.send(prepared)
        assert [W3C, {"traceparent": "own", "b3": "0"}, {"traceparent": "own"}] == recorder.relayed
        assert "own" == prepared.headers["traceparent"]

    def test_what_the_caller_takes_away_in_between(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """What came back to the caller, and is taken away by the caller, stays away."""
        own = {"TraceParent": "old"}
        prepared = session.prepare_request(requests.Request("GET", URL, headers=own))
        with meshtrace.use(W3C):
            session.send(prepared)
        session.send(prepared)
        del prepared.headers["traceparent"]
        session.send(prepared)
        assert [W3C, {"traceparent": "old"}, {}] == recorder.relayed

    def test_what_the_caller_changes_in_between(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """What the caller sets after a send is the caller's; what stood there before is gone."""
        own = {"TraceParent": "old"}
        prepared = session.prepare_request(requests.Request("GET", URL, headers=own))
        with meshtrace.use(W3C):
            session.send(prepared)
        prepared.headers["traceparent"] = "new"
        session.send(prepared)
        assert [W3C, {"traceparent": "new"}] == recorder.relayed


class TestSentAgain:
    """One request object, sent in request A, in B and in none, carries A's, B's and nothing."""

    @pytest.fixture(autouse=True)
    def _user_data_is_forwarded(self) -> None:
        meshtrace.configure(forward="end-user")

    def test_in_other_requests(self, session: requests.Session, recorder: Recorder) -> None:
        """Each send carries the fields of the request in which it is sent, and no other's."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        before = dict(prepared.headers)
        with meshtrace.use(W3C):
            session.send(prepared)
            session.send(prepared)
        with meshtrace.use(OTHER):
            session.send(prepared)
        session.send(prepared)
        assert [W3C, W3C, OTHER, {}] == recorder.relayed
        assert before == dict(prepared.headers)

    def test_to_another_host(self, session: requests.Session, recorder: Recorder) -> None:
        """A request whose URL the caller changed is judged by the new one."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
            prepared.url = "http://shop.example/"
            session.send(prepared)
            prepared.url = URL
            session.send(prepared)
        assert [OTHER, OTHER_IDS, OTHER] == recorder.relayed

    def test_by_another_session(self, session: requests.Session, recorder: Recorder) -> None:
        """Another relaying session takes off what the first one added."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
            with meshtrace.Session(deny_hosts="reviews") as strict:
                strict.send(prepared)
        assert [OTHER, {}] == recorder.relayed

    def test_with_a_field_that_the_caller_changed(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """A field of ours that the caller overwrote is the caller's from then on."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
        prepared.headers["End-User"] = "support"
        with meshtrace.use(OTHER):
            session.send(prepared)
        session.send(prepared)
        assert [OTHER, {**OTHER, "end-user": "support"}, {"end-user": "support"}] == (
            recorder.relayed
        )

    def test_with_a_field_that_the_caller_removed(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """A field of ours that the caller removed is no error, and is decided again."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
            del prepared.headers["b3"]
            session.send(prepared)
        assert [OTHER, OTHER] == recorder.relayed

    def test_with_what_was_ours_set_by_the_caller(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """Once ours is off, a header is the caller's, even with the value that ours had."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
        session.send(prepared)
        prepared.headers["b3"] = OTHER["b3"]
        session.send(prepared)
        assert [OTHER, {}, {"b3": OTHER["b3"]}] == recorder.relayed

    def test_prepared_anew(self, session: requests.Session, recorder: Recorder) -> None:
        """A request object that is prepared once more starts with its new headers."""
        prepared = session.prepare_request(requests.Request("GET", URL))
        with meshtrace.use(OTHER):
            session.send(prepared)
        prepared.prepare("GET", URL, headers={"b3": "0"})
        session.send(prepared)
        assert [OTHER, {"b3": "0"}] == recorder.relayed


class OwnRequest(requests.PreparedRequest):
    """A prepared request of the application's own class."""

    mark = "own"


@pytest.mark.parametrize("kind", [requests.PreparedRequest, OwnRequest])
class TestTheRequestObject:
    """The request object stays what it was to its caller."""

    def _send(
        self, kind: type[requests.PreparedRequest], session: requests.Session
    ) -> requests.PreparedRequest:
        prepared = kind()
        prepared.prepare("GET", URL)
        with meshtrace.use(OTHER):
            session.send(prepared)
        return prepared

    def test_keeps_its_class(
        self, kind: type[requests.PreparedRequest], session: requests.Session, recorder: Recorder
    ) -> None:
        """It is still of its class, and prints as before."""
        prepared = self._send(kind, session)
        assert isinstance(prepared, kind)
        assert "<PreparedRequest [GET]>" == repr(prepared)
        assert 1 == len(recorder.received)

    def test_pickled_it_is_what_the_caller_made(
        self, kind: type[requests.PreparedRequest], session: requests.Session, recorder: Recorder
    ) -> None:
        """A request that comes from pickle knows nothing of meshtrace, and carries nothing."""
        prepared = self._send(kind, session)
        other = pickle.loads(pickle.dumps(prepared))  # noqa: S301 - our own
        assert kind is type(other)
        session.send(other)
        assert [OTHER_IDS, {}] == recorder.relayed
        assert OTHER["b3"] == prepared.headers["b3"]

    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
    def test_a_copy_is_decided_afresh(
        self,
        kind: type[requests.PreparedRequest],
        twin: Callable[[requests.PreparedRequest], requests.PreparedRequest],
        session: requests.Session,
        recorder: Recorder,
    ) -> None:
        """A copy has what was added, and loses that by itself when it is sent by a session."""
        prepared = self._send(kind, session)
        other = twin(prepared)
        assert isinstance(other, kind)
        assert prepared.headers == other.headers
        session.send(other)
        with meshtrace.use(W3C):
            session.send(twin(other))
        assert [OTHER_IDS, {}, W3C] == recorder.relayed
        assert OTHER["b3"] == prepared.headers["b3"]
        assert "b3" not in other.headers

    def test_its_own_copy_is_decided_again(
        self, kind: type[requests.PreparedRequest], session: requests.Session, recorder: Recorder
    ) -> None:
        """A copy made with requests' own `copy` is sent like the first one."""
        prepared = self._send(kind, session)
        with meshtrace.use(W3C):
            session.send(prepared.copy())
        assert [OTHER_IDS, W3C] == recorder.relayed

    def test_a_pickled_response(
        self, kind: type[requests.PreparedRequest], session: requests.Session, recorder: Recorder
    ) -> None:
        """A response can be pickled, and read where there is no meshtrace."""
        prepared = kind()
        prepared.prepare("GET", URL)
        with meshtrace.use(OTHER):
            response = session.send(prepared)
        assert [OTHER_IDS] == recorder.relayed
        text = pickle.dumps(response)
        assert b"meshtrace" not in text
        assert b"ok" == pickle.loads(text).content  # noqa: S301 - our own

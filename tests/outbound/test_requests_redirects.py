"""Each hop of a chain of redirects is judged as a direct call would be, on the caller's headers."""

from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import meshtrace
from tests.outbound.recording import (
    ALL,
    B3,
    IDS,
    OTHER,
    USER_DATA,
    VENDOR_DATA,
    W3C,
    Answer,
    Recorder,
    redirect,
)

WITHOUT_USER_DATA = {**IDS, **VENDOR_DATA}
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}


class Terminating(HTTPAdapter):
    """Sends what is meant for https in plain text, as a sidecar is given it."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
        """Send a plain copy."""
        plain = requests.Request("GET", str(request.url).replace("https", "http", 1)).prepare()
        plain.headers = request.headers
        response = super().send(plain, *args, **kwargs)
        response.request = request
        response.url = str(request.url)
        return response


@pytest.fixture(autouse=True)
def _user_data_is_forwarded() -> None:
    meshtrace.configure(forward=["end-user", "baggage"])


def _lead(recorder: Recorder, *urls: str) -> None:
    """Let each URL lead to the next; the path of the first is ``/0``, of the second ``/1``."""
    for number, url in enumerate(urls):
        recorder.answers[f"/{number}"] = [redirect(f"{url}/{number + 1}")]


CHAINS = [
    pytest.param(["http://reviews", "http://ratings"], [ALL, ALL], id="mesh to mesh: everything"),
    pytest.param(["http://reviews", "http://reviews"], [ALL, ALL], id="the same host: everything"),
    pytest.param(
        ["http://reviews", "http://reviews:9080"], [ALL, ALL], id="another port: everything"
    ),
    pytest.param(["http://reviews", "https://reviews"], [ALL, ALL], id="http to https: everything"),
    pytest.param(
        ["http://reviews", "http://shop.example", "http://shop.example"],
        [ALL, IDS, IDS],
        id="a to b to b: the foreign host gets the ids, each time",
    ),
    pytest.param(
        ["http://reviews", "http://shop.example", "http://reviews"],
        [ALL, IDS, WITHOUT_USER_DATA],
        id="a to b to a: user data is not sent again once the chain has left the mesh",
    ),
    pytest.param(
        ["http://shop.example", "http://reviews", "http://ratings"],
        [IDS, WITHOUT_USER_DATA, WITHOUT_USER_DATA],
        id="foreign to mesh: a stranger's redirect does not fetch user data",
    ),
    pytest.param(
        ["http://reviews", "http://denied", "http://ratings"],
        [ALL, {}, WITHOUT_USER_DATA],
        id="a denied host gets nothing, and the chain has left the mesh",
    ),
    pytest.param(
        ["http://reviews", "http://10.0.0.7", "http://[fd00::7]", "http://reviews.default.svc"],
        [ALL] * 4,
        id="mesh hosts in every spelling: everything",
    ),
    pytest.param(
        ["http://reviews", "http://169.254.169.254", "http://reviews"],
        [ALL, IDS, WITHOUT_USER_DATA],
        id="a link-local address is outside",
    ),
    pytest.param(
        ["http://reviews", "http://reviews@shop.example", "http://reviews"],
        [ALL, IDS, WITHOUT_USER_DATA],
        id="a user's name in the URL is no host",
    ),
]


@pytest.mark.parametrize(("urls", "expected"), CHAINS)
def test_each_hop_is_decided_anew(
    urls: list[str],
    expected: list[dict[str, str]],
    session: requests.Session,
    recorder: Recorder,
) -> None:
    """Each hop carries what a direct call to its host would, less user data that left the mesh."""
    meshtrace.configure(forward=["end-user", "baggage"], deny_hosts="denied")
    session.mount("https://", Terminating())
    _lead(recorder, *urls[1:])
    with meshtrace.use(ALL):
        session.get(f"{urls[0]}/0")
    assert [f"/{number}" for number in range(len(urls))] == [got.path for got in recorder.received]
    assert expected == recorder.relayed


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_kind_of_redirect(status: int, session: requests.Session, recorder: Recorder) -> None:
    """Every kind of redirect is treated alike, whether requests keeps the method or not."""
    recorder.answers["/"] = [redirect("http://shop.example/there", status)]
    with meshtrace.use(ALL):
        session.post("http://reviews/", data=b"body")
    assert [ALL, IDS] == recorder.relayed
    assert ["POST", "POST" if status in {307, 308} else "GET"] == [
        got.method for got in recorder.received
    ]


def test_a_redirect_outside_any_request(session: requests.Session, recorder: Recorder) -> None:
    """Without a context a chain carries nothing."""
    _lead(recorder, "http://shop.example")
    session.get("http://reviews/0")
    assert [{}, {}] == recorder.relayed


class TestTheCallersOwn:
    """What the caller set is the client library's affair."""

    def test_it_goes_along(self, session: requests.Session, recorder: Recorder) -> None:
        """What the caller set follows the redirect, and keeps its format from ours at each hop."""
        _lead(recorder, "http://shop.example", "http://reviews")
        own = {"TraceParent": "00-" + "1" * 32 + "-" + "2" * 16 + "-00", "End-User": "support"}
        with meshtrace.use(ALL):
            session.get("http://reviews/0", headers=own)
        callers = {name.lower(): value for name, value in own.items()}
        ids = {"x-request-id": IDS["x-request-id"], **B3, **callers}
        rest = {"sw8": VENDOR_DATA["sw8"]}
        baggage = {"baggage": USER_DATA["baggage"]}
        assert [{**ids, **rest, **baggage}, ids, {**ids, **rest}] == recorder.relayed

    def test_a_replaced_one_comes_back(self, session: requests.Session, recorder: Recorder) -> None:
        """A hop that may not have ours has the caller's own, of which ours had taken the place."""
        meshtrace.configure(on_conflict="replace", deny_hosts="denied")
        meshtrace.wrap(session)
        _lead(recorder, "http://denied", "http://reviews")
        own = {"TraceParent": "00-" + "1" * 32 + "-" + "2" * 16 + "-00"}
        with meshtrace.use(W3C):
            session.get("http://reviews/0", headers=own)
        assert [W3C, {"traceparent": own["TraceParent"]}, W3C] == recorder.relayed

    def test_a_host_header_is_judged_at_each_hop(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """A Host header that the caller set, which requests keeps, narrows each hop."""
        _lead(recorder, "http://ratings")
        with meshtrace.use(ALL):
            session.get("http://reviews/0", headers={"Host": "shop.example"})
        assert [IDS, IDS] == recorder.relayed
        assert ["shop.example"] * 2 == [got.headers["host"] for got in recorder.received]


class TestAuthorization:
    """The caller's `authorization` goes to hosts named one by one in code, and not any further."""

    CAME: dict[str, str] = {**IDS, "authorization": "Bearer jason"}  # noqa: RUF012 - not written

    @pytest.mark.parametrize(
        "after",
        [
            pytest.param("http://orders", id="the same host"),
            pytest.param("http://payments", id="another host that is named"),
            pytest.param("http://reviews", id="a host that is not named"),
            pytest.param("http://shop.example", id="a foreign host"),
            pytest.param("https://orders", id="the same host by https"),
        ],
    )
    def test_never_after_a_redirect(
        self, after: str, session: requests.Session, recorder: Recorder
    ) -> None:
        """A redirect never carries it, wherever it leads."""
        meshtrace.configure(authorization_hosts=["orders", "payments"])
        session.mount("https://", Terminating())
        _lead(recorder, after)
        with meshtrace.use(self.CAME):
            session.get("http://orders/0")
        assert ["Bearer jason", None] == [
            got.headers.get("authorization") for got in recorder.received
        ]
        assert [IDS, IDS] == recorder.relayed

    def test_the_callers_own_is_requests_affair(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """One that the caller set stays, and follows as far as requests lets it."""
        meshtrace.configure(authorization_hosts=["orders"])
        _lead(recorder, "http://orders", "http://reviews")
        with meshtrace.use(self.CAME):
            session.get("http://orders/0", headers={"Authorization": "Basic service"})
        assert ["Basic service", "Basic service", None] == [
            got.headers.get("authorization") for got in recorder.received
        ]


class TestByHand:
    """Chains that the application follows itself."""

    def test_the_next_one_sent_in_another_request(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """`response.next` sent in another request carries that one's fields."""
        _lead(recorder, "http://ratings")
        with meshtrace.use(ALL):
            following = session.get("http://reviews/0", allow_redirects=False).next
        assert following is not None
        with meshtrace.use(OTHER):
            session.send(following)
        assert [ALL, OTHER] == recorder.relayed

    def test_the_next_one_sent_in_no_request(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """`response.next` sent outside any request carries nothing."""
        _lead(recorder, "http://ratings")
        with meshtrace.use(ALL):
            following = session.get("http://reviews/0", allow_redirects=False).next
        assert following is not None
        session.send(following)
        assert [ALL, {}] == recorder.relayed

    def test_the_next_one_remembers_where_it_came_from(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """`response.next` of a foreign host gets no user data, whichever request it is sent in."""
        _lead(recorder, "http://reviews")
        with meshtrace.use(ALL):
            following = session.get("http://shop.example/0", allow_redirects=False).next
        assert following is not None
        session.send(following)
        with meshtrace.use(OTHER):
            session.send(following)
        assert [IDS, {}, OTHER_IDS] == recorder.relayed

    def test_resolved_by_hand(self, session: requests.Session, recorder: Recorder) -> None:
        """A chain followed with `resolve_redirects` is like one that requests follows."""
        _lead(recorder, "http://shop.example", "http://reviews")
        with meshtrace.use(ALL):
            prepared = session.prepare_request(requests.Request("GET", "http://reviews/0"))
            response = session.send(prepared, allow_redirects=False)
            statuses = [hop.status_code for hop in session.resolve_redirects(response, prepared)]
        assert [302, 200] == statuses
        assert [ALL, IDS, WITHOUT_USER_DATA] == recorder.relayed

    def test_a_request_that_had_been_redirected_is_sent_again(
        self, session: requests.Session, recorder: Recorder
    ) -> None:
        """The first request of a chain, sent again, is a first request again."""
        _lead(recorder, "http://shop.example", "http://reviews")
        prepared = session.prepare_request(requests.Request("GET", "http://reviews/0"))
        with meshtrace.use(ALL):
            session.send(prepared)
            recorder.answers["/0"] = [Answer()]
            session.send(prepared)
        assert [ALL, IDS, WITHOUT_USER_DATA, ALL] == recorder.relayed

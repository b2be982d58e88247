"""What somebody's adapter makes of a request on its way: nothing is lost, nothing is doubled."""

import copy
from collections.abc import Callable
from typing import Any, Literal

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

import meshtrace
from tests.outbound.recording import ALL, IDS, OTHER, W3C, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
Change = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class Changing(HTTPAdapter):
    """Sends what it makes of a request."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
        """Send."""
        return super().send(self._change(request), *args, **kwargs)


class Owned(requests.PreparedRequest):
    """A request that says itself how it is copied."""

    copies = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Owned":
        twin = Owned()
        vars(twin).update(vars(self), copies=self.copies + 1)
        memo[id(self)] = twin
        return twin


@pytest.fixture(params=["requests", "requests and urllib3"])
def patched(request: pytest.FixtureRequest, session: requests.Session) -> requests.Session:
    """Give a session of any kind, over urllib3 as it is, and over urllib3 that relays, too."""
    if request.param != "requests":
        meshtrace.patch("urllib3")
    return session


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_a_copy_is_sent_in_the_place_of_a_request(
    twin: Change, patched: requests.Session, recorder: Recorder
) -> None:
    """It carries what the request would, at each hop of a chain, and no more than that."""
    meshtrace.configure(forward=["end-user", "baggage"], deny_hosts="denied")
    patched.mount("http://", Changing(twin))
    recorder.answers["/0"] = [redirect("http://shop.example/1")]
    recorder.answers["/1"] = [redirect("http://denied/2")]
    with meshtrace.use(ALL):
        patched.get("http://reviews/0")
    assert [ALL, IDS, {}] == recorder.relayed


def test_a_copy_of_what_follows_a_redirect(patched: requests.Session, recorder: Recorder) -> None:
    """A deep copy remembers where it stands in the chain: what has left the mesh stays outside."""
    meshtrace.configure(forward="end-user")
    recorder.answers["/0"] = [redirect("http://reviews/1")]
    with meshtrace.use(OTHER):
        following = patched.get("http://shop.example/0", allow_redirects=False).next
        assert following is not None
        patched.send(following)
        patched.send(copy.deepcopy(following))
    assert [OTHER_IDS] * 3 == recorder.relayed


def test_a_request_that_is_copied_in_its_own_way(
    patched: requests.Session, recorder: Recorder
) -> None:
    """What its class says of copies is done, and a copy that is sent has what was added."""
    patched.mount("http://", Changing(copy.deepcopy))
    prepared = Owned()
    prepared.prepare("GET", URL)
    with meshtrace.use(OTHER):
        sent = patched.send(prepared).request
    assert isinstance(sent, Owned)
    assert (0, 1) == (prepared.copies, sent.copies)
    assert [OTHER_IDS] == recorder.relayed


def test_a_request_that_knows_itself(patched: requests.Session, recorder: Recorder) -> None:
    """A request of which something that it has knows can be copied deeply."""
    prepared = patched.prepare_request(requests.Request("GET", URL))
    vars(prepared)["own"] = [prepared]
    with meshtrace.use(OTHER):
        patched.send(prepared)
    twin = copy.deepcopy(prepared)
    assert twin is vars(twin)["own"][0]
    assert [OTHER_IDS] == recorder.relayed


def test_a_copy_without_headers(patched: requests.Session, recorder: Recorder) -> None:
    """A request from which the headers were taken is copied as it is."""
    prepared = patched.prepare_request(requests.Request("GET", URL))
    with meshtrace.use(OTHER):
        patched.send(prepared)
    prepared.headers = None  # type: ignore[assignment]  # as it is before it is prepared
    assert [None, None, None] == [
        twin.headers for twin in (prepared.copy(), copy.copy(prepared), copy.deepcopy(prepared))
    ]
    assert [OTHER_IDS] == recorder.relayed


def _titled(headers: Any) -> dict[str, str]:  # noqa: ANN401 - any mapping
    return {name.title(): value for name, value in headers.items()}


MAPPINGS = [
    pytest.param(dict, id="a plain dict"),
    pytest.param(CaseInsensitiveDict, id="requests' own"),
    pytest.param(type(HTTPResponse().headers), id="urllib3's own"),
    pytest.param(_titled, id="a dict with names in capitals"),
]


@pytest.mark.parametrize("on_conflict", ["keep", "replace"])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_headers_in_another_mapping(
    mapping: Callable[[Any], Any],
    on_conflict: Literal["keep", "replace"],
    patched: requests.Session,
    recorder: Recorder,
) -> None:
    """Each field leaves once, at each hop, and goes when the request is sent in another context."""

    def change(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers = mapping(request.headers)
        return request

    meshtrace.configure(on_conflict=on_conflict, deny_hosts="denied")
    patched.mount("http://", Changing(change))
    recorder.answers["/0"] = [redirect("http://ratings/1")]
    recorder.answers["/1"] = [redirect("http://denied/2")]
    prepared = patched.prepare_request(
        requests.Request("GET", "http://reviews/0", headers={"x-own": "1"})
    )
    with meshtrace.use(IDS):
        patched.send(prepared)
    with meshtrace.use(OTHER):
        patched.send(prepared)
    expected: list[dict[str, str]] = [IDS, IDS, {}, OTHER_IDS]
    assert [{**relayed, "x-own": "1"} for relayed in expected] == recorder.relayed


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_the_callers_own_in_another_mapping(
    mapping: Callable[[Any], Any], patched: requests.Session, recorder: Recorder
) -> None:
    """What ours took the place of does not come back, nor beside it."""

    def change(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers = mapping(request.headers)
        return request

    meshtrace.configure(on_conflict="replace")
    patched.mount("http://", Changing(change))
    with meshtrace.use(W3C):
        patched.get(URL, headers={"TraceParent": OWN_PARENT})
    assert [W3C] == recorder.relayed


def test_an_adapter_that_tries_again(patched: requests.Session, recorder: Recorder) -> None:
    """Each try of somebody's own carries the same."""

    class Trying(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own options
            response = super().send(copy.copy(request), *args, **kwargs)
            while response.status_code == 503:
                response = super().send(copy.copy(request), *args, **kwargs)
            return response

    patched.mount("http://", Trying())
    recorder.answers["/"] = [Answer(503), Answer(503)]
    with meshtrace.use(IDS):
        assert 200 == patched.get(URL).status_code
    assert [IDS] * 3 == recorder.relayed

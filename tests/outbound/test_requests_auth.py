"""Auth that answers a challenge sends a copy of the request past the session."""

import pytest
import requests
from requests.auth import HTTPDigestAuth

import meshtrace
from tests.outbound.recording import IDS, USER_DATA, Answer, Recorder

URL = "http://reviews:9080/"
CHALLENGE = Answer(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})


@pytest.mark.parametrize(
    ("deny", "expected"),
    [
        pytest.param("reviews", {}, id="denied"),
        pytest.param("others", {**IDS, **USER_DATA}, id="not denied"),
    ],
)
def test_the_second_round(deny: str, expected: dict[str, str], recorder: Recorder) -> None:
    """The round that answers has what the first one was given, also where urllib3 is patched."""
    meshtrace.configure(forward=["end-user", "baggage"])
    meshtrace.patch()
    recorder.answers["/"] = [CHALLENGE]
    with (
        meshtrace.wrap(requests.Session(), deny_hosts=deny) as session,
        meshtrace.use({**IDS, **USER_DATA}),
    ):
        assert 200 == session.get(URL, auth=HTTPDigestAuth("u", "p")).status_code
    assert [expected, expected] == recorder.relayed

"""Calls of requests in a process in which no other tracer writes headers."""

import pytest
import requests

import meshtrace
from meshtrace.outbound.requests import sending
from tests.outbound.recording import IDS, Recorder


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "others_write", lambda _: False)


@pytest.mark.parametrize("spans", [False, True])
def test_what_came_goes_out(*, spans: bool, session: requests.Session, recorder: Recorder) -> None:
    """So it does where spans are on, too, and there is no SDK to make them."""
    meshtrace.configure(spans=spans)
    with meshtrace.use(IDS):
        assert 200 == session.get("http://reviews:9080/").status_code
    assert [IDS] == recorder.relayed

"""Calls of requests in a process in which no other tracer writes headers."""

import pytest
import requests

import meshtrace
from meshtrace.outbound import requests as room
from tests.outbound.recording import IDS, Recorder


def test_with_spans(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans are on, and there is no SDK to make them, what came goes out."""
    monkeypatch.setattr(room, "others_write", lambda _: False)
    meshtrace.configure(spans=True)
    with meshtrace.wrap(requests.Session()) as session, meshtrace.use(IDS):
        assert 200 == session.get("http://reviews:9080/").status_code
    assert [IDS] == recorder.relayed

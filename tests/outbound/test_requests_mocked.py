"""The libraries that stand in for a server in tests, or keep answers, work as ever."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_cache
import requests_mock
import responses
import vcr  # type: ignore[import-untyped]  # it has no types
from requests_cache.backends.sqlite import SQLiteCache

import meshtrace
from tests.outbound.recording import IDS, OTHER, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}


def _ours(headers: Any) -> dict[str, str]:  # noqa: ANN401 - each library has its own kind
    return {name: value for name, value in headers.items() if name in IDS or name in OTHER}


class TestRequestsMock:
    """requests-mock puts itself in the place of `Session.send` and of the adapter."""

    @pytest.mark.parametrize("kind", ["wrapped", "meshtrace.Session"])
    def test_of_a_relaying_session(self, kind: str) -> None:
        """A relaying session that is mocked, before or after it was made, shows the fields."""
        with requests_mock.Mocker() as mocker:
            mocker.get(URL, text="mocked")
            session = meshtrace.Session() if kind != "wrapped" else requests.Session()
            with meshtrace.wrap(session), meshtrace.use(IDS):
                assert "mocked" == session.get(URL).text
        assert [IDS] == [_ours(request.headers) for request in mocker.request_history]

    def test_of_one_session(self, recorder: Recorder) -> None:
        """A mocker of one session alone, which goes round its class, comes and goes as ever."""
        with meshtrace.wrap(requests.Session()) as session, meshtrace.use(IDS):
            with requests_mock.Mocker(session=session) as mocker:
                mocker.get(URL, [{"status_code": 302, "headers": {"Location": "/there"}}])
                mocker.get(f"{URL}there", text="mocked")
                assert "mocked" == session.get(URL).text
            session.get(URL)
        assert [IDS] == recorder.relayed

    def test_as_an_adapter(self, session: requests.Session) -> None:
        """Mounted as an adapter, it shows the fields of every kind of session."""
        adapter = requests_mock.Adapter()
        adapter.register_uri("GET", URL, text="mocked")
        session.mount("http://", adapter)
        with meshtrace.use(IDS):
            assert "mocked" == session.get(URL).text
        assert [IDS] == [_ours(request.headers) for request in adapter.request_history]

    def test_of_what_is_patched_later(self) -> None:
        """A patch made while a mocker is at work shows the fields."""
        with requests_mock.Mocker() as mocker:
            mocker.get(URL, text="mocked")
            meshtrace.patch()
            with meshtrace.use(IDS):
                assert "mocked" == requests.get(URL, timeout=1).text
        assert [IDS] == [_ours(request.headers) for request in mocker.request_history]

    def test_it_goes_on_after_a_patch(self) -> None:
        """A mocker started after the patch works, and leaves the patch as it was."""
        meshtrace.patch()
        patched = requests.Session.send
        with requests_mock.Mocker() as mocker, meshtrace.use(IDS):
            mocker.get(URL, text="mocked")
            assert "mocked" == requests.get(URL, timeout=1).text
        assert patched is requests.Session.send

    def test_it_shows_the_fields_of_what_was_patched_before(self) -> None:
        """A mocker that sends by the method it found when it was imported shows the fields."""
        meshtrace.patch()
        with requests_mock.Mocker() as mocker, meshtrace.use(IDS):
            mocker.get(URL, [{"status_code": 302, "headers": {"Location": "/there"}}])
            mocker.get(f"{URL}there", text="mocked")
            assert "mocked" == requests.get(URL, timeout=1).text
            meshtrace.unpatch()
            requests.get(URL, timeout=1)
        sent = [_ours(request.headers) for request in mocker.request_history]
        assert ([IDS] * 2, [{}] * 2) == (sent[:2], sent[2:])

    def test_imported_after_the_patch(self) -> None:
        """Imported when requests is patched already, it shows the fields of patched sessions."""
        code = (
            "import meshtrace; meshtrace.patch()\n"
            "import requests, requests_mock\n"
            "with requests_mock.Mocker() as mocker, meshtrace.use({'b3': '0'}):\n"
            "    mocker.get('http://reviews/')\n"
            "    requests.get('http://reviews/', timeout=1)\n"
            "print(mocker.last_request.headers['b3'])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert "0\n" == done.stdout


class TestResponses:
    """responses puts itself in the place of the adapter's `send`."""

    @responses.activate
    def test_it_sees_the_fields(self, session: requests.Session) -> None:
        """Each mocked call shows the fields of its own request, also after a redirect."""
        responses.get(URL, status=302, headers={"Location": "http://shop.example/"})
        responses.get("http://shop.example/", body="mocked")
        with meshtrace.use(OTHER):
            assert "mocked" == session.get(URL).text
        session.get("http://shop.example/")
        assert [OTHER_IDS, OTHER_IDS, {}] == [
            _ours(call.request.headers) for call in responses.calls
        ]

    @responses.activate
    def test_it_can_match_them(self, session: requests.Session) -> None:
        """A mock that answers by header answers by ours."""
        matcher = responses.matchers.header_matcher({"b3": OTHER["b3"]})
        responses.get(URL, body="by header", match=[matcher])
        with meshtrace.use(OTHER):
            assert "by header" == session.get(URL).text
        with pytest.raises(requests.ConnectionError):
            session.get(URL)


class TestVcr:
    """vcrpy stands between the connection and the network."""

    def test_record_and_replay(
        self, session: requests.Session, recorder: Recorder, tmp_path: Path
    ) -> None:
        """A cassette records the fields, and is replayed within another request."""
        cassette = tmp_path / "cassette.yaml"
        recorder.answers["/"] = [Answer(body=b"recorded")]
        with vcr.use_cassette(str(cassette)) as tape, meshtrace.use(OTHER):
            assert "recorded" == session.get(URL).text
            assert [OTHER_IDS] == [_ours(request.headers) for request in tape.requests]
        assert [OTHER_IDS] == recorder.relayed
        assert OTHER["b3"] in cassette.read_text()
        with vcr.use_cassette(str(cassette), record_mode="none"), meshtrace.use(IDS):
            assert "recorded" == session.get(URL).text
        assert 1 == len(recorder.received)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SQLiteCache]:
    """Give a place for cached answers."""
    backend = SQLiteCache(tmp_path / "cache.sqlite")
    yield backend
    backend.close()  # type: ignore[no-untyped-call]  # it has no types


class TestRequestsCache:
    """requests-cache answers in the place of `Session.send`."""

    @pytest.mark.parametrize("kind", ["a wrapped cache", "a cache of patched requests"])
    def test_it_keeps_answers(self, kind: str, backend: SQLiteCache, recorder: Recorder) -> None:
        """The first call carries the fields; the next, of another request, is answered at once."""
        session = requests_cache.CachedSession(backend=backend)
        if kind == "a wrapped cache":
            meshtrace.wrap(session)
        else:
            meshtrace.patch()
        with session:
            with meshtrace.use(OTHER):
                first = session.get(URL)
            with meshtrace.use(IDS):
                second = session.get(URL)
        assert [(False, "ok"), (True, "ok")] == [
            (getattr(got, "from_cache", None), got.text) for got in (first, second)
        ]
        assert [OTHER_IDS] == recorder.relayed

    def test_it_follows_redirects(self, backend: SQLiteCache, recorder: Recorder) -> None:
        """A chain of redirects goes through it hop by hop."""
        recorder.answers["/"] = [redirect("http://shop.example/there")]
        meshtrace.configure(forward="end-user")
        with (
            meshtrace.wrap(requests_cache.CachedSession(backend=backend)) as session,
            meshtrace.use(OTHER),
        ):
            session.get(URL)
            assert "ok" == session.get(URL).text
        assert [OTHER, OTHER_IDS] == recorder.relayed

    def test_installed_for_the_process(self, backend: SQLiteCache, recorder: Recorder) -> None:
        """`install_cache`, which changes `requests.Session` itself, and a patch go together."""
        meshtrace.patch()
        requests_cache.install_cache(backend=backend)
        try:
            with meshtrace.use(OTHER):
                requests.get(URL, timeout=1)
                requests.get(URL, timeout=1)
        finally:
            requests_cache.uninstall_cache()  # type: ignore[no-untyped-call]  # it has no types
        assert [OTHER_IDS] == recorder.relayed

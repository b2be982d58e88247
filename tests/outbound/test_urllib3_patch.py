"""Patching urllib3, beside others that do so, and taking it back."""

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import vcr  # type: ignore[import-untyped]  # it has no types
from urllib3 import HTTPConnectionPool, PoolManager

import meshtrace
import meshtrace.outbound.http_client  # before a cassette changes what it finds
from tests.outbound.recording import IDS, Recorder

URL = "http://reviews:9080/"
ORIGINAL = HTTPConnectionPool.urlopen
Urlopen = Callable[..., Any]


@pytest.fixture(autouse=True)
def _original_again() -> Iterator[None]:
    assert ORIGINAL is HTTPConnectionPool.urlopen
    yield
    meshtrace.unpatch()
    HTTPConnectionPool.urlopen = ORIGINAL  # type: ignore[method-assign]  # as at the start


def _get() -> None:
    with meshtrace.use(IDS), PoolManager() as manager:
        manager.request("GET", URL)


def _marking(original: Urlopen) -> Urlopen:
    """Wrap it as an instrumentation does that follows the rules."""

    @functools.wraps(original)
    def urlopen(self: HTTPConnectionPool, method: str, url: str, **kwargs: Any) -> object:  # noqa: ANN401 - urllib3's own
        kwargs["headers"] = {**kwargs["headers"], "x-mark": "1"}
        return original(self, method, url, **kwargs)

    return urlopen


def _forgetful(original: Urlopen) -> Urlopen:
    """Wrap it without saying what was wrapped."""

    def urlopen(self: HTTPConnectionPool, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - urllib3's own
        return original(self, *args, **kwargs)

    return urlopen


def _install(urlopen: Urlopen) -> None:
    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]  # that is what is tested


def _unmarked(recorder: Recorder) -> list[dict[str, str]]:
    return [
        {name: value for name, value in sent.items() if name != "x-mark"}
        for sent in recorder.relayed
    ]


def test_it_looks_like_the_original() -> None:
    """What stands in for the method has its name, its text and its signature."""
    meshtrace.patch("urllib3")
    ours = HTTPConnectionPool.urlopen
    assert ORIGINAL is not ours
    assert (ORIGINAL.__name__, ORIGINAL.__qualname__, ORIGINAL.__doc__) == (
        ours.__name__,
        ours.__qualname__,
        ours.__doc__,
    )
    assert inspect.signature(ORIGINAL) == inspect.signature(ours)


def test_taking_it_back() -> None:
    """`unpatch` puts back the very method that was there, as often as one likes."""
    for _ in range(2):
        meshtrace.patch("urllib3")
        meshtrace.unpatch("urllib3")
        assert ORIGINAL is HTTPConnectionPool.urlopen
    meshtrace.unpatch("urllib3")
    assert ORIGINAL is HTTPConnectionPool.urlopen


@pytest.mark.parametrize("wrapper", [_marking, _forgetful])
class TestBesideAnother:
    """Somebody else wraps the method, too."""

    def test_wrapped_before(
        self, wrapper: Callable[[Urlopen], Urlopen], recorder: Recorder
    ) -> None:
        """What was wrapped before goes on inside, and `unpatch` puts it back."""
        theirs = wrapper(ORIGINAL)
        _install(theirs)
        meshtrace.patch("urllib3")
        _get()
        meshtrace.unpatch()
        assert theirs is HTTPConnectionPool.urlopen
        assert [IDS] == _unmarked(recorder)

    def test_wrapped_after(self, wrapper: Callable[[Urlopen], Urlopen], recorder: Recorder) -> None:
        """Where ours is wrapped, it stays in place, and does nothing after `unpatch`."""
        meshtrace.patch("urllib3")
        theirs = wrapper(HTTPConnectionPool.urlopen)
        _install(theirs)
        _get()
        meshtrace.unpatch()
        _get()
        meshtrace.patch("urllib3")
        _get()
        assert [IDS, {}, IDS] == _unmarked(recorder)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        pytest.param("the mock", {"a": "b", **IDS}, id="a mock that is patched sees the fields"),
        pytest.param("the patch", {"a": "b"}, id="a mock that takes the patch's place sees none"),
        pytest.param("a wrapper", {"a": "b", **IDS}, id="a mock below a wrapped pool sees them"),
    ],
)
def test_a_mock(first: str, expected: dict[str, str]) -> None:
    """A mock in the place of the method is called as the method would be."""
    pool = HTTPConnectionPool("reviews")
    if first == "the patch":
        meshtrace.patch("urllib3")
    if first == "a wrapper":
        meshtrace.wrap(pool)
    with mock.patch.object(HTTPConnectionPool, "urlopen") as urlopen:
        if first == "the mock":
            meshtrace.patch("urllib3")
        with meshtrace.use(IDS):
            pool.urlopen("GET", "/", headers={"a": "b"})
    assert [mock.call("GET", "/", headers=expected)] == urlopen.call_args_list


@pytest.mark.parametrize("first", ["the patch", "the cassette"])
def test_a_cassette(first: str, tmp_path: Path, recorder: Recorder) -> None:
    """vcrpy, which changes the classes of connections, records and plays back as ever."""
    path = str(tmp_path / "cassette.yaml")
    if first == "the patch":
        meshtrace.patch("urllib3", "http.client")
    for _ in ("recorded", "played back"):
        with vcr.use_cassette(path) as cassette:
            if first == "the cassette":
                meshtrace.patch("urllib3", "http.client")
            _get()
        (request,) = cassette.requests
        assert IDS == {name: value for name, value in request.headers.items() if name in IDS}
    assert [IDS] == recorder.relayed

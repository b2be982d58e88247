"""What one request carries, in many threads."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from meshtrace.policy import Share
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Seen, Snapshot
from tests.formats.strategies import TRACEPARENT

IDS = {"traceparent": TRACEPARENT, "x-request-id": "order-4711"}
VENDOR_DATA = {"tracestate": "a=1", "sw8": "1"}
USER_DATA = {"end-user": "jason"}
ALL = {**IDS, **VENDOR_DATA, **USER_DATA}


def _snapshot(fields: dict[str, str] = ALL) -> Snapshot:
    return from_carrier(fields, InboundRules.of(forward="end-user"))


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Let threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class _Waiting(Snapshot):
    """A snapshot whose judging takes as long as the test wants."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], object], **fields: str) -> None:
        super().__init__([*fields.items()], InboundRules.of())
        self._wait = wait

    def _glance(self, picked: Sequence[Any]) -> Seen | None:
        self._wait()
        return super()._glance(picked)


SHAPES = [
    pytest.param({"b3": "0"}, id="ids of a common shape"),
    pytest.param({"b3": "0", "sw8": "1"}, id="what is judged field by field"),
    pytest.param({}, id="nothing"),
]


@pytest.mark.parametrize("fields", SHAPES)
def test_two_threads_that_judge_at_once_see_the_same(fields: dict[str, str]) -> None:
    """Both have begun before either is done: both get what came."""
    both = threading.Barrier(2, timeout=10)
    snapshot = _Waiting(both.wait, **fields)
    with ThreadPoolExecutor(2) as pool:
        seen = [pool.submit(snapshot.fields, Share.MESH) for _ in range(2)]
    assert [fields] * 2 == [result.result() for result in seen]


@pytest.mark.parametrize("fields", SHAPES)
def test_a_thread_that_was_overtaken_sees_the_same(fields: dict[str, str]) -> None:
    """Another thread has judged and let go of what was picked while this one was judging."""
    thread = threading.local()
    seen = []

    def overtake() -> None:
        if not hasattr(thread, "overtakes"):
            seen.append(elsewhere.submit(read_there).result(timeout=10))

    def read_there() -> dict[str, str]:
        thread.overtakes = True
        return dict(snapshot.fields(Share.MESH))

    snapshot = _Waiting(overtake, **fields)
    with ThreadPoolExecutor(1) as elsewhere:
        seen.append(dict(snapshot.fields(Share.MESH)))
    assert [fields] * 3 == [*seen, dict(snapshot.fields(Share.MESH))]


@pytest.mark.usefixtures("impatient_threads")
def test_many_threads_share_a_request() -> None:
    """32 threads judge, read and set at once: nothing is lost, and nobody sees half of it."""
    snapshot = _snapshot()
    start = threading.Barrier(32, timeout=10)

    def work(number: int) -> set[str]:
        start.wait()
        snapshot.set_own(f"x-{number}", str(number))
        return set(snapshot.fields(Share.MESH))

    with ThreadPoolExecutor(32) as pool:
        seen = list(pool.map(work, range(32)))
    assert all({*ALL, f"x-{number}"} <= names for number, names in enumerate(seen))
    assert {**ALL, **{f"x-{number}": str(number) for number in range(32)}} == snapshot.fields(
        Share.MESH
    )

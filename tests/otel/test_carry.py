"""Spans that are made by hand in work that was carried into a thread."""

import asyncio
from collections.abc import Callable
from threading import Thread

import pytest
from opentelemetry import trace

import meshtrace
from meshtrace.settings import OwnSpans
from tests.formats.strategies import SPAN, TRACE

B3 = {"b3": f"{TRACE}-{SPAN}-1"}


def _in_a_thread(work: Callable[[], object]) -> None:
    thread = Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("own_spans", "expected"), [("join", int(SPAN, 16)), ("relay", 0)], ids=["join", "relay"]
)
def test_the_parent_of_a_span(own_spans: OwnSpans, expected: int) -> None:
    """Where spans join, Envoy's span is their parent in the thread, too, and only for so long."""
    meshtrace.configure(own_spans=own_spans)
    found: list[int] = []

    def note() -> None:
        found.append(trace.get_current_span().get_span_context().span_id)

    async def note_async() -> None:
        note()

    with meshtrace.use(B3):
        carried, carried_async = meshtrace.carry(note), meshtrace.carry(note_async)

    def work() -> None:
        carried()
        note()
        asyncio.run(carried_async())

    _in_a_thread(work)
    assert [expected, 0, expected] == found


def test_a_span_that_is_open_there() -> None:
    """A span of the application's that is open in the thread stays the parent."""
    meshtrace.configure(own_spans="join")
    own = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    found: list[trace.Span] = []

    def note() -> None:
        found.append(trace.get_current_span())

    with meshtrace.use(B3):
        carried = meshtrace.carry(note)

    def work() -> None:
        with trace.use_span(own):
            carried()

    _in_a_thread(work)
    assert [own] == found

"""Headers that ddtrace wrote for its span, and the caller's own."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from requests.structures import CaseInsensitiveDict

import meshtrace
from meshtrace.departure import Departures, put_on
from meshtrace.otel.written import others_write
from meshtrace.settings import OwnSpans, Settings
from tests.formats.strategies import SPAN, TRACE
from tests.otel.test_join import LOW, OTHER, OWN

REVIEWS = "http://reviews:9080/"
B3 = {"b3": f"{TRACE}-{SPAN}-1"}
WRITTEN = {
    "traceparent": f"00-{TRACE}-{OWN}-01",
    "tracestate": "dd=s:1",
    "x-datadog-trace-id": LOW,
    "x-datadog-parent-id": str(int(OWN, 16)),
    "x-datadog-sampling-priority": "1",
}
ACCEPT = {"accept": "*/*"}

Have = Callable[[Callable[[], object]], None]


@pytest.fixture
def have(monkeypatch: pytest.MonkeyPatch) -> Have:
    """
    Give what puts a ddtrace into the process, of which the current span is known.

    The real one changes its process for good: ``tests/coexistence`` has it in processes of its own.
    """

    def have(current_span: Callable[[], object]) -> None:
        module = SimpleNamespace(tracer=SimpleNamespace(current_span=current_span))
        monkeypatch.setitem(sys.modules, "ddtrace", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "ddtrace.trace", module)

    return have


def _span(trace_id: str = TRACE) -> Callable[[], object]:
    return lambda: SimpleNamespace(trace_id=int(trace_id, 16), span_id=int(OWN, 16))


def _sent(
    came: dict[str, str], written: dict[str, str], own_spans: OwnSpans, *, spans: bool = False
) -> dict[str, str]:
    carrier = CaseInsensitiveDict({**ACCEPT, **written})
    departures = Departures("a client", Settings(own_spans=own_spans, spans=spans))
    with meshtrace.use(came):
        put_on(carrier, departures.decide(carrier, REVIEWS))
    return dict(carrier)


@pytest.mark.parametrize("came", [{}, B3], ids=["nothing", "B3"])
def test_relaying(came: dict[str, str], have: Have) -> None:
    """What came goes out, and nothing of ddtrace's."""
    have(_span())
    assert {**ACCEPT, **came} == _sent(came, WRITTEN, "relay")


def test_joining(have: Have) -> None:
    """Where spans join, its headers stand beside what came of the same trace."""
    have(_span())
    assert {**ACCEPT, **WRITTEN, **B3} == _sent(B3, WRITTEN, "join")


def test_joining_without_a_parent(have: Have) -> None:
    """They stand, too, where nothing came that has ids."""
    have(_span())
    assert {**ACCEPT, **WRITTEN} == _sent({}, WRITTEN, "join")


def test_joining_another_trace(have: Have) -> None:
    """Where spans join, headers of another trace than the mesh's give way."""
    have(_span(OTHER))
    written = {"traceparent": f"00-{OTHER}-{OWN}-01"}
    assert {**ACCEPT, **B3} == _sent(B3, written, "join")


def test_joining_with_spans_of_meshtraces_own(have: Have, caplog: pytest.LogCaptureFixture) -> None:
    """Where meshtrace makes spans, ddtrace's are of another backend: its headers give way."""
    caplog.set_level("INFO", "meshtrace")
    have(_span())
    assert {**ACCEPT, **B3} == _sent(B3, WRITTEN, "join", spans=True)
    assert 1 == sum("MESHTRACE_SPANS=0" in text for text in caplog.messages)


@pytest.mark.parametrize("own_spans", ["relay", "join"])
@pytest.mark.parametrize("span", [_span(OTHER), lambda: None], ids=["another span", "no span"])
def test_the_callers_own(span: Callable[[], object], own_spans: OwnSpans, have: Have) -> None:
    """Headers that do not name its current span are the caller's."""
    have(span)
    assert {**ACCEPT, **WRITTEN, **B3} == _sent(B3, WRITTEN, own_spans)


def test_an_id_of_64_bits(have: Have) -> None:
    """A trace id of 64 bits is written in 16 digits."""
    have(_span(TRACE[16:]))
    assert {**ACCEPT, **B3} == _sent(B3, {"b3": f"{TRACE[16:]}-{OWN}-1"}, "relay")


def test_it_is_said_once(have: Have, caplog: pytest.LogCaptureFixture) -> None:
    """That its headers give way is said once, and how to have it otherwise."""
    caplog.set_level("INFO", "meshtrace")
    have(_span())
    for _ in range(2):
        _sent(B3, WRITTEN, "relay")
    assert 1 == sum("ddtrace wrote the ids" in text for text in caplog.messages)


def test_a_ddtrace_that_fails(have: Have, caplog: pytest.LogCaptureFixture) -> None:
    """A ddtrace that cannot be asked costs a warning; the caller's headers stay."""

    def fail() -> object:
        raise ZeroDivisionError

    have(fail)
    assert {**ACCEPT, **WRITTEN, **B3} == _sent(B3, WRITTEN, "relay")
    assert 1 == sum("asking ddtrace" in text for text in caplog.messages)


def test_who_writes_beneath(have: Have) -> None:
    """An instrumentation writes onto the calls of its library, ddtrace onto those of any."""
    before = others_write("a library")
    have(_span())
    assert (False, True) == (before, others_write("a library"))

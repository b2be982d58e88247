"""Headers that an instrumentation wrote for its span, and the caller's own."""

from typing import Any

import pytest
from opentelemetry import trace

from meshtrace.otel.own import written_for_current_span
from tests.formats.strategies import SPAN, TRACE
from tests.otel.test_join import LOW, OTHER, OWN, own_span, reported

WRITTEN: dict[str, dict[str, str]] = {
    "W3C": {"traceparent": f"00-{TRACE}-{OWN}-00", "tracestate": "a=1"},
    "b3": {"b3": f"{TRACE}-{OWN}-0"},
    "x-b3-*": {"X-B3-TraceId": TRACE.upper(), "X-B3-SpanId": OWN, "X-B3-Sampled": "0"},
    "x-datadog-*": {
        "x-datadog-trace-id": LOW,
        "x-datadog-parent-id": str(int(OWN, 16)),
        "x-datadog-tags": "_dd.p.dm=-0",
    },
}
CALLERS: dict[str, dict[str, str]] = {
    "W3C of another span": {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"},
    "W3C of another trace": {"traceparent": f"00-{OTHER}-{OWN}-01"},
    "tracestate alone": {"tracestate": "a=1"},
    "b3 without ids": {"b3": "0"},
    "b3 of another span": {"b3": f"{TRACE}-{SPAN}-1"},
    "x-b3-* of another span": {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
    "x-b3-* without ids": {"x-b3-sampled": "0"},
    "x-datadog-* of another span": {"x-datadog-trace-id": LOW, "x-datadog-parent-id": "1"},
    "none of these": {"accept": "*/*"},
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN.keys())
def test_written_for_the_current_span(written: dict[str, str]) -> None:
    """A format that names the current span is an instrumentation's, all of it."""
    with trace.use_span(reported(own_span())):
        names = written_for_current_span({"Accept": "*/*", "baggage": "a=1", **written})
    assert sorted(written) == sorted(names)


@pytest.mark.parametrize("own", CALLERS.values(), ids=CALLERS.keys())
def test_the_callers_own(own: dict[str, str]) -> None:
    """Whatever does not is the caller's."""
    with trace.use_span(reported(own_span())):
        assert () == written_for_current_span(own)


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN.keys())
def test_without_a_span(written: dict[str, str]) -> None:
    """Where no span is current, everything is the caller's."""
    assert () == written_for_current_span(written)


@pytest.mark.parametrize("name", ["traceparent", b"Traceparent"], ids=["text", "bytes"])
@pytest.mark.parametrize(
    "value",
    [f"00-{TRACE}-{OWN}-01", f"00-{TRACE}-{OWN}-01".encode()],
    ids=["a value in text", "a value in bytes"],
)
def test_names_and_values_in_bytes(name: Any, value: Any) -> None:  # noqa: ANN401 - whatever a client takes
    """Some clients take them in bytes."""
    with trace.use_span(reported(own_span())):
        assert (name,) == written_for_current_span({name: value})

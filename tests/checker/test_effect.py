"""What the headers of a call do to the trace."""

import uuid
from collections.abc import Callable

import pytest

from meshtrace.checker.probes import ODD
from tests.checker.judging import Fields, changed, judged, probe, without

ZIPKIN, OTEL = "zipkin, sampled", "opentelemetry, sampled"
SPAN = "00f067aa0ba902b7"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
B3 = ("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled")

Change = Callable[[Fields], Fields]


def _effects(name: str, change: Change, *exported: str) -> set[tuple[str, bool]]:
    sent = probe(name)
    [each] = judged(sent, change(sent.fields), *exported).judged
    return {(effect.code, effect.finding) for effect in each.effects}


def _as_single(fields: Fields) -> Fields:
    trace, span, parent, decision = (dict(fields)[name] for name in B3)
    return [*without(fields, *B3), ("b3", f"{trace}-{span}-{decision}-{parent}")]


def _twice(name: str) -> Change:
    return lambda fields: [*fields, (name, dict(fields)[name])]


def _folded(fields: Fields) -> Fields:
    value = dict(fields)["traceparent"]
    return changed(fields, traceparent=f"{value}, {value}")


def _other_span(fields: Fields) -> Fields:
    value = dict(fields)["traceparent"]
    return changed(fields, traceparent=f"{value[:36]}{SPAN}{value[52:]}")


def _unsampled(fields: Fields) -> Fields:
    value = dict(fields)["traceparent"]
    return changed(fields, traceparent=f"{value[:-2]}00")


FINDINGS: list[object] = [
    pytest.param(ZIPKIN, lambda _: [], {"lost-all"}, id="nothing goes on"),
    pytest.param(
        ZIPKIN, lambda fields: without(fields, *B3), {"lost"}, id="the request id alone goes on"
    ),
    pytest.param(
        ZIPKIN, lambda fields: without(fields, "x-b3-spanid"), {"lost"}, id="one id without another"
    ),
    pytest.param(
        ZIPKIN,
        lambda fields: without(fields, "x-b3-sampled"),
        {"sampling-changed"},
        id="the decision is lost",
    ),
    pytest.param(
        ZIPKIN,
        lambda fields: changed(fields, x_b3_sampled="0"),
        {"sampling-changed"},
        id="sampled becomes unsampled",
    ),
    pytest.param(
        "zipkin, unsampled",
        lambda fields: changed(fields, x_b3_sampled="1"),
        {"sampling-changed"},
        id="unsampled becomes sampled",
    ),
    pytest.param(OTEL, _unsampled, {"sampling-changed"}, id="the flag of a traceparent is cleared"),
    pytest.param(
        ZIPKIN,
        lambda fields: changed(fields, x_b3_traceid=TRACE),
        {"trace-changed"},
        id="another trace id",
    ),
    pytest.param(
        "b3, do not sample, without ids",
        lambda fields: changed(fields, b3=f"{TRACE}-{SPAN}-0"),
        {"trace-changed"},
        id="ids are made up for a decision",
    ),
    pytest.param(
        ZIPKIN,
        lambda fields: changed(fields, x_b3_spanid=SPAN),
        {"phantom"},
        id="another span id, which nobody exports",
    ),
    pytest.param(OTEL, _other_span, {"phantom"}, id="another span id in a traceparent"),
    pytest.param(
        ZIPKIN,
        lambda fields: changed(fields, x_b3_traceid="nonsense"),
        {"poison"},
        id="a malformed id",
    ),
    pytest.param(
        OTEL, lambda fields: changed(fields, traceparent="00"), {"poison"}, id="a bad traceparent"
    ),
    pytest.param(
        ZIPKIN,
        lambda fields: without(fields, "x-request-id"),
        {"request-id-lost"},
        id="the request id is lost",
    ),
    pytest.param(
        OTEL,
        lambda fields: changed(fields, x_request_id=str(uuid.uuid4())),
        {"request-id-changed"},
        id="another request id",
    ),
    pytest.param(
        OTEL,
        lambda fields: changed(fields, x_request_id=uuid.uuid4().hex),
        {"request-id-changed"},
        id="a request id without dashes",
    ),
    pytest.param(ZIPKIN, _twice("x-b3-traceid"), {"doubled"}, id="two lines"),
    pytest.param(OTEL, _folded, {"folded"}, id="two values in a line"),
    pytest.param("zipkin, malformed", lambda fields: fields, {"poison"}, id="malformed is relayed"),
    pytest.param(
        "zipkin, not decided yet",
        lambda fields: [*fields, ("x-b3-sampled", "0")],
        {"decided"},
        id="undecided becomes unsampled",
    ),
    pytest.param(
        "b3, not decided yet",
        lambda fields: [*without(fields, "b3"), ("b3", f"{dict(fields)['b3']}-1")],
        {"decided"},
        id="undecided becomes sampled",
    ),
    pytest.param(
        "skywalking, sampled",
        lambda fields: changed(fields, sw8="1-another-b-1-c-d-e-f"),
        {"trace-changed"},
        id="SkyWalking, another trace",
    ),
    pytest.param(
        "skywalking, sampled",
        lambda fields: changed(fields, sw8="1-a"),
        {"lost"},
        id="SkyWalking, a stump",
    ),
    pytest.param(
        "datadog, sampled",
        lambda fields: without(fields, "traceparent", "x-datadog-trace-id"),
        {"lost"},
        id="Datadog, both formats",
    ),
]
HARMLESS: list[object] = [
    *(
        pytest.param(name, lambda fields: fields, set(), id=f"{name}: all goes on")
        for name in ODD
        if "malformed" not in name
    ),
    pytest.param(
        ZIPKIN,
        lambda fields: without(fields, "x-b3-parentspanid"),
        {"lost-harmless"},
        id="the parent span id stays behind",
    ),
    pytest.param(ZIPKIN, _as_single, {"lost-harmless", "invented-harmless"}, id="as one b3"),
    pytest.param(
        ZIPKIN,
        lambda fields: changed(fields, x_b3_sampled="true"),
        {"changed-harmless"},
        id="true for 1",
    ),
    pytest.param(
        "zipkin, 64 bit",
        lambda fields: changed(fields, x_b3_traceid="0" * 16 + dict(fields)["x-b3-traceid"]),
        {"changed-harmless"},
        id="a padded trace id",
    ),
    pytest.param(
        "zipkin-w3c, sampled",
        lambda fields: without(fields, "traceparent"),
        {"lost-harmless"},
        id="one of two formats that are read",
    ),
    pytest.param(
        "datadog, sampled",
        lambda fields: without(fields, "traceparent", "tracestate"),
        {"lost-harmless"},
        id="Datadog by its own headers",
    ),
    pytest.param(
        "datadog, unsampled",
        lambda fields: without(fields, "traceparent", "tracestate"),
        {"lost-harmless"},
        id="Datadog, unsampled",
    ),
    pytest.param(
        "zipkin, beside a stale traceparent",
        lambda fields: without(fields, "traceparent"),
        set(),
        id="what is stale stays behind",
    ),
    pytest.param(
        "zipkin, beside a stale b3",
        lambda fields: without(fields, "b3"),
        set(),
        id="a stale b3 stays behind",
    ),
    pytest.param(
        "opentelemetry, malformed",
        lambda fields: without(fields, "traceparent"),
        set(),
        id="what is malformed stays behind",
    ),
    pytest.param(
        "opentelemetry, malformed",
        lambda fields: changed(fields, traceparent=f"00-{TRACE}-{SPAN}-01"),
        set(),
        id="a good trace begins where a malformed one came",
    ),
    pytest.param(
        "b3, debug",
        lambda fields: changed(fields, b3=dict(fields)["b3"].replace("-d-", "-1-")),
        {"changed-harmless"},
        id="debug becomes sampled, as Envoy itself has it",
    ),
    pytest.param(
        "zipkin, unsampled",
        lambda fields: changed(fields, x_b3_spanid=SPAN),
        {"span-changed"},
        id="another span id of a request that is not sampled",
    ),
    pytest.param(
        "no trace headers",
        lambda _: [("traceparent", f"00-{TRACE}-{SPAN}-01"), ("x-request-id", "7")],
        {"begun", "request-id-begun"},
        id="a trace begins where none came",
    ),
    pytest.param(
        "no trace headers",
        lambda _: [("x-request-id", str(uuid.uuid4()))],
        {"request-id-begun"},
        id="a request id begins where none came",
    ),
]


@pytest.mark.parametrize(("name", "change", "codes"), FINDINGS)
def test_what_breaks_the_trace(name: str, change: Change, codes: set[str]) -> None:
    """It is a finding, and there is no other."""
    findings = {code for code, finding in _effects(name, change) if finding}
    assert codes == findings


@pytest.mark.parametrize(("name", "change", "codes"), HARMLESS)
def test_what_does_not_break_it(name: str, change: Change, codes: set[str]) -> None:
    """It is a note, or nothing at all."""
    assert {(code, False) for code in codes} == _effects(name, change)


def test_a_span_that_is_exported() -> None:
    """A span of the application's own is a note when it was seen to be exported."""
    seen = _effects(ZIPKIN, lambda fields: changed(fields, x_b3_spanid=SPAN), SPAN)
    assert {("own-span", False)} == seen

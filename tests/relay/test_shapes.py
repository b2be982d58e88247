"""The common case at one glance."""

import json
from pathlib import Path

import pytest

from meshtrace import Limits
from meshtrace.relay import shapes
from meshtrace.relay.shapes import Shapes
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACEPARENT

DATA = Path(__file__).parent.parent / "data"

ZIPKIN = {
    "x-request-id": "e760f6fc-9470-959d-825a-2128391da21f",
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}


def _seen(fields: dict[str, str], limits: Limits | None = None) -> tuple[str, ...] | None:
    known = Shapes(limits or Limits())
    return known.names(tuple(fields), "\n".join(fields.values()), str)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param(ZIPKIN, id="what Envoy's Zipkin tracer sends"),
        pytest.param({**ZIPKIN, "traceparent": TRACEPARENT}, id="the same, with W3C"),
        pytest.param({"traceparent": TRACEPARENT, "x-request-id": "1"}, id="W3C"),
        pytest.param({"b3": f"{TRACE}-{SPAN}-1-{PARENT}"}, id="b3"),
        pytest.param({"b3": "0"}, id="a decision without ids"),
        pytest.param({"b3": "0", "x-b3-sampled": "0"}, id="a decision in both spellings"),
        pytest.param({"x-b3-sampled": "0", "x-b3-flags": "1"}, id="decisions alone"),
        pytest.param({"x-request-id": "x" * 128}, id="a long request id"),
        pytest.param(
            {"x-datadog-trace-id": "9" * 20, "x-datadog-sampling-priority": "-1"}, id="Datadog's"
        ),
    ],
)
def test_the_common_case_is_seen(fields: dict[str, str]) -> None:
    """Ids in their plainest spelling are known to be good at one glance."""
    assert tuple(fields) == _seen(fields)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({**ZIPKIN, "b3": "0"}, id="b3 beside ids in x-b3-*: one may be stale"),
        pytest.param({"x-b3-traceid": TRACE}, id="half of the ids"),
        pytest.param({"x-b3-spanid": SPAN}, id="the other half"),
        pytest.param({"x-b3-parentspanid": PARENT}, id="a parent of no span"),
        pytest.param({**ZIPKIN, "x-b3-parentspanid": ""}, id="an empty parent"),
        pytest.param({**ZIPKIN, "x-b3-sampled": "true"}, id="an old spelling"),
        pytest.param({**ZIPKIN, "x-b3-traceid": "0" * 32}, id="a zero trace id"),
        pytest.param({**ZIPKIN, "x-b3-spanid": "0" * 16}, id="a zero span id"),
        pytest.param({"traceparent": TRACEPARENT + "-more"}, id="a longer traceparent"),
        pytest.param({"traceparent": TRACEPARENT, "tracestate": ""}, id="vendor data"),
        pytest.param({"end-user": "jason"}, id="user data"),
        pytest.param({"x-request-id": "1,1"}, id="a comma, which may stand between two lines"),
        pytest.param({"x-request-id": " 1"}, id="a blank to be taken off"),
        pytest.param({"x-request-id": "x" * 129}, id="a request id that may be too long"),
        pytest.param({"x-request-id": "1\n2"}, id="a line feed inside a value"),
        pytest.param({"b3": "0\n", "x-request-id": "1"}, id="a line feed behind a value"),
        pytest.param({"x-request-id": ""}, id="an empty value"),
        pytest.param({"x-datadog-trace-id": "\u0663"}, id="a digit that is not ASCII"),
    ],
)
def test_the_rest_takes_a_closer_look(fields: dict[str, str]) -> None:
    """Whatever is not plain, good or bad, is left to be judged field by field."""
    assert None is _seen(fields)


def test_a_repeated_name_takes_a_closer_look() -> None:
    """Lines of one field have to be compared."""
    assert None is Shapes(Limits()).names(("b3", "b3"), "0\n0", str)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(request_id=127), id="request ids"),
        pytest.param(Limits(field=20), id="a field"),
        pytest.param(Limits(total=1023), id="all together"),
        pytest.param(Limits(request_id=0, field=0, total=0), id="everything"),
    ],
)
def test_narrow_limits_take_a_closer_look(limits: Limits) -> None:
    """Under limits that a plain value could pass, nothing is taken for good at one glance."""
    assert None is _seen({"b3": "0"}, limits)


def test_values_are_not_mistaken_for_one_another() -> None:
    """A value cannot run into the next: what fits two fields in the other order is refused."""
    known = Shapes(Limits())
    assert ("b3", "x-b3-sampled") == known.names(("b3", "x-b3-sampled"), "d\n1", str)
    assert None is known.names(("b3", "x-b3-sampled"), "1\nd", str)
    assert None is known.names(("b3", "x-b3-sampled"), "1", str)
    assert None is known.names(("b3", "x-b3-sampled"), "1\n1\n1", str)


def test_names_are_read_as_their_carrier_spells_them() -> None:
    """Each carrier's spelling is a shape of its own, learnt once."""
    asked = []

    def name_of(spelled: str) -> str:
        asked.append(spelled)
        return spelled.lower()

    known = Shapes(Limits())
    assert [("b3",)] * 2 == [known.names(("B3",), "0", name_of) for _ in range(2)]
    assert ["B3"] == asked


def test_a_name_that_is_not_picked_takes_a_closer_look() -> None:
    """A spelling that stands for no field is of no known shape."""
    assert None is Shapes(Limits()).names((b"x-other",), "0", lambda _: None)


def test_outsiders_cannot_fill_the_memory() -> None:
    """Only so many shapes are remembered; those that came first stay."""
    known = Shapes(Limits())
    assert ("b3",) == known.names(("b3",), "0", str)
    for number in range(1000):
        assert None is known.names((f"x-made-up-{number}",), "0", str)
    assert ("b3",) == known.names(("b3",), "0", str)
    assert None is known.names(("x-request-id",), "0", str)
    assert 64 == len(known._shapes)  # noqa: SLF001 - what is to stay small
    assert 64 == shapes._MOST  # noqa: SLF001 - as documented there


def test_most_of_what_envoy_sends_is_plain() -> None:
    """Of the captures of Zipkin's tracers, unstirred by a client, all are seen at one glance."""
    captures = json.loads((DATA / "envoy-1.40.0.json").read_text(encoding="ascii"))
    known = Shapes(Limits())
    seen = []
    for capture in captures:
        if capture["case"] == "no-headers" and capture["tracer"].startswith("zipkin"):
            ours = [pair for pair in capture["inbound"] if pair[0].startswith(("x-b", "x-r", "tr"))]
            names = tuple(name for name, _ in ours)
            seen.append(names == known.names(names, "\n".join(value for _, value in ours), str))
    assert seen
    assert all(seen)

"""The common case at one glance."""

import json
import operator
from pathlib import Path

import pytest

from meshtrace import Limits
from meshtrace.formats.vendor import DATA_FIELDS
from meshtrace.relay.rules import TRACE_NAMES
from meshtrace.relay.shapes import Shapes
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACEPARENT

DATA = Path(__file__).parent.parent / "data"

VENDOR_NAMES = {"tracestate", *DATA_FIELDS}
W3C = {"traceparent": TRACEPARENT, "x-request-id": "1"}
DATADOG = {
    "x-datadog-trace-id": "9" * 20,
    "x-datadog-sampling-priority": "-1",
    "x-datadog-tags": "_dd.p.tid=6b03639b00000000,_dd.p.dm=-1",
    "traceparent": TRACEPARENT,
    "tracestate": "dd=s:-1;p:761e42b49245ffb7",
}
ZIPKIN = {
    "x-request-id": "e760f6fc-9470-959d-825a-2128391da21f",
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}


def _names_of(known: Shapes, names: tuple[str, ...], text: str) -> tuple[str, ...] | None:
    """Give the names that go with a text of values, if they are plain and good."""
    shape = known.of(names, str)
    return shape.names if shape and shape.matches(text) else None


def _seen(fields: dict[str, str], limits: Limits | None = None) -> tuple[str, ...] | None:
    known = Shapes(limits or Limits(), VENDOR_NAMES)
    return _names_of(known, tuple(fields), "\n".join(fields.values()))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param(ZIPKIN, id="what Envoy's Zipkin tracer sends"),
        pytest.param({**ZIPKIN, "traceparent": TRACEPARENT}, id="the same, with W3C"),
        pytest.param(W3C, id="W3C"),
        pytest.param({**W3C, "tracestate": ""}, id="what Envoy's OpenTelemetry tracer sends"),
        pytest.param({**W3C, "tracestate": 'a=1,b@c=2,3d=4,e*/f="g"'}, id="a short tracestate"),
        pytest.param({"b3": f"{TRACE}-{SPAN}-1-{PARENT}"}, id="b3"),
        pytest.param({"b3": "0"}, id="a decision without ids"),
        pytest.param({"b3": "0", "x-b3-sampled": "0"}, id="a decision in both spellings"),
        pytest.param({"x-b3-sampled": "0", "x-b3-flags": "1"}, id="decisions alone"),
        pytest.param({"x-request-id": "x" * 128}, id="a long request id"),
        pytest.param(DATADOG, id="what Envoy's Datadog tracer sends"),
        pytest.param({"x-request-id": "1", "sw8": "1-MQ==-x-0"}, id="SkyWalking's"),
        pytest.param({"x-amzn-trace-id": "Root=1-6b0-00;Parent=7f4;Sampled=1"}, id="X-Ray's"),
    ],
)
def test_the_common_case_is_seen(fields: dict[str, str]) -> None:
    """Ids and vendor data in their plainest spelling are known to be good at one glance."""
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
        pytest.param({"tracestate": ""}, id="a tracestate of no traceparent"),
        pytest.param({**W3C, "tracestate": "a=1, b=2"}, id="a tracestate with blanks"),
        pytest.param({**W3C, "tracestate": "a=1,,b=2"}, id="a member that is empty"),
        pytest.param({**W3C, "tracestate": "a"}, id="a member that is none"),
        pytest.param({**W3C, "tracestate": "a=1" + ",b=2" * 4}, id="many members"),
        pytest.param({**W3C, "tracestate": "a=" + "1" * 129}, id="a long member"),
        pytest.param({"sw8": ""}, id="vendor data that is empty"),
        pytest.param({"sw8": "1,1"}, id="vendor data with a comma"),
        pytest.param({"sw8": "1" * 513}, id="vendor data that may be too long"),
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
    assert None is _names_of(Shapes(Limits()), ("b3", "b3"), "0\n0")


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(request_id=127), id="request ids"),
        pytest.param(Limits(field=1023), id="a field"),
        pytest.param(Limits(total=8191), id="all together"),
        pytest.param(Limits(request_id=0, field=0, total=0), id="everything"),
    ],
)
def test_narrow_limits_take_a_closer_look(limits: Limits) -> None:
    """Under limits that a plain value could pass, nothing is taken for good at one glance."""
    assert None is _seen({"b3": "0"}, limits)


def test_values_are_not_mistaken_for_one_another() -> None:
    """A value cannot run into the next: what fits two fields in the other order is refused."""
    known = Shapes(Limits())
    names = ("b3", "x-b3-sampled")
    assert names == _names_of(known, names, "d\n1")
    assert [None] * 3 == [_names_of(known, names, text) for text in ("1\nd", "1", "1\n1\n1")]


def test_names_are_read_as_their_carrier_spells_them() -> None:
    """Each carrier's spelling is a shape of its own, or of none, learnt once."""
    asked = []

    def name_of(spelled: str) -> str:
        asked.append(spelled)
        return spelled.lower()

    known = Shapes(Limits())
    shape, again, *others = (
        known.of(spelled, name_of) for spelled in (("B3",), ("B3",), ("X",), ("X",))
    )
    assert shape is again
    assert shape is not None
    assert ("b3",) == shape.names
    assert [None, None] == others
    assert ["B3", "X"] == asked


def test_a_name_that_is_not_picked_takes_a_closer_look() -> None:
    """A spelling that stands for no field is of no known shape."""
    assert Shapes(Limits()).of((b"x-other",), lambda _: None) is None


@pytest.mark.parametrize(
    ("names", "ids_only"),
    [
        pytest.param((), True, id="nothing"),
        pytest.param(tuple(ZIPKIN), True, id="ids"),
        pytest.param((*W3C, "tracestate"), False, id="ids, and a tracestate"),
        pytest.param(("x-request-id", "sw8"), False, id="ids, and vendor data"),
    ],
)
def test_a_shape_knows_of_vendor_data(names: tuple[str, ...], ids_only: bool) -> None:  # noqa: FBT001 - a case
    """Where there is none, all of it may go to any host."""
    shape = Shapes(Limits(), VENDOR_NAMES).of(names, str)
    assert shape is not None
    assert ids_only == shape.ids_only


def test_vendor_data_that_is_not_taken_takes_a_closer_look() -> None:
    """Where none is taken, an empty tracestate is still known, and every other is not."""
    known = Shapes(Limits())
    names = ("traceparent", "tracestate")
    seen = [_names_of(known, names, f"{TRACEPARENT}\n{value}") for value in ("", "a=1")]
    assert [names, None] == seen
    assert known.of(("sw8",), str) is None


def test_outsiders_cannot_fill_the_memory() -> None:
    """Only so many shapes are remembered: those that came first stay, others are looked at."""
    known = Shapes(Limits())
    asked = []

    def name_of(spelled: str) -> str:
        asked.append(spelled)
        return "b3"

    first = known.of(("B3",), name_of)
    made_up = [(f"b3-{number}",) for number in range(1000)]
    matching = [names for names in made_up if known.of(names, name_of)]
    assert first is known.of(("B3",), name_of)
    assert made_up[:63] == matching
    assert ["B3", *(names[0] for names in matching)] == asked


def test_an_environ_has_a_shape() -> None:
    """The keys that are there are taken, those that are not are known, and the shape is judged."""
    known = Shapes(Limits())
    keys = ("HTTP_B3", "HTTP_X_B3_SAMPLED", "HTTP_X_REQUEST_ID")
    environ = {"HTTP_B3": "0", "HTTP_X_REQUEST_ID": "1", "REQUEST_METHOD": "GET"}
    shape = known.of_environ(environ, keys, _name_of_key)
    assert ("HTTP_B3", "HTTP_X_REQUEST_ID") == shape.keys
    assert {"HTTP_X_B3_SAMPLED"} == shape.absent
    assert ("0", "1") == shape.take(environ)
    assert known.of(("b3", "x-request-id"), str) is not None
    assert shape.shape is known.of(("HTTP_B3", "HTTP_X_REQUEST_ID"), _name_of_key)
    assert shape is known.of_environ(environ, keys, _name_of_key)


@pytest.mark.parametrize(
    ("environ", "taken"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"HTTP_B3": "0"}, ("0",), id="one"),
        pytest.param({"HTTP_B3": "0", "HTTP_X": "1"}, ("0",), id="one among others"),
    ],
)
def test_few_keys_have_a_shape(environ: dict[str, str], taken: tuple[str, ...]) -> None:
    """An environ with one key of ours, or none, is taken from all the same."""
    shape = Shapes(Limits()).of_environ(environ, ("HTTP_B3", "HTTP_SW8"), _name_of_key)
    assert taken == shape.take(environ)


def test_a_missing_key_is_noticed() -> None:
    """An environ of another shape cannot be taken for one of this."""
    shape = Shapes(Limits()).of_environ({"HTTP_B3": "0"}, ("HTTP_B3",), _name_of_key)
    with pytest.raises(KeyError):
        shape.take({})


def test_outsiders_cannot_fill_the_memory_with_environs() -> None:
    """Only so many are remembered; the others are made anew."""
    known = Shapes(Limits())
    keys = tuple(f"HTTP_K{number}" for number in range(100))
    first = known.of_environ({}, keys, _name_of_key)
    environs = [{key: "0"} for key in keys]
    once = [known.of_environ(environ, keys, _name_of_key) for environ in environs]
    again = [known.of_environ(environ, keys, _name_of_key) for environ in environs]
    assert first is known.of_environ({}, keys, _name_of_key)
    assert 63 == sum(map(operator.is_, once, again))
    assert [{**environ}.keys() for environ in environs] == [{*shape.keys} for shape in again]


def _name_of_key(key: str) -> str:
    return key.removeprefix("HTTP_").lower().replace("_", "-")


def test_what_envoy_sends_is_plain() -> None:
    """Of all tracers, what a client has not stirred is seen at one glance."""
    captures = json.loads((DATA / "envoy-1.40.0.json").read_text(encoding="ascii"))
    seen = []
    for capture in captures:
        if capture["case"] == "no-headers":
            fields = {name: value for name, value in capture["inbound"] if name in TRACE_NAMES}
            seen.append(tuple(fields) == _seen(fields))
    assert seen
    assert all(seen)

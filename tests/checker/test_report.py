"""The report, as text and as JSON."""

import json

import pytest

from meshtrace.checker.attribution import Window
from meshtrace.checker.calls import Note, Unseen
from meshtrace.checker.check import Checked
from meshtrace.checker.findings import find
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Outcome, Request
from meshtrace.checker.report import as_json, as_text
from tests.checker.judging import FACTS, call, changed, checked, judged, probe

PLAN = Plan((Request(),))
SAMPLED = "zipkin, sampled"
SPAN = "00f067aa0ba902b7"


def _text(seen: Checked, plan: Plan = PLAN) -> str:
    return as_text(plan, seen, find(plan, seen), ["caught"])


def test_a_call_that_is_right() -> None:
    """Its table shows each header, and the last line says what to look at elsewhere."""
    sent = probe(SAMPLED)
    text = _text(checked(judged(sent, sent.fields)))
    assert "GET http://reviews/reviews/0   [kept]" in text
    assert f"x-b3-spanid        {dict(sent.fields)['x-b3-spanid']}" in text
    assert "KEPT: every header that has to go on does" in text
    assert "the mesh samples 1 %" in text


def test_a_call_that_is_not() -> None:
    """The finding has the effect, the likely cause and the fix."""
    text = _text(checked(judged(probe(SAMPLED), [])))
    assert "[1 finding]" in text
    assert "finding 1: every header (every probe)" in text
    assert "effect:   Envoy starts a new trace at this call" in text
    assert "fix:      copy these headers" in text
    assert "where:" not in text
    assert "FOUND: 1 finding (0 probes, 1 calls)" in text


def test_what_is_to_be_done_comes_first() -> None:
    """The findings and notes of a call stand above its tables."""
    sent = probe(SAMPLED)
    text = _text(checked(judged(sent, changed(sent.fields, x_request_id="7", x_b3_sampled="true"))))
    places = [text.index(said) for said in ("[1 finding]", "finding 1:", "note: ", "verdict")]
    assert sorted(places) == places


def test_a_fault_of_some_probes() -> None:
    """The probes that show a finding are named, where it is not all of them."""
    one, other = probe(SAMPLED), probe("zipkin, unsampled")
    endpoint = judged(one, [])
    endpoint.judged += judged(other, other.fields).judged
    assert "finding 1: every header (zipkin, sampled)" in _text(checked(endpoint))


def test_the_line_of_a_call() -> None:
    """Where the line that makes the call is known, it is shown."""
    note = Note(("shop.py:7 in show",), facts={**FACTS, "used": False})
    assert "where:    shop.py:7 in show" in _text(checked(judged(probe(SAMPLED), [], note=note)))


def test_what_is_long_is_cut_in_the_middle() -> None:
    """A traceparent is shown by its ends, and two lines beside each other."""
    sent = probe("opentelemetry, sampled")
    value = dict(sent.fields)["traceparent"]
    text = _text(checked(judged(sent, [*sent.fields, ("traceparent", value)])))
    assert f"{value[:17]}..{value[-17:]}" in text
    assert "doubled" in text


def test_a_remark() -> None:
    """A header that may stay behind is marked in the table."""
    sent = probe("zipkin, beside a stale traceparent")
    text = _text(checked(judged(sent, sent.fields)))
    assert "kept (stale: may go on, or not)" in text


def test_a_note() -> None:
    """What differs and breaks nothing is a line."""
    sent = probe(SAMPLED)
    text = _text(checked(judged(sent, changed(sent.fields, x_b3_sampled="true"))))
    assert "note: x-b3-sampled: says the same in other words" in text


def test_what_was_not_seen() -> None:
    """TLS is listed with advice; what was passed on is said to be; so is who spoke first."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, sent.fields))
    seen.unseen = [
        Unseen("tls", "api.example.com", 443),
        Unseen("other", "database", 5432, passed_on=True),
        Unseen("http2", "", 0),
    ]
    text = _text(seen)
    assert "not seen: TLS to api.example.com:443; ended" in text
    assert "the application calls https:// itself" in text
    assert "not seen: not HTTP to database:5432; passed on" in text
    assert "not seen: HTTP/2 without TLS (gRPC) to somewhere; ended" in text


def test_answers_that_were_no_good() -> None:
    """How often, and a hint for those that the checker's own answers may have caused."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, sent.fields))
    seen.outcomes = [(SAMPLED, Outcome(500)), (SAMPLED, Outcome(0, "no answer within 1 s"))]
    text = _text(seen)
    assert "1 of 2 probes: answered 500" in text
    assert "1 of 2 probes: no answer within 1 s" in text
    assert "The service said" not in text
    seen.output = ["KeyError: 'id'"]
    assert "  The service said, last:\n  | KeyError: 'id'\n" in _text(seen)
    assert "--answer FILE" in text


def test_what_is_not_judged() -> None:
    """Calls to ignored hosts and to collectors are counted."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, sent.fields))
    seen.ignored = 3
    seen.telemetry = [call([])]
    text = _text(seen)
    assert "3 calls to ignored hosts are not judged" in text
    assert "1 calls to a collector of spans or metrics are not judged" in text


def test_a_probe_without_a_call() -> None:
    """What could not be checked is named."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, sent.fields))
    seen.windows.append(Window((probe("zipkin, unsampled"),), "/product"))
    text = _text(seen)
    assert "COULD NOT CHECK: for these probes the service called nobody:" in text
    assert "  - /product: zipkin, unsampled" in text


@pytest.mark.parametrize(
    ("statuses", "line"),
    [
        pytest.param([404, 404], "Every probe was answered 404: wrong --path?", id="all are 404"),
        pytest.param([500, 500, 404], "Its own answers: 2 with 500, 1 with 404", id="some"),
        pytest.param([0], "Ask for something that calls", id="nothing is answered"),
    ],
)
def test_no_call_at_all(statuses: list[int], line: str) -> None:
    """What the service answered tells why it called nobody; answers to its calls are no help."""
    outcomes = [(SAMPLED, Outcome(status)) for status in statuses]
    seen = Checked(windows=[Window((probe(SAMPLED),), "/")], outcomes=outcomes)
    lines = _text(seen).splitlines()
    after = lines[
        lines.index("COULD NOT CHECK: the service made no outbound HTTP call that was seen.") + 1
    ]
    assert line in after
    assert "--answer" not in "".join(lines)


@pytest.mark.parametrize(
    ("outcome", "last"),
    [
        pytest.param(Outcome(200), "KEPT: nothing is called, as expected", id="answered"),
        pytest.param(
            Outcome(0, "no answer"), "COULD NOT CHECK: not every probe", id="not answered"
        ),
    ],
)
def test_a_leaf(outcome: Outcome, last: str) -> None:
    """A service that should call nobody is right when it calls nobody, and answers."""
    seen = Checked(windows=[Window((probe(SAMPLED),), "/")], outcomes=[(SAMPLED, outcome)])
    assert _text(seen, Plan((Request(),), leaf=True)).splitlines()[-1].startswith(last)


def test_two_probes_of_the_same_name() -> None:
    """What several probes of one name show is said once."""
    one, other = probe(SAMPLED), probe(SAMPLED)
    endpoint = judged(one, one.fields)
    endpoint.judged += judged(other, other.fields).judged
    assert 1 == _text(checked(endpoint)).count(SAMPLED)


def test_json() -> None:
    """The report can be read by programs: status, findings, notes, calls."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, changed(sent.fields, x_b3_spanid=SPAN)))
    seen.unseen = [Unseen("tls", "api.example.com", 443)]
    seen.outcomes = [(SAMPLED, Outcome(200))]
    report = json.loads(json.dumps(as_json(PLAN, seen, find(PLAN, seen), ["caught"])))
    assert 1 == report["status"]
    assert ["no-exporter"] == [finding["diagnosis"] for finding in report["findings"]]
    assert "changed" in {row["verdict"] for row in report["calls"][0]["probes"][0]["headers"]}
    assert [] == report["unchecked"]
    assert "tls" == report["unseen"][0]["kind"]
    assert {"probe": SAMPLED, "status": 200, "trouble": ""} == report["outcomes"][0]

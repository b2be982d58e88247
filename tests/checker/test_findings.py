"""The same fault once, and the exit status."""

import pytest

from meshtrace.checker.answers import Answers
from meshtrace.checker.attribution import Window
from meshtrace.checker.calls import Note
from meshtrace.checker.check import Checked
from meshtrace.checker.findings import find
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Outcome, Request
from tests.checker.judging import FACTS, checked, judged, probe, without

PLAN = Plan((Request(),), answers=Answers([]))
LEAF = Plan((Request(),), leaf=True)
SAMPLED, UNSAMPLED = "zipkin, sampled", "zipkin, unsampled"


def test_all_is_kept() -> None:
    """Without a finding, and with a call for each probe, the status is 0."""
    sent = probe(SAMPLED)
    findings = find(PLAN, checked(judged(sent, sent.fields)))
    assert (0, (), ()) == (findings.status, findings.faults, findings.unchecked)


def test_one_fault_of_several_probes() -> None:
    """Probes that show the same fault of the same call are put together."""
    one, other = probe(SAMPLED), probe(UNSAMPLED)
    endpoint = judged(one, [])
    endpoint.judged += judged(other, []).judged
    findings = find(PLAN, checked(endpoint))
    assert 1 == findings.status
    [fault] = findings.faults
    assert ((SAMPLED, UNSAMPLED), "lost-all", "") == (fault.sent_as, fault.code, fault.where)


def test_what_the_same_call_keeps() -> None:
    """A call that keeps traceparent alone, and so loses all that came of B3, is said to do so."""
    one, other = probe(SAMPLED), probe("opentelemetry, sampled")
    endpoint = judged(one, [])
    endpoint.judged += judged(other, without(other.fields, "x-request-id")).judged
    faults = find(PLAN, checked(endpoint)).faults
    [lost] = [fault for fault in faults if fault.code == "lost-all"]
    assert "the service carries traceparent only" in lost.diagnosis.cause


def test_the_line_is_that_of_a_call_that_was_seen() -> None:
    """The example is a call of which a note was made."""
    one, other = probe(SAMPLED), probe(UNSAMPLED)
    note = Note(("shop.py:7 in show",), facts={**FACTS, "used": False})
    endpoint = judged(one, [], note=note)
    endpoint.judged += judged(other, []).judged
    [fault] = find(PLAN, checked(endpoint)).faults
    assert "shop.py:7 in show" == fault.where


def test_a_call_that_a_library_makes_by_itself() -> None:
    """Where another call shows the service's own line, that one is the example."""
    one, other, third = (probe(SAMPLED) for _ in range(3))
    facts = {**FACTS, "used": False}
    endpoint = judged(one, [], note=Note(("shop.py:7 in show",), facts=facts))
    endpoint.judged += judged(other, [], note=Note((), facts=facts)).judged
    endpoint.judged += judged(third, []).judged
    [fault] = find(PLAN, checked(endpoint)).faults
    assert "shop.py:7 in show" == fault.where


def test_a_note_is_no_finding() -> None:
    """What differs and breaks nothing is a note, and the status stays 0."""
    sent = probe(SAMPLED)
    findings = find(PLAN, checked(judged(sent, without(sent.fields, "x-b3-parentspanid"))))
    assert (0, ["lost-harmless"]) == (findings.status, [note.code for note in findings.notes])


def test_a_probe_without_a_call() -> None:
    """When some probe led to no call, the status is 2, and the probe is named."""
    sent = probe(SAMPLED)
    seen = checked(judged(sent, sent.fields))
    seen.windows.append(Window((probe(UNSAMPLED),), "/product"))
    findings = find(PLAN, seen)
    assert (2, ("/product: zipkin, unsampled",)) == (findings.status, findings.unchecked)


@pytest.mark.parametrize(
    ("plan", "outcome", "status"),
    [
        pytest.param(PLAN, Outcome(200), 2, id="a service that should call"),
        pytest.param(LEAF, Outcome(200), 0, id="a leaf"),
        pytest.param(LEAF, Outcome(0, "no answer"), 2, id="a leaf that is not there"),
    ],
)
def test_no_call_at_all(plan: Plan, outcome: Outcome, status: int) -> None:
    """A service that calls nobody could not be checked, unless it is said to be a leaf."""
    seen = Checked(windows=[Window((probe(SAMPLED),), "/")], outcomes=[(SAMPLED, outcome)])
    assert status == find(plan, seen).status

"""The report: for each call a table, what it does to the trace in Envoy, why, and what to do."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from meshtrace.checker.check import Checked
from meshtrace.checker.diagnosis import TLS
from meshtrace.checker.findings import Finding, Findings
from meshtrace.checker.judged import Endpoint, Judged, is_bare
from meshtrace.checker.loss import NO_HEADERS_CAME
from meshtrace.checker.plan import Plan
from meshtrace.checker.verdict import Row

__all__ = ["as_json", "as_text"]

_WIDTH = 36
_KINDS = {"tls": "TLS", "http2": "HTTP/2 without TLS (gRPC)", "other": "not HTTP"}
_SAME = "="
_ALL = "every header"


def as_text(plan: Plan, checked: Checked, findings: Findings, way: Iterable[str]) -> str:
    """Give the report as text."""
    lines = [*way, ""]
    for endpoint in checked.endpoints:
        lines += [*_endpoint(endpoint, findings), ""]
    lines += _unseen(checked)
    lines += _outcomes(checked, findings)
    lines += _sum(plan, checked, findings)
    return "\n".join(lines)


def _endpoint(endpoint: Endpoint, findings: Findings) -> Iterator[str]:
    faults = [finding for finding in findings.faults if finding.endpoint is endpoint]
    notes = [note for note in findings.notes if note.endpoint is endpoint]
    said = f"{len(faults)} finding{'s' * (len(faults) != 1)}" if faults else "kept"
    yield f"{endpoint}   [{said}]"
    for number, finding in enumerate(faults, 1):
        yield from _finding(finding, number)
    for note in notes:
        yield f"  note: {', '.join(note.names)}: {'; '.join(note.texts)}"
    for names, judged in _tables(endpoint.judged):
        yield f"  {'; '.join(names)}"
        yield from _table(judged)


def _tables(judged: list[Judged]) -> Iterable[tuple[list[str], Judged]]:
    """Put together the probes whose tables say the same."""
    tables: dict[object, tuple[list[str], Judged]] = {}
    for each in judged:
        same = (tuple((row.name, row.verdict) for row in each.rows), each.effects)
        names, _ = tables.setdefault(same, ([], each))
        if each.sent_as not in names:
            names.append(each.sent_as)
    return [(names, each) for names, each in tables.values() if each.rows]


def _table(judged: Judged) -> Iterator[str]:
    rows = [("header", "came", "went", "verdict")]
    rows += [(row.name, _short(row.came), _went(row), _verdict(row)) for row in judged.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True))
        yield f"    {'  '.join(cells)}".rstrip()


def _short(text: str | None) -> str:
    if text is None:
        return "-"
    text = text.replace("\n", " | ")
    half = _WIDTH // 2 - 1
    return text if len(text) <= _WIDTH else f"{text[:half]}..{text[-half:]}"


def _went(row: Row) -> str:
    return _SAME if row.verdict == "kept" else _short(row.went)


def _verdict(row: Row) -> str:
    return f"{row.verdict} ({row.remark})" if row.remark else row.verdict


def _finding(finding: Finding, number: int) -> Iterator[str]:
    names = _ALL if finding.code == "lost-all" else ", ".join(finding.names)
    every = {each.sent_as for each in finding.endpoint.judged if not is_bare(each)}
    probes = "every probe" if every == {*finding.sent_as} else "; ".join(finding.sent_as)
    yield f"  finding {number}: {names} ({probes})"
    for text in finding.texts:
        yield f"    effect:   {text}"
    yield f"    likely:   {finding.diagnosis.cause}"
    yield f"    fix:      {finding.diagnosis.fix}"
    if finding.where:
        yield f"    where:    {finding.where}"


def _unseen(checked: Checked) -> Iterator[str]:
    for unseen in checked.unseen:
        where = f"{unseen.host}:{unseen.port}" if unseen.host else "somewhere"
        what = "passed on" if unseen.passed_on else "ended"
        yield f"not seen: {_KINDS[unseen.kind]} to {where}; {what}"
    if any(unseen.kind == "tls" for unseen in checked.unseen):
        yield f"  {TLS}"
    if checked.unseen:
        yield ""


def _outcomes(checked: Checked, findings: Findings) -> Iterator[str]:
    troubles = Counter(
        outcome.trouble or f"answered {outcome.status}"
        for _, outcome in checked.outcomes
        if outcome.trouble or outcome.status >= 500  # noqa: PLR2004 - a server's error
    )
    for trouble, count in troubles.items():
        yield f"{count} of {len(checked.outcomes)} probes: {trouble}"
    if troubles and checked.output:
        yield "  The service said, last:"
        yield from (f"  | {line}" for line in checked.output)
    if findings.called and any(trouble.startswith("answered") for trouble in troubles):
        yield "  If the service needs more than {} from those it calls: --answer FILE"


def _sum(plan: Plan, checked: Checked, findings: Findings) -> Iterator[str]:
    sent = len(checked.outcomes)
    calls = sum(len(endpoint.judged) for endpoint in checked.endpoints)
    if checked.ignored:
        yield f"{checked.ignored} calls to ignored hosts are not judged"
    if checked.telemetry:
        yield f"{len(checked.telemetry)} calls to a collector of spans or metrics are not judged"
    said = f"{sent} probes, {calls} calls"
    if findings.faults:
        number = len(findings.faults)
        yield f"FOUND: {number} finding{'s' * (number != 1)} ({said})"
    elif findings.status == 0 and not findings.called:
        yield f"KEPT: nothing is called, as expected ({said})"
    elif findings.status == 0:
        yield f"KEPT: every header that has to go on does ({said})"
        yield "If a trace breaks here all the same, no headers come to this service; likely causes:"
        yield from (f"  - {reason}" for reason in NO_HEADERS_CAME)
    if findings.unchecked and not (plan.leaf and not findings.called):
        yield from _unchecked(checked, findings)
    elif findings.status == 2:  # noqa: PLR2004 - could not check
        yield f"COULD NOT CHECK: not every probe was answered ({said})"


def _unchecked(checked: Checked, findings: Findings) -> Iterator[str]:
    if findings.called:
        yield "COULD NOT CHECK: for these probes the service called nobody:"
        yield from (f"  - {name}" for name in findings.unchecked)
    else:
        yield "COULD NOT CHECK: the service made no outbound HTTP call that was seen."
        statuses = Counter(outcome.status for _, outcome in checked.outcomes if outcome.status)
        if {*statuses} == {404}:
            yield "  Every probe was answered 404: wrong --path?"
        elif statuses:
            said = ", ".join(f"{count} with {status}" for status, count in statuses.items())
            yield f"  Its own answers: {said}"
        yield "  Ask for something that calls: --path /orders?id=1, --method POST --body '{}'"
        yield "  A service that calls nobody: --leaf"


def as_json(plan: Plan, checked: Checked, findings: Findings, way: Iterable[str]) -> dict[str, Any]:
    """Give the report as what can be written as JSON."""
    return {
        "status": findings.status,
        "way": list(way),
        "calls": [_endpoint_json(endpoint) for endpoint in checked.endpoints],
        "findings": [_finding_json(finding) for finding in findings.faults],
        "notes": [_finding_json(note) for note in findings.notes],
        "unchecked": [] if plan.leaf and not findings.called else list(findings.unchecked),
        "unseen": [vars(unseen) for unseen in checked.unseen],
        "output": checked.output,
        "outcomes": [{"probe": name, **vars(outcome)} for name, outcome in checked.outcomes],
        "ignored": checked.ignored,
        "telemetry": len(checked.telemetry),
    }


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "method": endpoint.method,
        "url": endpoint.url,
        "nth": endpoint.nth,
        "path": endpoint.path,
        "probes": [
            {
                "probe": judged.sent_as,
                "bare": is_bare(judged),
                "headers": [vars(row) for row in judged.rows],
                "effects": [vars(effect) for effect in judged.effects],
            }
            for judged in endpoint.judged
        ],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "call": str(finding.endpoint),
        "path": finding.endpoint.path,
        "code": finding.code,
        "headers": list(finding.names),
        "probes": list(finding.sent_as),
        "effect": list(finding.texts),
        "diagnosis": finding.diagnosis.name,
        "cause": finding.diagnosis.cause,
        "fix": finding.diagnosis.fix,
        "where": finding.where,
    }

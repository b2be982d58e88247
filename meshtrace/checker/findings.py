"""What a check has found: the same fault of the same call once, however many probes show it."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshtrace.checker.check import Checked
from meshtrace.checker.diagnosis import diagnose
from meshtrace.checker.effect import Effect
from meshtrace.checker.evidence import Diagnosis, Evidence
from meshtrace.checker.judged import Endpoint, Judged, is_bare
from meshtrace.checker.plan import Plan

__all__ = ["Finding", "Findings", "find"]


@dataclass(frozen=True)
class Finding:
    """
    One fault, or with `Findings.notes` one thing that is no fault.

    Attributes:
        endpoint: The call.
        code: What happens to the trace, in a word.
        texts: The same in sentences.
        names: The headers that do it.
        sent_as: The probes that show it.
        example: One call that shows it.
        diagnosis: The likely cause and the fix.
    """

    endpoint: Endpoint
    code: str
    texts: tuple[str, ...]
    names: tuple[str, ...]
    sent_as: tuple[str, ...]
    example: Judged
    diagnosis: Diagnosis

    @property
    def where(self) -> str:
        """The line that makes the call, where it is known."""
        return self.example.call.line_of_code


@dataclass(frozen=True)
class Findings:
    """
    All of it.

    Attributes:
        faults: What breaks something.
        notes: What differs and breaks nothing.
        unchecked: Which probes led to no call.
        called: Whether any call was judged.
        status: The exit status: 0 kept, 1 findings, 2 could not check.
    """

    faults: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    unchecked: tuple[str, ...]
    called: bool
    status: int


def find(plan: Plan, checked: Checked) -> Findings:
    """Put together what a check has seen."""
    faults = tuple(_found(plan, checked, wanted=True))
    notes = tuple(_found(plan, checked, wanted=False))
    unchecked = tuple(_unchecked(checked))
    called = any(endpoint.judged for endpoint in checked.endpoints)
    if faults:
        status = 1
    elif plan.leaf and not called:
        status = 2 if any(outcome.status == 0 for _, outcome in checked.outcomes) else 0
    else:
        status = 2 if unchecked else 0
    return Findings(faults, notes, unchecked, called, status)


def _found(plan: Plan, checked: Checked, *, wanted: bool) -> Iterable[Finding]:
    for endpoint in checked.endpoints:
        groups: dict[str, list[tuple[Judged, Effect]]] = {}
        for judged in endpoint.judged:
            for effect in judged.effects:
                if effect.finding is wanted:
                    groups.setdefault(effect.code, []).append((judged, effect))
        for code, group in groups.items():
            yield _finding(plan, checked, endpoint, code, group)


def _finding(
    plan: Plan,
    checked: Checked,
    endpoint: Endpoint,
    code: str,
    group: Sequence[tuple[Judged, Effect]],
) -> Finding:
    names = _once(name for _, effect in group for name in effect.names)
    # The call that tells most: one whose line is known, and the last, when all has run once.
    example = max((judged for judged, _ in reversed(group)), key=_tells)
    evidence = Evidence(
        code,
        names,
        example,
        rest_is_kept=any(_is_kept(judged) for judged in endpoint.judged),
        others_are_kept=any(
            _is_kept(judged)
            for other in checked.endpoints
            if other is not endpoint
            for judged in other.judged
        ),
        runs_already=plan.listen is not None,
        command=shlex.join(plan.command),
        kept=_once(
            row.name
            for judged in endpoint.judged
            for row in judged.rows
            if row.verdict == "kept" and not row.remark
        ),
    )
    return Finding(
        endpoint,
        code,
        _once(effect.text for _, effect in group),
        names,
        _once(judged.sent_as for judged, _ in group),
        example,
        diagnose(evidence),
    )


def _tells(judged: Judged) -> int:
    return bool(judged.call.note) + bool(judged.call.line_of_code)


def _is_kept(judged: Judged) -> bool:
    faulty = any(effect.finding for effect in judged.effects)
    return not (faulty or is_bare(judged))


def _unchecked(checked: Checked) -> Iterable[str]:
    seen = {judged.probe for endpoint in checked.endpoints for judged in endpoint.judged}
    for window in checked.windows:
        [first, *others] = window.probes
        if first.fields and not others and first not in seen:
            yield f"{window.path}: {first.name}"


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))

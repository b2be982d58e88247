"""
What the headers of a call do to the trace in Envoy.

That a header is not what it was is no fault by itself: a context may be written in another
spelling, an application may put a span of its own between. What counts is what the next Envoy reads
(`parents`), as a real Envoy 1.40 was seen to do. An `Effect` is a *finding* when it breaks
something, and a note when it does not.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from meshtrace.checker.parents import Parent, names_of, read
from meshtrace.checker.probes import BARE, Probe
from meshtrace.checker.verdict import Row
from meshtrace.context import Sampling
from meshtrace.errors import MalformedHeaderError

__all__ = ["Effect", "effects"]

_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch
_sampled = (Sampling.ACCEPT, Sampling.DEBUG)


@dataclass(frozen=True)
class Effect:
    """
    One thing that happens to the trace.

    Attributes:
        code: What it is, in a word that stays the same.
        text: What it is, in a sentence.
        names: The headers that do it.
        finding: Whether it breaks something.
    """

    code: str
    text: str
    names: tuple[str, ...]
    finding: bool = True


def effects(probe: Probe, rows: Sequence[Row], is_exported: Callable[[str], bool]) -> list[Effect]:
    """
    Say what the headers of one call do to the trace.

    Args:
        probe: The request that it was made for.
        rows: What became of each header.
        is_exported: Tells whether a span, by its id, was exported by the application.

    >>> rows = [Row("x-request-id", "a", None, "lost")]
    >>> [effect.code for effect in effects(Probe("", (("x-request-id", "a"),)), rows, bool)]
    ['lost-all']
    """
    if mixed := _names(row for row in rows if row.verdict == "mixed"):
        return [Effect("mixed", "Envoy puts two requests into one trace", mixed)]
    if probe.name == BARE:
        return list(_begun(rows))
    due = [row for row in rows if row.came and not row.remark]
    if due and all(row.verdict == "lost" for row in due):
        text = "Envoy starts a new trace at this call, and nothing joins the two"
        return [Effect("lost-all", text, _names(due))]
    doubled = list(_doubled(rows))
    seen = [*doubled, *_request_id(probe, rows)]
    if not {name for effect in doubled for name in effect.names} & names_of(probe.reads):
        seen += _context(probe, rows, is_exported)
    told = {name for effect in seen for name in effect.names}
    return [*seen, *_harmless(row for row in rows if row.name not in told)]


def _begun(rows: Sequence[Row]) -> Iterator[Effect]:
    """Tell of what an application makes up for a request that brought nothing."""
    if made_up := _names(row for row in rows if row.name != "x-request-id"):
        text = "the application starts a trace of its own where none came"
        yield Effect("begun", text, made_up, finding=False)
    for row in rows:
        if row.name == "x-request-id":
            text = "a request id is made up where none came; behind a sidecar one always comes"
            if not _uuid(row.went or ""):
                text += ". Envoy needs a UUID with dashes, and this is none"
            yield Effect("request-id-begun", text, (row.name,), finding=False)


def _doubled(rows: Sequence[Row]) -> Iterator[Effect]:
    for row in rows:
        if row.verdict == "doubled":
            folded = "\n" not in (row.went or "")
            text = (
                "Envoy takes two values in one line for malformed: the trace is partial"
                if folded
                else "Envoy takes the first of two lines; other receivers take none"
            )
            yield Effect("folded" if folded else "doubled", text, (row.name,))


def _request_id(probe: Probe, rows: Sequence[Row]) -> Iterator[Effect]:
    for row in rows:
        if row.name != "x-request-id":
            continue
        if row.verdict == "lost":
            text = (
                "the sampling decision is kept in it: below 100 % sampling the trace is partial"
                if "w3c" in probe.reads
                else "the trace holds; access logs of later hops have another request id"
            )
            yield Effect("request-id-lost", text, (row.name,))
        elif row.verdict == "changed":
            text = (
                "the sampling decision is kept in it, and was made for another"
                if _uuid(row.went or "")
                else "Envoy keeps the sampling decision in a UUID, and this is none: "
                "such a request may never be traced"
            )
            yield Effect("request-id-changed", text, (row.name,))


def _context(
    probe: Probe, rows: Sequence[Row], is_exported: Callable[[str], bool]
) -> Iterator[Effect]:
    live = [row for row in rows if row.name in names_of(probe.reads)]
    gone = _names(row for row in live if row.came and row.verdict != "kept" and not row.remark)
    came = None
    if not probe.malformed:
        came = read(
            probe.reads,
            {row.name: row.came for row in live if row.came and row.name not in probe.stale},
        )
    try:
        went = read(
            probe.reads,
            {
                row.name: row.went.partition("\n")[0]
                for row in live
                if row.went and not (row.name in probe.stale and row.verdict == "kept")
            },
        )
    except MalformedHeaderError as error:
        text = "Envoy makes no span for what is malformed, and passes it on: nothing is traced"
        yield Effect("poison", text, (error.field, *gone))
        return
    if came is not None and went is None:
        yield Effect("lost", "Envoy starts a new trace at this call", gone)
    elif came is not None and went is not None:
        yield from _parent(came, went, gone, is_exported)


def _parent(
    came: Parent, went: Parent, names: tuple[str, ...], is_exported: Callable[[str], bool]
) -> Iterator[Effect]:
    if not went.is_of(came) or bool(went.trace) != bool(came.trace):
        yield Effect("trace-changed", "what comes after goes on in another trace", names)
        return
    if went.span != came.span:
        yield _other_span(came, went, names, is_exported)
    if (text := _decision(came.sampling, went.sampling)) is not None:
        code = "decided" if came.sampling is Sampling.DEFER else "sampling-changed"
        yield Effect(code, text, names)


def _other_span(
    came: Parent, went: Parent, names: tuple[str, ...], is_exported: Callable[[str], bool]
) -> Effect:
    if went.sampling not in _sampled or came.sampling not in _sampled:
        text = "another span id in the same trace, of a request that is not sampled: harmless"
        return Effect("span-changed", text, names, finding=False)
    if is_exported(went.span):
        text = "a span of the application's own in the same trace, and exported: nothing breaks"
        return Effect("own-span", text, names, finding=False)
    text = "the parent is a span of the application's own that nobody was seen to export: orphans"
    return Effect("phantom", text, names)


def _decision(came: Sampling, went: Sampling) -> str | None:
    if came is went or (came in _sampled and went in _sampled):
        return None
    if came is Sampling.DEFER:
        return "nothing was decided, and now Envoy is told to " + (
            "sample" if went in _sampled else "leave the request out: the trace ends here"
        )
    if went is Sampling.DEFER:
        return "Envoy decides anew whether to sample: at Istio's 1 % the trace mostly ends here"
    if went is Sampling.DENY:
        return "the request was sampled, and from here on it is not"
    return "the request was not sampled, and from here on it is"


def _harmless(rows: Iterator[Row]) -> Iterator[Effect]:
    """Tell of what differs, and changes nothing for this tracer."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.remark or row.verdict == "kept":
            continue
        if row.name == "x-b3-parentspanid":
            text = "Envoy writes its own"
        elif row.verdict == "lost":
            text = "this tracer does without it"
        elif row.verdict == "invented":
            text = "added beside what came; this tracer does not mind"
        else:
            text = "says the same in other words"
        groups.setdefault((row.verdict, text), []).append(row)
    for (verdict, text), group in groups.items():
        yield Effect(f"{verdict}-harmless", text, _names(group), finding=False)


def _names(rows: Iterator[Row] | Sequence[Row]) -> tuple[str, ...]:
    return tuple(row.name for row in rows)

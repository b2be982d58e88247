"""Why a header did not go on as it came, most likely, and what to do."""

from collections.abc import Callable

from meshtrace.checker.calls import Note
from meshtrace.checker.evidence import Diagnosis, Evidence
from meshtrace.checker.loss import lost_all

__all__ = ["TLS", "diagnose"]

TLS = (
    "the application calls https:// itself: the sidecar sees bytes, makes no span of the call and "
    "adds no header. Call http://, and let the mesh encrypt (a DestinationRule with "
    "tls.mode SIMPLE for a host outside)"
)


def diagnose(evidence: Evidence) -> Diagnosis:
    """Name the likely cause of a fault."""
    explain = _EXPLANATIONS.get(evidence.code)
    return explain(evidence) if explain else Diagnosis(evidence.code, "")


def _lost(evidence: Evidence) -> Diagnosis:
    names = set(evidence.names)
    if names == {"traceparent"} and evidence.rest_is_kept:
        return Diagnosis(
            "b3-only",
            "the service carries B3 and not W3C Trace Context",
            "carry traceparent and tracestate, too (with OpenTelemetry: "
            "OTEL_PROPAGATORS=tracecontext,baggage,b3multi)",
        )
    if names == {row.name for row in evidence.example.rows if row.name.startswith("x-b3-")}:
        return Diagnosis(
            "w3c-only",
            "the service carries W3C Trace Context and not B3, which Istio's Zipkin tracer reads",
            "carry b3 and x-b3-*, too (with OpenTelemetry: "
            "OTEL_PROPAGATORS=tracecontext,baggage,b3multi)",
        )
    return _forgotten(evidence)


def _forgotten(evidence: Evidence) -> Diagnosis:
    names = ", ".join(evidence.names)
    return Diagnosis(
        "forgotten",
        f"the service carries some headers, and not {names}",
        f"carry {names}, too",
    )


def _decision(evidence: Evidence) -> Diagnosis:
    if all(row.verdict == "lost" for row in evidence.example.rows if row.name in evidence.names):
        return _forgotten(evidence)
    return Diagnosis(
        "decision-changed",
        f"{_writer(evidence)} writes its own sampling decision over the mesh's",
        "let it follow its parent (OTEL_TRACES_SAMPLER=parentbased_always_on), "
        "or take the headers from it",
    )


def _decided(evidence: Evidence) -> Diagnosis:
    return Diagnosis(
        "decision-made-up",
        f"{_writer(evidence)} turns 'not decided yet' into a decision; "
        "OpenTelemetry's B3 propagator does that",
        "relay the headers as they came",
    )


def _own_trace(evidence: Evidence) -> Diagnosis:
    return Diagnosis(
        "own-trace",
        f"{_writer(evidence)} writes a trace of its own over the one that came",
        "let it read the format that the mesh writes, or keep it from writing these headers",
    )


def _phantom(evidence: Evidence) -> Diagnosis:
    return Diagnosis(
        "no-exporter",
        f"{_writer(evidence)} makes spans and writes their ids to the wire; "
        "no export of them was seen",
        "give the SDK an exporter to where the mesh's spans go, or take the SDK out",
    )


def _request_id(evidence: Evidence) -> Diagnosis:
    note = evidence.example.call.note
    if note is not None and note.context:
        fix = "take the header out of the call: meshtrace sends the one that came"
    else:
        fix = (
            "relay x-request-id as it came, all 36 characters; make one only where none came, "
            "as a UUID with its dashes"
        )
    return Diagnosis(
        "request-id-replaced",
        "the service or a middleware in it makes a request id of its own",
        fix,
    )


def _mixed(evidence: Evidence) -> Diagnosis:
    note = evidence.example.call.note
    if note is not None and note.context and not _in_a_request(note):
        return Diagnosis(
            "kept-context",
            "a worker that was started inside a request keeps that request's context",
            "start it in `with meshtrace.detached():`, and put meshtrace.carry(job) for it to do",
        )
    if evidence.is_python:
        fix = "keep them in a ContextVar, set at the start of every request (meshtrace does)"
    else:
        fix = "keep one set of them per request (in Node: AsyncLocalStorage)"
    return Diagnosis(
        "leak",
        "the headers are kept where requests share them: a module's global, an attribute of a "
        "shared session or client",
        fix,
    )


def _in_a_request(note: Note) -> bool:
    """Tell whether the context is surely the request's own; then it is not meshtrace that mixes."""
    # Starlette runs a plain function there, below the middleware but on another stack.
    return note.inside or note.thread.startswith("AnyIO worker thread")


def _doubled(evidence: Evidence) -> Diagnosis:
    return Diagnosis(
        "two-writers",
        f"two places write {', '.join(evidence.names)} to the same call",
        "leave it to one of them, or set the header instead of adding it",
    )


def _poison(_evidence: Evidence) -> Diagnosis:
    return Diagnosis(
        "malformed-relayed",
        "a malformed header is sent on as it came",
        "drop a malformed header with its format: the next sidecar then starts a good trace",
    )


def _writer(evidence: Evidence) -> str:
    return ", ".join(dict.fromkeys(evidence.tracers)) or "a tracer in the application"


_EXPLANATIONS: dict[str, Callable[[Evidence], Diagnosis]] = {
    "lost-all": lost_all,
    "lost": _lost,
    "request-id-lost": _forgotten,
    "request-id-changed": _request_id,
    "sampling-changed": _decision,
    "decided": _decided,
    "trace-changed": _own_trace,
    "phantom": _phantom,
    "mixed": _mixed,
    "doubled": _doubled,
    "folded": _doubled,
    "poison": _poison,
}

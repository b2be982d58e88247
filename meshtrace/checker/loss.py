"""Why no header at all went on: what the stack inside a Python service tells, or the wire alone."""

from meshtrace.checker.calls import Note
from meshtrace.checker.evidence import Diagnosis, Evidence

__all__ = ["NO_HEADERS_CAME", "lost_all"]

_BY_HAND = (
    "x-request-id, traceparent, tracestate, b3, x-b3-traceid, x-b3-spanid, x-b3-parentspanid, "
    "x-b3-sampled, x-b3-flags"
)
"""What is to be copied by those who copy by hand."""

NO_HEADERS_CAME = (
    "no tracing provider is configured for it (Telemetry, meshConfig.extensionProviders)",
    "the pod has no sidecar (kubectl get pod: one container), or the namespace no injection",
    "in ambient mode there is no waypoint: ztunnel makes no spans and no headers",
    "the Service's port is not named http-... (or has no appProtocol): Envoy sees bytes",
    "the mesh samples 1 %, as Istio does by default: most requests are in no trace",
)
"""Why a service that keeps everything may still break a trace: nothing came."""


def lost_all(evidence: Evidence) -> Diagnosis:
    """Name the likely cause."""
    return _inside_python(evidence) or _from_outside(evidence)


def _inside_python(evidence: Evidence) -> Diagnosis | None:
    note = evidence.example.call.note
    if note is None:
        return None
    client = evidence.client or "this client"
    if note.context:
        return Diagnosis(
            "client-not-wrapped",
            f"the request's context was there, but this use of {client} is not wrapped "
            "(or a setting holds the headers back: deny_hosts, trace_hosts)",
            "meshtrace.patch() at start-up, or meshtrace.wrap(client); "
            "for a client that meshtrace does not know: headers=meshtrace.headers(url)",
        )
    if note.facts["disabled"]:
        return Diagnosis(
            "disabled", "MESHTRACE_DISABLED is set: meshtrace is off", "unset MESHTRACE_DISABLED"
        )
    # Without us, and with nothing carried anywhere, there is no context that could be lost.
    if note.root != "main" and (note.facts["used"] or evidence.others_are_kept):
        return _in_a_thread(note.root, note.thread, with_us=note.facts["used"])
    return _outside(note, client, evidence.command) if note.facts["used"] else None


def _outside(note: Note, client: str, command: str) -> Diagnosis:
    if not note.facts["middleware"]:
        return Diagnosis(
            "no-middleware",
            f"{client} is ready, but no middleware of meshtrace ever ran",
            _read_requests(command),
        )
    return Diagnosis(
        "no-context",
        "the call is made in a thread or task that does not have the request's context "
        "(a pool's thread, a queue's worker), or in a middleware outside of meshtrace's",
        "meshtrace.carry(function) for what is handed over; for a thread that a request starts, "
        'meshtrace.patch("threading"); only if the call is in a middleware: make MeshTrace the '
        "outermost",
    )


def _read_requests(command: str) -> str:
    """Say how requests are read: first the way that fits every framework, where it is not taken."""
    middleware = "the middleware for its framework (README)"
    if "meshtrace run " in command:
        return middleware
    return f"meshtrace run {command or 'COMMAND'}, or {middleware}"


def _in_a_thread(root: str, thread: str, *, with_us: bool) -> Diagnosis:
    what = "a thread pool" if root == "executor" else "a thread"
    if not with_us:
        fix = f"give {what} a copy of the context: contextvars.copy_context().run(function)"
    elif root == "executor":
        fix = "meshtrace.patch(), or executor.submit(meshtrace.carry(function))"
    else:
        fix = 'meshtrace.patch("threading"), or Thread(target=meshtrace.carry(function))'
    cause = f"{what} makes the call ({thread}), and the request's context does not follow it there"
    return Diagnosis(root, cause, fix)


def _from_outside(evidence: Evidence) -> Diagnosis:
    missing = [name for name in evidence.names if name not in evidence.kept]
    if evidence.kept and missing and not evidence.rest_is_kept:
        return Diagnosis(
            "some-only",
            f"the service carries {', '.join(evidence.kept)} only: the other fields are not on "
            "its list",
            f"carry {', '.join(missing)}, too",
        )
    client = evidence.client
    by = f" ({client})" if client else ""
    if evidence.others_are_kept or evidence.rest_is_kept:
        return Diagnosis(
            "this-call-only",
            f"other calls carry the headers, and this one{by} does not: it is made in another way",
            "give this call the headers, too",
        )
    cause = f"nothing in the service carries the headers from the request to its calls{by}"
    if evidence.runs_already:
        cause += ". Or they never reached it: " + "; ".join(NO_HEADERS_CAME)
    if evidence.is_python:
        fix = f"{_read_requests(evidence.command)} and meshtrace.patch()"
    else:
        fix = f"copy these headers from the request to each call: {_BY_HAND}"
    return Diagnosis("not-carried", cause, fix)

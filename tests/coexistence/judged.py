"""
What Envoy would make of a call: its rule, as it was observed of the real one.

Each of Envoy's tracers reads a format of its own, and makes its span a child of the one that is
named there. That one has to be known where the mesh's spans go, or the mesh's trace has an orphan.
"""

from collections.abc import Iterable, Mapping

__all__ = ["breaks", "faults", "in_mesh"]

Lines = Iterable[tuple[str, str]]

_LOW = 0xFFFF_FFFF_FFFF_FFFF
_FORMATS = {
    "W3C": ("traceparent", "tracestate"),
    "B3": (
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-flags",
    ),
    "Datadog": (
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-datadog-tags",
        "x-datadog-origin",
    ),
}
_FIELDS = {"x-request-id", *(field for fields in _FORMATS.values() for field in fields)}
_READ = {
    "zipkin": ("B3",),
    "zipkin-w3c": ("B3", "W3C"),
    "opentelemetry": ("W3C",),
    "datadog": ("Datadog", "W3C"),
    "none": (),
}
"""What each of Envoy's tracers reads, the first first."""

Ids = tuple[int, int]


def _named(fields: Mapping[str, str]) -> dict[str, Ids]:
    """Give the trace, in 64 bits, and the span that each format names."""
    named = {}
    if "traceparent" in fields:
        _, trace, span, _ = fields["traceparent"].split("-")
        named["W3C"] = (int(trace, 16) & _LOW, int(span, 16))
    if "x-b3-traceid" in fields:
        trace, span = fields["x-b3-traceid"], fields["x-b3-spanid"]
        named["B3"] = (int(trace, 16) & _LOW, int(span, 16))
    if "x-datadog-trace-id" in fields:
        named["Datadog"] = (
            int(fields["x-datadog-trace-id"]),
            int(fields["x-datadog-parent-id"]),
        )
    return named


def faults(
    mesh: str, came: Mapping[str, str], lines: Lines, spans: Iterable[Mapping[str, str]]
) -> list[str]:
    """
    Tell what is wrong with one call; an empty list where nothing is.

    Args:
        mesh: Envoy's tracer.
        came: What the request had brought for which the call was made.
        lines: The header lines of the call.
        spans: The spans that are known where the mesh's spans go, beside the mesh's own.
    """
    lines = [*lines]
    names = [name for name, _ in lines]
    fields = dict(lines)
    found = [f"{name} twice" for name in sorted({*names}) if names.count(name) > 1]
    sent = {name: fields[name] for name in _FIELDS & fields.keys()}
    if sent == came:
        # It is relayed.
        return found
    if came and sent.get("x-request-id") != came["x-request-id"]:
        found.append("x-request-id is not what came")
    known = {(int(span["trace"], 16) & _LOW, int(span["span"], 16)) for span in spans}
    ours, theirs = _named(came), _named(sent)
    known |= {*ours.values()}
    traces = {trace for trace, _ in theirs.values()}
    if len(traces) > 1:
        found.append("formats of several traces")
    if came and not traces <= {trace for trace, _ in ours.values()}:
        found.append("another trace than the mesh's")
    read = [name for name in _READ[mesh] if name in theirs]
    if came and not read:
        found.append("nothing that this tracer reads")
    if read and theirs[read[0]] not in known:
        found.append("an orphan")
    return found


def in_mesh(came: Mapping[str, str], spans: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Give those of the spans that are of the trace that came; all of them where none came."""
    traces = {trace for trace, _ in _named(came).values()}
    return [span for span in spans if not traces or int(span["trace"], 16) & _LOW in traces]


def breaks(
    came: Mapping[str, str], calls: Iterable[Lines], spans: Iterable[Mapping[str, str | None]]
) -> list[str]:
    """
    Tell where the spans of one request do not hang together; an empty list where they do.

    Args:
        came: What the request had brought.
        calls: The header lines of each of its calls.
        spans: The spans of the request and of its calls, of one provider.
    """
    spans = [*spans]
    above = {f"{span:016x}" for _, span in _named(came).values()}
    known = {None, *above, *(span["span"] for span in spans)}
    found = ["a span whose parent nobody knows" for span in spans if span["parent"] not in known]
    named = [{f"{span:016x}" for _, span in _named(dict(lines)).values()} for lines in calls]
    clients = [{str(span["span"])} for span in spans if span["kind"] == "CLIENT"]
    if sorted(map(sorted, named)) != sorted(map(sorted, clients)):
        found.append("a call that does not name its span")
    return found

"""What Envoys report, Zipkin's or OpenTelemetry's way, as one kind of span; and spans as traces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

OTLP_KINDS = {
    OtlpSpan.SPAN_KIND_SERVER: "SERVER",
    OtlpSpan.SPAN_KIND_CLIENT: "CLIENT",
    OtlpSpan.SPAN_KIND_INTERNAL: "INTERNAL",
}
ENVOY = "envoy"
APPLICATION = "application"

# Envoy's response flags that a reader of a trace wants to see.
FLAGS = {
    "DI": "fault: delayed",
    "FI": "fault: aborted",
    "UF": "connection failed",
    "UH": "no healthy host",
    "URX": "gave up retrying",
    "UT": "timed out",
}


@dataclass(frozen=True)
class Span:
    """One span, of an Envoy or of an application; times in microseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str | None
    workload: str
    operation: str
    kind: str
    start: int
    duration: int
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    made_by: str = field(default=ENVOY, compare=False)

    @property
    def label(self) -> str:
        """Its operation, without what Envoy says around it."""
        # Only the gateway's own span for its call is named after the cluster and not the route.
        return self.operation.removeprefix("router ").removesuffix(" egress")

    @property
    def request_id(self) -> str | None:
        """The x-request-id of the request that it stands for."""
        return self.tags.get("guid:x-request-id")

    @property
    def delayed(self) -> bool:
        """Whether its Envoy held the call back on purpose."""
        return "DI" in self._flags

    @property
    def notes(self) -> list[str]:
        """What was out of the ordinary, in words."""
        status = self.tags.get("http.status_code") or self.tags.get("http.response.status_code", "")
        notes = [FLAGS[flag] for flag in self._flags if flag in FLAGS]
        if status >= "400":
            return [*notes, f"status {status}"]
        return notes or ["error"] * ("error" in self.tags)

    @property
    def _flags(self) -> list[str]:
        return self.tags.get("response_flags", "").split(",")


@dataclass(frozen=True)
class Trace:
    """All spans that carry the same trace id, in the order in which they began."""

    trace_id: str
    spans: tuple[Span, ...]

    @property
    def orphans(self) -> list[Span]:
        """Spans whose parent nobody reported."""
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id and span.parent_id not in known]

    @property
    def tops(self) -> list[Span]:
        """Spans that hang from no other here: the root, more roots, and orphans."""
        known = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_id not in known]

    def children(self, parent: Span) -> list[Span]:
        """Return the spans right below *parent*."""
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def notes(self, span: Span) -> list[str]:
        """Return what was out of the ordinary with *span*, by itself and in its place here."""
        attempts = len(self.children(span)) if span.kind == "CLIENT" else 1
        return [
            *span.notes,
            *[f"{attempts} attempts"] * (attempts > 1),
            *[f"orphan: nobody reported {span.parent_id}"] * (span in self.orphans),
        ]

    def walk(self) -> Iterator[tuple[int, Span]]:
        """Go through the tree from the top: each span once, with its depth."""
        met: set[int] = set()

        def below(span: Span, depth: int) -> Iterator[tuple[int, Span]]:
            met.add(id(span))
            yield depth, span
            for child in self.children(span):
                # Two spans may claim one id, and a span to be its own parent.
                if id(child) not in met:
                    yield from below(child, depth + 1)

        for top in self.tops:
            yield from below(top, 0)


def traces(spans: Iterable[Span]) -> list[Trace]:
    """Sort *spans* into traces, the earliest first."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        found[span.trace_id].append(span)
    return [Trace(trace_id, tuple(members)) for trace_id, members in found.items()]


def from_zipkin(body: bytes) -> list[Span]:
    """Read a Zipkin v2 JSON list."""
    return [
        Span(
            trace_id=span["traceId"],
            span_id=span["id"],
            parent_id=span.get("parentId"),
            workload=span.get("localEndpoint", {}).get("serviceName", "?"),
            operation=span.get("name", "?"),
            kind=span.get("kind", "?"),
            start=span.get("timestamp", 0),
            duration=span.get("duration", 0),
            tags=span.get("tags", {}),
            made_by=_made_by(span.get("tags", {})),
        )
        for span in json.loads(body)
    ]


def from_otlp(body: bytes) -> list[Span]:
    """Read an OTLP request in protobuf, as Envoy sends it."""
    return [
        Span(
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex() or None,
            workload=_tags(resource_spans.resource.attributes).get("service.name", "?"),
            operation=span.name,
            kind=OTLP_KINDS.get(span.kind, "?"),
            start=span.start_time_unix_nano // 1000,
            duration=(span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
            tags=_tags(span.attributes) | _error(span.status),
            made_by=_made_by(_tags(resource_spans.resource.attributes) | _tags(span.attributes)),
        )
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _made_by(tags: Mapping[str, str]) -> str:
    # Envoy says the one on every span, and the other for all that it hands over by OTLP.
    envoy = tags.get("component") == "proxy" or tags.get("telemetry.sdk.name") == "envoy"
    return ENVOY if envoy else APPLICATION


def _error(status: Status) -> dict[str, str]:
    failed = status.code == Status.STATUS_CODE_ERROR
    return {"error": status.message or "true"} if failed else {}


def _tags(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {attribute.key: _text(attribute.value) for attribute in attributes}


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    return str(getattr(value, kind)) if kind else ""

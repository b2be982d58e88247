"""300 requests, 16 at a time, each with a context of its own: none meets another's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.spans import Trace
from examples.bookinfo.runner.verdict import actual, request_ids
from examples.bookinfo.runner.visitor import served_by
from tests.mesh.lab import Lines, fetch, session_cookie, whole_page

pytestmark = pytest.mark.envoy

REQUESTS = 300
AT_A_TIME = 16
JASON_COMES = 10  # every tenth time


@dataclass(frozen=True)
class Client:
    """One client: the context that it is in, and who it is."""

    trace_id: str
    span_id: str
    jason: bool

    @property
    def traceparent(self) -> Lines:
        """Its context in W3C's words."""
        return [("traceparent", f"00-{self.trace_id}-{self.span_id}-01")]

    @property
    def b3(self) -> Lines:
        """Its context in B3's many words."""
        ids = [("x-b3-traceid", self.trace_id), ("x-b3-spanid", self.span_id)]
        return [*ids, ("x-b3-sampled", "1")]


@pytest.fixture(
    scope="module",
    params=[("zipkin", "b3"), ("zipkin-w3c", "traceparent"), ("opentelemetry", "traceparent")],
    ids="{0[0]} joins a client's {0[1]}".format,
)
def mesh_and_format(request: pytest.FixtureRequest) -> Iterator[tuple[Mesh, str]]:
    """Give the bookshop, and the format that its Envoys join."""
    tracer, format_ = request.param
    with Mesh(tracer=tracer) as mesh:
        yield mesh, format_


def test_nobody_gets_a_context_of_somebody_else(mesh_and_format: tuple[Mesh, str]) -> None:
    """Every client's trace holds the spans of its own request, all of them and no others."""
    mesh, format_ = mesh_and_format
    jason = session_cookie(mesh, "jason")
    clients = [
        Client(secrets.token_hex(16), secrets.token_hex(8), jason=number % JASON_COMES == 0)
        for number in range(REQUESTS)
    ]

    def reviews_for(client: Client) -> str | None:
        lines: Lines = [*getattr(client, format_), *([jason] if client.jason else [])]
        return served_by(fetch(mesh.address, lines)[1])

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        reviews = list(pool.map(reviews_for, clients))
    spans = sum(whole_page(answered).spans for answered in reviews)
    mesh.collector.wait_for(lambda arrived: len(arrived) >= spans, 30)
    mesh.collector.wait_until_quiet()
    traces = {trace.trace_id: trace for trace in mesh.collector.traces()}
    wrong = [
        client
        for client, answered in zip(clients, reviews, strict=True)
        if not _is_its_own(client, answered, traces.get(client.trace_id))
    ]
    assert [] == wrong
    assert REQUESTS == len(traces)


def _is_its_own(client: Client, reviews: str | None, trace: Trace | None) -> bool:
    return (
        trace is not None
        and [whole_page(reviews)] == actual(trace)
        and [client.span_id] == [top.parent_id for top in trace.tops]
        and len(request_ids(trace.spans)) == 1
        and client.jason == any(span.delayed for span in trace.spans)
        and (reviews == "reviews-v2" or not client.jason)
    )

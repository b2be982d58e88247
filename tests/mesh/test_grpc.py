"""Calls of gRPC through real Envoys: HTTP comes in, and gRPC goes on, twice."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from examples.bookinfo.runner.spans import Span, Trace, traces
from examples.bookinfo.runner.verdict import Hop, actual
from tests.inbound.grpc_server import KINDS
from tests.mesh.grpc_lab import Desk

pytestmark = pytest.mark.envoy

TRACERS = ("zipkin", "zipkin-w3c", "opentelemetry")
ANSWERS = {
    "unary_unary": b"ab",
    "unary_stream": b"ab,ab",
    "stream_unary": b"ab",
    "stream_stream": b"a,b",
    "flaky": b"flaky",
}
STORE = Hop("store", "SERVER")


@pytest.fixture(scope="module", params=TRACERS)
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give the services with meshtrace, under each tracer."""
    with Desk(request.param) as desk:
        yield desk


@pytest.fixture(scope="module", params=TRACERS)
def desk_without(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give the services without meshtrace, under each tracer."""
    with Desk(request.param, without=True) as desk:
        yield desk


def _whole(*store: Hop) -> Hop:
    shelf = Hop("shelf", "SERVER", (Hop("shelf", "CLIENT", store),))
    return Hop("desk", "SERVER", (Hop("desk", "CLIENT", (shelf,)),))


def _ask(desk: Desk, kind: str, spans: int) -> list[Trace]:
    """Ask the desk for a call of one kind, and give the traces that come of it."""
    desk.collector.clear()
    desk.store.handlers.seen.clear()
    connection = HTTPConnection(desk.address, timeout=30)
    try:
        connection.request("GET", f"/{kind}")
        response = connection.getresponse()
        assert (200, ANSWERS[kind]) == (response.status, response.read())
    finally:
        connection.close()
    desk.collector.wait_for(lambda arrived: len(arrived) >= spans)
    return traces(desk.collector.wait_until_quiet(0.3))


def _of_store(trace: Trace) -> Span:
    (server,) = [span for span in trace.spans if span.workload == "store"]
    return server


@pytest.mark.parametrize("kind", KINDS)
def test_one_whole_trace(kind: str, desk: Desk) -> None:
    """A call of each kind is in one trace from end to end, and the ids are those of its spans."""
    (trace,) = _ask(desk, kind, 5)
    assert [_whole(STORE)] == actual(trace)
    assert 1 == len({span.request_id for span in trace.spans})
    server = _of_store(trace)
    for seen in desk.store.handlers.seen:
        assert server.request_id == seen["x-request-id"]
        ids = {"traceparent": f"00-{server.trace_id}-{server.span_id}-01"}
        if "x-b3-traceid" in seen:
            ids = {"x-b3-traceid": server.trace_id, "x-b3-spanid": server.span_id}
        assert ids.items() <= seen.items()
    assert desk.store.handlers.seen


@pytest.mark.parametrize("kind", KINDS)
def test_without_meshtrace_it_is_broken(kind: str, desk_without: Desk) -> None:
    """Without meshtrace each sidecar of a caller begins a trace of its own."""
    found = _ask(desk_without, kind, 5)
    shelf = Hop("desk", "CLIENT", (Hop("shelf", "SERVER"),))
    store = Hop("shelf", "CLIENT", (STORE,))
    assert sorted([Hop("desk", "SERVER"), shelf, store]) == sorted(
        tree for trace in found for tree in actual(trace)
    )
    assert 3 == len(found)


def test_a_call_that_envoy_tries_again(desk: Desk) -> None:
    """Envoy tries a failed call again, also where its service echoes, and all are in one trace."""
    (trace,) = _ask(desk, "flaky", 7)
    assert [_whole(STORE, STORE, STORE)] == actual(trace)

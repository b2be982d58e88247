"""
Contexts that an outside client sends: joined where the tracer reads them, never in the way.

Each tracer rewrites its own format and lets every other one through as it came, so behind it an
application holds a live context beside a stale one, and malformed ones too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.verdict import Hop
from tests.mesh.lab import RECORDED, Lines, Seen, look

pytestmark = pytest.mark.envoy

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER_TRACE, OTHER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

B3 = {
    "b3 with ids": f"{TRACE}-{SPAN}-1",
    "b3 with ids, the decision left open": f"{TRACE}-{SPAN}",
    "b3 with ids, debug": f"{TRACE}-{SPAN}-d",
    "b3 with a parent's id": f"{TRACE}-{SPAN}-1-{OTHER_SPAN}",
}
B3_WITHOUT_IDS = {"b3 accept without ids": "1", "b3 debug without ids": "d"}
MULTI: Lines = [
    ("x-b3-traceid", OTHER_TRACE),
    ("x-b3-spanid", OTHER_SPAN),
    ("x-b3-sampled", "0"),
]

DENIALS: dict[str, Lines] = {
    "b3 without ids": [("b3", "0")],
    "b3 with ids": [("b3", f"{TRACE}-{SPAN}-0")],
    "x-b3-sampled 0 with ids": MULTI,
}


@pytest.fixture(scope="module")
def zipkin() -> Iterator[Mesh]:
    """Give the bookshop under Zipkin."""
    with Mesh(tracer="zipkin", services=RECORDED) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=["zipkin", "zipkin-w3c"])
def either_zipkin(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop under Zipkin, with and without W3C's headers beside B3's."""
    with Mesh(tracer=request.param, services=RECORDED) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=["zipkin", "zipkin-w3c"])
def older_zipkin(request: pytest.FixtureRequest, older_envoy: Path) -> Iterator[Mesh]:
    """Give the same behind an Envoy that leaves a client's `b3` as it came."""
    with Mesh(tracer=request.param, services=RECORDED, binary=older_envoy) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def opentelemetry() -> Iterator[Mesh]:
    """Give the bookshop under OpenTelemetry."""
    with Mesh(tracer="opentelemetry", services=RECORDED) as mesh:
        yield mesh


@pytest.fixture(scope="module", params=["zipkin", "opentelemetry"])
def without(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Give the bookshop with meshtrace switched off."""
    with Mesh(tracer=request.param, without=True) as mesh:
        yield mesh


def _after_the_gateway(seen: Seen) -> list[Hop]:
    """Return the two trees that are left when the second Envoy did not follow the first."""
    (call,) = seen.whole.below
    (page,) = call.below
    return sorted([Hop("gateway", "SERVER", (Hop("gateway", "CLIENT"),)), page])


def _from_the_page_on(seen: Seen) -> list[Hop]:
    """Return the trees that are left when no Envoy before the product page made a span."""
    (call,) = seen.whole.below
    (page,) = call.below
    return sorted(page.below)


def _tops(seen: Seen) -> list[tuple[str, str | None]]:
    return [(trace.trace_id, top.parent_id) for trace in seen.traces for top in trace.tops]


@pytest.mark.parametrize("value", B3.values(), ids=B3.keys())
def test_a_clients_b3_is_joined(either_zipkin: Mesh, value: str) -> None:
    """Envoy refreshes `b3`, the services hand it on, and the whole trace hangs from the client."""
    seen = look(either_zipkin, [("b3", value)])
    assert [seen.whole] == seen.shapes
    assert [(TRACE, SPAN)] == _tops(seen)


@pytest.mark.parametrize("value", B3_WITHOUT_IDS.values(), ids=B3_WITHOUT_IDS.keys())
def test_a_clients_decision_alone_is_followed(either_zipkin: Mesh, value: str) -> None:
    """Envoy gives ids to a `b3` without any, and the trace is whole."""
    seen = look(either_zipkin, [("b3", value)])
    assert [seen.whole] == seen.shapes
    assert [None] == [parent for _, parent in _tops(seen)]


@pytest.mark.parametrize("value", B3.values(), ids=B3.keys())
def test_a_stale_b3_is_left_behind(older_zipkin: Mesh, value: str) -> None:
    """An older Envoy leaves `b3` stale: no service hands it on, and all below nests as called."""
    seen = look(older_zipkin, [("b3", value)])
    assert _after_the_gateway(seen) == seen.shapes
    assert [(TRACE, SPAN)] * 2 == _tops(seen)
    assert [value] == seen.values("b3").pop("productpage")
    assert [] == seen.values("b3")["details"]


@pytest.mark.parametrize("value", B3_WITHOUT_IDS.values(), ids=B3_WITHOUT_IDS.keys())
def test_a_stale_decision_alone_is_left_behind(older_zipkin: Mesh, value: str) -> None:
    """An older Envoy leaves `b3: 1` without ids: two traces before any service, and no third."""
    seen = look(older_zipkin, [("b3", value)])
    assert _after_the_gateway(seen) == seen.shapes
    assert 2 == len(seen.traces)


@pytest.mark.parametrize("lines", DENIALS.values(), ids=DENIALS.keys())
def test_a_denial_holds_to_the_last_hop(either_zipkin: Mesh, lines: Lines) -> None:
    """A client that wants no trace gets none, not even a piece at the far end."""
    seen = look(either_zipkin, lines, spans=0)
    assert 200 == seen.status
    assert [] == seen.spans


@pytest.mark.parametrize("lines", DENIALS.values(), ids=DENIALS.keys())
def test_a_denial_holds_to_the_last_hop_of_an_older_mesh(older_zipkin: Mesh, lines: Lines) -> None:
    """It does, too, where a `b3` without ids stays stale."""
    seen = look(older_zipkin, lines, spans=0)
    assert 200 == seen.status
    assert [] == seen.spans


@pytest.mark.parametrize("flags", ["00", "01"], ids=["not sampled", "sampled"])
def test_a_stale_traceparent_under_zipkin(zipkin: Mesh, flags: str) -> None:
    """Zipkin's tracer does not read it: its own trace is whole, and it arrives as it was sent."""
    traceparent = f"00-{TRACE}-{SPAN}-{flags}"
    seen = look(zipkin, [("traceparent", traceparent), ("tracestate", "vendor=a,other=b")])
    assert [seen.whole] == seen.shapes
    assert TRACE not in [trace.trace_id for trace in seen.traces]
    assert [[traceparent]] * len(seen.headers) == list(seen.values("traceparent").values())
    assert [["vendor=a,other=b"]] * len(seen.headers) == list(seen.values("tracestate").values())


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([("b3", f"{TRACE}-{SPAN}-0")], id="b3"),
        pytest.param([("b3", "0")], id="b3 without ids"),
        pytest.param(MULTI, id="x-b3-*"),
    ],
)
def test_a_stale_b3_under_opentelemetry(opentelemetry: Mesh, lines: Lines) -> None:
    """OpenTelemetry's tracer does not read it: its own trace is whole, and it arrives as sent."""
    seen = look(opentelemetry, lines)
    assert [seen.whole] == seen.shapes
    arrived = {
        workload: sorted(line for line in headers if line[0].startswith(("b3", "x-b3-")))
        for workload, headers in seen.headers.items()
    }
    assert {workload: sorted(lines) for workload in seen.headers} == arrived


MALFORMED_TRACEPARENT = {
    "empty": "",
    "a word": "hello",
    "no trace id": f"00-{'0' * 32}-{SPAN}-01",
    "no span id": f"00-{TRACE}-{'0' * 16}-01",
    "not hex": f"00-{'x' * 32}-{SPAN}-01",
    "too short": f"00-{TRACE}-{SPAN}",
    "two that differ in one line": f"00-{TRACE}-{SPAN}-01, 00-{OTHER_TRACE}-{OTHER_SPAN}-01",
    "of a future version, longer": f"01-{TRACE}-{SPAN}-01-more",
}
MALFORMED_B3: dict[str, Lines] = {
    "b3 empty": [("b3", "")],
    "b3 a word": [("b3", "hello")],
    "b3 with an unknown decision": [("b3", f"{TRACE}-{SPAN}-x")],
    "x-b3-traceid not hex": [("x-b3-traceid", "x" * 32), ("x-b3-spanid", SPAN)],
    "x-b3-traceid of 20 digits": [("x-b3-traceid", "ab" * 10), ("x-b3-spanid", SPAN)],
}


@pytest.mark.parametrize("lines", MALFORMED_B3.values(), ids=MALFORMED_B3.keys())
def test_malformed_b3_under_zipkin_ends_at_the_first_service(zipkin: Mesh, lines: Lines) -> None:
    """Envoy makes no span and passes it on; the service drops it, and the calls are traced."""
    seen = look(zipkin, lines, spans=4)
    assert 200 == seen.status
    assert _from_the_page_on(seen) == seen.shapes


@pytest.mark.parametrize("value", MALFORMED_TRACEPARENT.values(), ids=MALFORMED_TRACEPARENT.keys())
def test_malformed_traceparent_under_opentelemetry_ends_at_the_first_service(
    opentelemetry: Mesh, value: str
) -> None:
    """Envoy makes no span and passes it on; the service drops it, and the calls are traced."""
    seen = look(opentelemetry, [("traceparent", value)], spans=4)
    assert 200 == seen.status
    assert _from_the_page_on(seen) == seen.shapes


@pytest.mark.parametrize("value", MALFORMED_TRACEPARENT.values(), ids=MALFORMED_TRACEPARENT.keys())
def test_malformed_traceparent_under_zipkin_takes_nothing_with_it(zipkin: Mesh, value: str) -> None:
    """A format that the tracer does not read can be as bad as it likes: the trace is whole."""
    seen = look(zipkin, [("traceparent", value)])
    assert [seen.whole] == seen.shapes


@pytest.mark.parametrize("lines", MALFORMED_B3.values(), ids=MALFORMED_B3.keys())
def test_malformed_b3_under_opentelemetry_takes_nothing_with_it(
    opentelemetry: Mesh, lines: Lines
) -> None:
    """A format that the tracer does not read can be as bad as it likes: the trace is whole."""
    seen = look(opentelemetry, lines)
    assert [seen.whole] == seen.shapes


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([("b3", f"{TRACE}-{SPAN}-1")], id="b3"),
        pytest.param([("traceparent", f"00-{TRACE}-{SPAN}-01")], id="traceparent"),
    ],
)
def test_without_meshtrace_the_same_check_fails(without: Mesh, lines: Lines) -> None:
    """With meshtrace off, no client's context makes a whole trace."""
    seen = look(without, lines)
    assert [seen.whole] != seen.shapes
    assert len(seen.traces) > 2

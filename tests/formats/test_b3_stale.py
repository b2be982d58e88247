"""The b3 that an older Envoy leaves as an outside client sent it, beside live x-b3-*."""

import pytest

from meshtrace.formats import b3
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
LIVE = {**IDS, "x-b3-parentspanid": PARENT, "x-b3-sampled": "1"}


@pytest.mark.parametrize(
    ("single", "multi"),
    [
        pytest.param("0", LIVE, id="a deny without ids beside ids"),
        pytest.param("1", LIVE, id="an accept without ids beside ids"),
        pytest.param("d", LIVE, id="a debug without ids beside ids"),
        pytest.param("0", IDS, id="a decision beside ids that have no parent"),
        pytest.param(f"{TRACE}-{PARENT}-1", LIVE, id="the parent of the span that x-b3-* names"),
        pytest.param(f"{TRACE}-{PARENT}", LIVE, id="the same, undecided"),
        pytest.param(f"{TRACE}-{PARENT}-d-{SPAN}", LIVE, id="the same, with a parent of its own"),
        pytest.param(f"{TRACE}-{PARENT}-1".upper(), LIVE, id="the same, in upper case"),
        pytest.param(
            f"{TRACE}-{PARENT}-1",
            {name: value.upper() for name, value in LIVE.items()},
            id="the same, beside x-b3-* in upper case",
        ),
        pytest.param(
            f"{TRACE_64}-{PARENT}-1",
            {**LIVE, "x-b3-traceid": "0" * 16 + TRACE_64},
            id="the same, in another width",
        ),
        pytest.param(
            f"{'0' * 16}{TRACE_64}-{PARENT}-1",
            {**LIVE, "x-b3-traceid": TRACE_64},
            id="the same, in the other width",
        ),
    ],
)
def test_a_b3_is_stale(single: str, multi: dict[str, str]) -> None:
    """A b3 that Envoy did not refresh names no ids, or the parent of what it wrote beside it."""
    assert b3.is_stale(single, multi)


@pytest.mark.parametrize(
    ("single", "multi"),
    [
        pytest.param(f"{TRACE}-{SPAN}-1", LIVE, id="the same span as x-b3-*"),
        pytest.param(f"{TRACE}-{SPAN}-1-{PARENT}", LIVE, id="the same span and the same parent"),
        pytest.param(f"{TRACE[::-1]}-{PARENT}-1", LIVE, id="another trace"),
        pytest.param(f"{TRACE}-{SPAN}-1", IDS, id="x-b3-* without a parent"),
        pytest.param(f"{TRACE}-{SPAN[::-1]}-1", LIVE, id="another span of the trace"),
        pytest.param("0", {"x-b3-sampled": "1"}, id="x-b3-* without ids"),
        pytest.param("d", {}, id="nothing beside it"),
    ],
)
def test_a_b3_is_alive(single: str, multi: dict[str, str]) -> None:
    """Every other b3 is relayed beside x-b3-*."""
    assert not b3.is_stale(single, multi)

"""The b3 that an older Envoy leaves as an outside client sent it."""

import pytest

from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64
from tests.relay.judging import goes_on, judged

MULTI = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}
LIVE = {**MULTI, "x-b3-parentspanid": PARENT}


@pytest.mark.parametrize(
    ("single", "multi", "relayed"),
    [
        pytest.param("0", LIVE, False, id="without ids, beside ids"),
        pytest.param("d", MULTI, False, id="debug without ids, beside ids that have no parent"),
        pytest.param(f"{TRACE}-{PARENT}-1", LIVE, False, id="the parent of what x-b3-* names"),
        pytest.param(f"{TRACE}-{PARENT}", LIVE, False, id="that parent, undecided"),
        pytest.param(
            f"{TRACE}-{PARENT}-1-bad", LIVE, False, id="that parent, with a bad parent of its own"
        ),
        pytest.param(
            f"{TRACE_64}-{PARENT}-1",
            {**LIVE, "x-b3-traceid": TRACE_64.upper()},
            False,
            id="that parent, with 64 bit in another case",
        ),
        pytest.param(f"{TRACE}-{SPAN}-1", LIVE, True, id="the same span as x-b3-*"),
        pytest.param(f"{TRACE}-{SPAN}-1-{PARENT}", LIVE, True, id="what Envoy 1.40 refreshed"),
        pytest.param(f"{TRACE[::-1]}-{PARENT}-1", LIVE, True, id="another trace"),
        pytest.param(f"{TRACE}-{PARENT}-1", MULTI, True, id="x-b3-* say no parent"),
        pytest.param(
            f"{TRACE}-{PARENT}-1",
            {**MULTI, "x-b3-parentspanid": "bad"},
            True,
            id="x-b3-* say a bad parent",
        ),
        pytest.param("0", {"x-b3-sampled": "1"}, True, id="x-b3-* have no ids either"),
        pytest.param("0", {**LIVE, "x-b3-spanid": "bad"}, True, id="x-b3-* are malformed"),
        pytest.param("0", {}, True, id="x-b3-* did not come"),
    ],
)
@pytest.mark.parametrize("first", ["b3", "x-b3-*"])
def test_a_stale_b3_is_left_out(
    single: str, multi: dict[str, str], first: str, *, relayed: bool
) -> None:
    """Beside live x-b3-*, an outside client's b3 is left out, in whichever order they came."""
    pairs = [("b3", single), *multi.items()]
    accepted = judged(*(pairs if first == "b3" else pairs[::-1]))
    assert relayed is ("b3" in accepted.ids)
    assert relayed is not accepted.dropped.get("b3", "").startswith("stale")


def test_what_makes_a_b3_stale_goes_on() -> None:
    """The live fields go on as they came when the stale one is left out."""
    assert LIVE == goes_on(("b3", f"{TRACE}-{PARENT}-1"), *LIVE.items())

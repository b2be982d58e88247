"""Which of the fields that came are relayed, format by format."""

import pytest

from meshtrace import Settings
from meshtrace.configuration import resolve
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64, TRACEPARENT
from tests.relay.judging import all_of, goes_on, judged
from tests.relay.strategies import IDS, USER_DATA, VENDOR_DATA, Pairs

MULTI = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}
W3C = {"traceparent": TRACEPARENT, "tracestate": "congo=t61rcWkgMzE"}


def test_all_that_is_good_is_relayed_each_in_its_class() -> None:
    """Every field of every tracer goes on as it came: ids, and what only the mesh may have."""
    accepted = judged(*IDS.items(), *VENDOR_DATA.items())
    assert (IDS, VENDOR_DATA, {}, {}) == (
        accepted.ids,
        accepted.vendor_data,
        accepted.user_data,
        accepted.dropped,
    )
    assert IDS | VENDOR_DATA == all_of(accepted)


def test_nothing_came_nothing_goes() -> None:
    """Without a field there is none: no id, no decision is made up."""
    accepted = judged()
    assert ({}, {}, None) == (all_of(accepted), accepted.dropped, accepted.authorization)


def test_user_data_is_a_class_of_its_own() -> None:
    """What the user named is user data, also under a prefix, also the mesh's own correlation."""
    pairs = [
        ("end-user", "jason"),
        ("x-route-to", "v2"),
        ("sw8-correlation", "a:b,c:d"),
        ("baggage", "okteto-divert=blue"),
    ]
    accepted = judged(*pairs, forward=USER_DATA)
    assert ({}, {}, dict(pairs)) == (accepted.ids, accepted.vendor_data, accepted.user_data)
    assert dict(pairs) == all_of(accepted)


def test_authorization_is_kept_apart() -> None:
    """The caller's credentials are in no class that a host of the mesh has."""
    resolve(Settings(authorization_hosts="orders"))
    accepted = judged(("authorization", "Bearer token"))
    assert ("Bearer token", {}) == (accepted.authorization, all_of(accepted))


GOOD = {
    "x-request-id": {"x-request-id": "order-4711"},
    "W3C": W3C,
    "b3": {"b3": f"{TRACE[::-1]}-{SPAN}-0"},
    "x-b3-*": MULTI,
    "Datadog": {"x-datadog-trace-id": "1", "x-datadog-parent-id": "2"},
    "SkyWalking": {"sw8": VENDOR_DATA["sw8"]},
    "X-Ray": {"x-amzn-trace-id": VENDOR_DATA["x-amzn-trace-id"]},
}
BAD = {
    "x-request-id": {"x-request-id": "caf\u00e9"},
    "W3C": {"traceparent": "00-bad", "tracestate": "congo=t61rcWkgMzE"},
    "b3": {"b3": "hello"},
    "x-b3-*": {"x-b3-traceid": TRACE, "x-b3-spanid": "xyz", "x-b3-sampled": "1"},
    "Datadog": {"x-datadog-trace-id": "1\r\nx-admin: 1"},
    "SkyWalking": {"sw8": ""},
    "X-Ray": {"x-amzn-trace-id": "\x00"},
}


@pytest.mark.parametrize("bad", [pytest.param(name, id=f"{name} is bad") for name in BAD])
def test_a_malformed_format_is_dropped_whole_and_costs_no_other(bad: str) -> None:
    """One bad format is left out, with a reason for each of its fields; all others go on."""
    formats = {**GOOD, bad: BAD[bad]}
    pairs = [pair for fields in formats.values() for pair in fields.items()]
    good = {name: value for other in GOOD.keys() - {bad} for name, value in GOOD[other].items()}
    accepted = judged(*pairs)
    assert good == all_of(accepted)
    assert BAD[bad].keys() == accepted.dropped.keys()
    assert all(accepted.dropped.values())


@pytest.mark.parametrize(
    ("pairs", "relayed"),
    [
        pytest.param(
            [("traceparent", f"00-{TRACE.upper()}-{SPAN.upper()}-01")],
            {"traceparent": f"00-{TRACE.upper()}-{SPAN.upper()}-01"},
            id="upper case stays upper case",
        ),
        pytest.param(
            [("traceparent", f"00-{TRACE}-{SPAN}-ff")],
            {"traceparent": f"00-{TRACE}-{SPAN}-ff"},
            id="flags go on as they came",
        ),
        pytest.param(
            [("traceparent", f"01-{TRACE}-{SPAN}-01-more"), ("tracestate", "a=1")],
            {},
            id="a longer traceparent of a later version poisons Envoy",
        ),
        pytest.param([("traceparent", ""), ("tracestate", "a=1")], {}, id="an empty traceparent"),
        pytest.param([("tracestate", "a=1")], {}, id="a tracestate alone"),
        pytest.param(
            [("tracestate", "a=1"), ("traceparent", TRACEPARENT)],
            {"traceparent": TRACEPARENT, "tracestate": "a=1"},
            id="a tracestate before its traceparent",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "")],
            {"traceparent": TRACEPARENT},
            id="an empty tracestate is normal, and not sent",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "a=1,no member")],
            {"traceparent": TRACEPARENT},
            id="one bad member costs the tracestate, not the traceparent",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", ",".join(["a=1"] * 33))],
            {"traceparent": TRACEPARENT},
            id="33 members cost the tracestate, not the traceparent",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", ",".join(["a=1"] * 32))],
            {"traceparent": TRACEPARENT, "tracestate": ",".join(["a=1"] * 32)},
            id="32 members with one key go on",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "a=1 ,\tb=2,,c=3")],
            {"traceparent": TRACEPARENT, "tracestate": "a=1 ,\tb=2,,c=3"},
            id="blanks and empty members stay as they came",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "K=1")],
            {"traceparent": TRACEPARENT},
            id="a key of neither level costs the tracestate",
        ),
        pytest.param([("b3", "0")], {"b3": "0"}, id="b3: deny alone"),
        pytest.param([("b3", "1")], {"b3": "1"}, id="b3: accept alone"),
        pytest.param([("b3", "d")], {"b3": "d"}, id="b3: debug alone"),
        pytest.param([("b3", f"{TRACE}-{SPAN}")], {"b3": f"{TRACE}-{SPAN}"}, id="b3: undecided"),
        pytest.param(
            [("b3", f"{TRACE_64}-{SPAN}-d-{PARENT}")],
            {"b3": f"{TRACE_64}-{SPAN}-d-{PARENT}"},
            id="b3: 64 bit, debug and the parent stay",
        ),
        pytest.param(
            [("b3", f"{TRACE}-{SPAN}-1-bad")],
            {"b3": f"{TRACE}-{SPAN}-1"},
            id="b3: a bad parent costs only the parent",
        ),
        pytest.param([("b3", "")], {}, id="b3: empty"),
        pytest.param([("b3", f"{TRACE}-{SPAN}-x")], {}, id="b3: a decision that is none"),
        pytest.param([*MULTI.items()], MULTI, id="x-b3-*: ids and a decision"),
        pytest.param([("x-b3-sampled", "0")], {"x-b3-sampled": "0"}, id="x-b3-*: a decision alone"),
        pytest.param([("x-b3-flags", "1")], {"x-b3-flags": "1"}, id="x-b3-*: debug alone"),
        pytest.param(
            [("x-b3-flags", "1"), ("x-b3-sampled", "0")],
            {"x-b3-flags": "1", "x-b3-sampled": "0"},
            id="x-b3-*: debug beside deny, both as they came",
        ),
        pytest.param(
            [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)],
            {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
            id="x-b3-*: undecided stays undecided",
        ),
        pytest.param([*MULTI.items(), ("x-b3-sampled", "1")], MULTI, id="x-b3-*: a decision twice"),
        pytest.param(
            [("x-b3-sampled", "true")],
            {"x-b3-sampled": "true"},
            id="x-b3-*: an old spelling stays as it came",
        ),
        pytest.param(
            [*MULTI.items(), ("x-b3-parentspanid", "")],
            MULTI,
            id="x-b3-*: an empty parent costs only the parent",
        ),
        pytest.param(
            [*MULTI.items(), ("x-b3-flags", "x")], MULTI, id="x-b3-*: flags that say nothing"
        ),
        pytest.param(
            [("x-b3-traceid", TRACE), ("x-b3-sampled", "1")], {}, id="x-b3-*: half of the ids"
        ),
        pytest.param(
            [("x-b3-parentspanid", PARENT)], {}, id="x-b3-*: a parent of no span, and nothing else"
        ),
        pytest.param([("b3", "hello"), *MULTI.items()], MULTI, id="a bad b3 beside good x-b3-*"),
        pytest.param(
            [("b3", "0"), ("x-b3-traceid", "hello"), ("x-b3-spanid", SPAN)],
            {"b3": "0"},
            id="a good b3 beside bad x-b3-*",
        ),
        pytest.param(
            [("x-request-id", "0123456789abcdef0123456789abcdef")],
            {"x-request-id": "0123456789abcdef0123456789abcdef"},
            id="a request id without dashes gets none",
        ),
        pytest.param(
            [("x-request-id", "E760F6FC-9470-959D-825A-2128391DA21F")],
            {"x-request-id": "E760F6FC-9470-959D-825A-2128391DA21F"},
            id="a request id in upper case",
        ),
        pytest.param([("x-request-id", "a b\tc")], {"x-request-id": "a b\tc"}, id="blanks inside"),
        pytest.param([("x-request-id", "")], {}, id="an empty request id"),
        pytest.param([("sw8", "caf\u00e9")], {}, id="what is not ASCII"),
    ],
)
def test_a_format_by_itself(pairs: Pairs, relayed: dict[str, str]) -> None:
    """What of one format goes on, and in which form."""
    assert relayed == goes_on(*pairs)


@pytest.mark.parametrize(
    ("pairs", "future", "empty"),
    [
        pytest.param(
            [("traceparent", f"01-{TRACE}-{SPAN}-01-more")],
            f"01-{TRACE}-{SPAN}-01-more",
            False,
            id="a longer traceparent is a parent, though it is not relayed",
        ),
        pytest.param(
            [("traceparent", f"{TRACEPARENT}-more")], None, False, id="one of version 00 is none"
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "")],
            None,
            True,
            id="an empty tracestate is remembered",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "a=1")],
            None,
            False,
            id="a tracestate that is not empty",
        ),
    ],
)
def test_what_is_not_relayed_may_still_tell_of_the_parent(
    pairs: Pairs, future: str | None, *, empty: bool
) -> None:
    """Some of what is not sent on says who the parent is."""
    accepted = judged(*pairs)
    assert (future, empty) == (accepted.future_traceparent, accepted.empty_tracestate)

"""Which of the fields that came are relayed, format by format."""

import re
from typing import Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace import Limits
from meshtrace.configuration import resolve
from meshtrace.formats import b3, w3c
from meshtrace.relay.extract import from_asgi, from_environ
from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Options, Settings
from tests.formats.strategies import (
    PARENT,
    SPAN,
    TRACE,
    TRACE_64,
    TRACEPARENT,
    b3_multis,
    b3_singles,
    nearly,
    traceparents,
    tracestate_members,
)

Pairs = list[tuple[str, str]]

USER_DATA = "end-user,x-route-*,baggage,sw8-correlation"

IDS = {
    "x-request-id": "e760f6fc-9470-959d-825a-2128391da21f",
    "traceparent": TRACEPARENT,
    "b3": f"{TRACE}-{SPAN}-1",
    "x-b3-traceid": TRACE[::-1],
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
    "x-b3-flags": "0",
    "x-datadog-trace-id": "16618048217826793319",
    "x-datadog-parent-id": "3791500164402016115",
    "x-datadog-sampling-priority": "-1",
}
VENDOR_DATA = {
    "tracestate": "dd=s:1;p:34b7063e298f4f73;t.dm:-0,congo=t61rcWkgMzE",
    "sw8": "1-ZGZnLQ==-MTIzNA==-1-c3Zj-aW5z-L2FwaQ==-cmF0aW5ncw==",
    "sw8-x": "0-1602743904804",
    "x-datadog-tags": "_dd.p.tid=6b03607300000000,_dd.p.dm=-0",
    "x-datadog-origin": "synthetics",
    "x-amzn-trace-id": "Root=1-6b03607b-abcdef012345678912345678;Sampled=1",
    "x-cloud-trace-context": f"{TRACE}/1;o=1",
    "x-ot-span-context": f"{TRACE_64};{SPAN};0000000000000000;cs",
}
MULTI = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}
W3C = {"traceparent": TRACEPARENT, "tracestate": "congo=t61rcWkgMzE"}


def _all(accepted: Accepted) -> dict[str, str]:
    """Give all that a host of the mesh gets."""
    return {**accepted.ids, **accepted.vendor_data, **accepted.user_data}


def _judged(*pairs: tuple[str, str], **options: Unpack[Options]) -> Accepted:
    return judge(pairs, InboundRules.of(**options))


def _relayed(*pairs: tuple[str, str], **options: Unpack[Options]) -> dict[str, str]:
    return _all(_judged(*pairs, **options))


# Classes of fields.


def test_all_that_is_good_is_relayed_each_in_its_class() -> None:
    """Every field of every tracer goes on as it came: ids, and what only the mesh may have."""
    accepted = _judged(*[*IDS.items(), *VENDOR_DATA.items()])
    assert (IDS, VENDOR_DATA, {}, {}) == (
        accepted.ids,
        accepted.vendor_data,
        accepted.user_data,
        accepted.dropped,
    )
    assert IDS | VENDOR_DATA == _all(accepted)


def test_nothing_came_nothing_goes() -> None:
    """Without a field there is none: no id, no decision is made up."""
    accepted = _judged(*[])
    assert ({}, {}, None) == (_all(accepted), accepted.dropped, accepted.authorization)


def test_user_data_is_a_class_of_its_own() -> None:
    """What the user named is user data, also under a prefix, also the mesh's own correlation."""
    pairs = [
        ("end-user", "jason"),
        ("x-route-to", "v2"),
        ("sw8-correlation", "a:b,c:d"),
        ("baggage", "okteto-divert=blue"),
    ]
    accepted = _judged(*pairs, forward=USER_DATA)
    assert ({}, {}, dict(pairs)) == (accepted.ids, accepted.vendor_data, accepted.user_data)
    assert dict(pairs) == _all(accepted)


def test_authorization_is_kept_apart() -> None:
    """The caller's credentials are in no class that a host of the mesh has."""
    resolve(Settings(authorization_hosts="orders"))
    accepted = _judged(("authorization", "Bearer token"))
    assert ("Bearer token", {}) == (accepted.authorization, _all(accepted))


# Each format on its own.

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
    accepted = _judged(*pairs)
    assert good == _all(accepted)
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
    assert relayed == _relayed(*pairs)


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
    accepted = _judged(*pairs)
    assert (future, empty) == (accepted.future_traceparent, accepted.empty_tracestate)


# The stale b3.

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
    accepted = _judged(*(pairs if first == "b3" else pairs[::-1]))
    assert relayed is ("b3" in accepted.ids)
    assert relayed is not accepted.dropped.get("b3", "").startswith("stale")


def test_what_makes_a_b3_stale_goes_on() -> None:
    """The live fields go on as they came when the stale one is left out."""
    assert LIVE == _relayed(("b3", f"{TRACE}-{PARENT}-1"), *LIVE.items())


# Repeated lines.


@pytest.mark.parametrize("name", [*IDS, *(VENDOR_DATA.keys() - {"tracestate"})])
def test_equal_lines_are_one(name: str) -> None:
    """A field that came twice with one value goes on once."""
    fields = {**IDS, **VENDOR_DATA}
    assert fields == _relayed(*fields.items(), (name, fields[name]))


@pytest.mark.parametrize(
    ("lines", "gone"),
    [
        pytest.param(
            [("traceparent", f"00-{TRACE[::-1]}-{SPAN}-01")],
            {"traceparent", "tracestate"},
            id="two traceparents: W3C is gone",
        ),
        pytest.param([("b3", "0")], {"b3"}, id="two b3: b3 is gone, x-b3-* go on"),
        pytest.param(
            [("x-b3-spanid", PARENT)],
            {"x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"},
            id="two span ids: all of x-b3-* is gone",
        ),
        pytest.param(
            [("x-b3-parentspanid", SPAN)], {"x-b3-parentspanid"}, id="two parents: only the parent"
        ),
        pytest.param([("x-request-id", "other")], {"x-request-id"}, id="two request ids"),
        pytest.param([("sw8", "other")], {"sw8"}, id="two sw8"),
        pytest.param([("b3", "")], {"b3"}, id="a second line that is empty"),
        pytest.param(
            [("x-request-id", "other"), ("x-request-id", IDS["x-request-id"])],
            {"x-request-id"},
            id="three lines of which two are equal",
        ),
    ],
)
def test_lines_that_differ_are_malformed(lines: Pairs, gone: set[str]) -> None:
    """Nobody can say which of two different values was meant."""
    fields = {**IDS, **VENDOR_DATA}
    accepted = _judged(*[*fields.items(), *lines])
    left = {name: value for name, value in fields.items() if name not in gone}
    assert left == _all(accepted)
    assert gone == accepted.dropped.keys()
    assert "came in lines that differ" == accepted.dropped[lines[0][0]]


def test_an_empty_line_before_another_is_a_line() -> None:
    """An empty line and another differ, in whichever order they came."""
    assert {} == _relayed(("b3", ""), ("b3", "0"))


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        pytest.param(["a=1", "b=2,c=3"], "a=1,b=2,c=3", id="in their order"),
        pytest.param(["a=1", "a=1"], "a=1,a=1", id="equal ones, too"),
        pytest.param(["", "a=1", "", "b=2", ""], "a=1,b=2", id="without the empty ones"),
        pytest.param(["a=1 , b=2", "c=3"], "a=1 , b=2,c=3", id="each as it came"),
    ],
)
@pytest.mark.parametrize("name", ["tracestate", "baggage"])
def test_lines_of_a_list_are_joined(name: str, lines: list[str], joined: str) -> None:
    """Several lines of tracestate or baggage are one list."""
    pairs = [("traceparent", TRACEPARENT), *((name, line) for line in lines)]
    assert {"traceparent": TRACEPARENT, name: joined} == _relayed(*pairs, forward=USER_DATA)


def test_two_empty_lines_of_tracestate_are_empty() -> None:
    """Nothing joined with nothing is nothing, and is not sent."""
    accepted = _judged(*[("traceparent", TRACEPARENT), ("tracestate", ""), ("tracestate", "")])
    assert ({"traceparent": TRACEPARENT}, True) == (_all(accepted), accepted.empty_tracestate)


def test_joined_lines_are_judged_as_one() -> None:
    """17 members in one line and 16 in another are 33."""
    lines = [("tracestate", ",".join(["a=1"] * count)) for count in (17, 16)]
    assert {"traceparent": TRACEPARENT} == _relayed(("traceparent", TRACEPARENT), *lines)


# Limits.


@pytest.mark.parametrize(
    ("name", "length", "relayed"),
    [
        pytest.param("x-request-id", 128, True, id="a request id of 128"),
        pytest.param("x-request-id", 129, False, id="a request id of 129"),
        pytest.param("x-datadog-trace-id", 4096, True, id="an id of 4096"),
        pytest.param("x-datadog-trace-id", 4097, False, id="an id of 4097"),
        pytest.param("sw8", 4096, True, id="vendor data of 4096"),
        pytest.param("sw8", 4097, False, id="vendor data of 4097"),
        pytest.param("end-user", 4096, True, id="user data of 4096"),
        pytest.param("end-user", 4097, False, id="user data of 4097"),
        pytest.param("x-route-to", 4097, False, id="user data under a prefix, of 4097"),
    ],
)
def test_what_is_too_long_is_dropped_not_cut(name: str, length: int, *, relayed: bool) -> None:
    """A field within its limit goes on, a longer one does not."""
    value = "x" * length
    accepted = _judged((name, value), forward=USER_DATA)
    assert ({name: value} if relayed else {}) == _all(accepted)
    assert ({} if relayed else {name: "too long"}) == accepted.dropped


def test_a_tracestate_that_is_too_long_is_dropped_alone() -> None:
    """Its traceparent goes on."""
    state = ",".join(f"k{number}={'v' * 200}" for number in range(30))
    accepted = _judged(*[("traceparent", TRACEPARENT), ("tracestate", state)])
    assert {"traceparent": TRACEPARENT} == _all(accepted)
    assert {"tracestate": "too long"} == accepted.dropped


@pytest.mark.parametrize(
    ("total", "left"),
    [
        pytest.param(1000, {"end-user", "sw8", "traceparent", "x-request-id"}, id="all of it fits"),
        pytest.param(400, {"sw8", "traceparent", "x-request-id"}, id="user data goes first"),
        pytest.param(200, {"traceparent", "x-request-id"}, id="vendor data goes next"),
        pytest.param(100, {"x-request-id"}, id="ids go last"),
        pytest.param(0, set(), id="nothing fits"),
    ],
)
def test_all_of_it_is_within_a_limit(total: int, left: set[str]) -> None:
    """Fields are left out until the rest fits: user data first, ids last."""
    fields = {
        "x-request-id": "x" * 50,
        "traceparent": TRACEPARENT,
        "sw8": "x" * 200,
        "end-user": "x" * 300,
    }
    accepted = _judged(*fields.items(), forward="end-user", limits=Limits(total=total))
    assert left == _all(accepted).keys()
    assert fields.keys() - left == accepted.dropped.keys()


def test_what_does_not_fit_is_left_out_by_whole_formats() -> None:
    """Half of the ids would be worse than none."""
    pairs = [("traceparent", TRACEPARENT), *LIVE.items()]
    accepted = _judged(*pairs, limits=Limits(total=150))
    assert {"traceparent": TRACEPARENT} == _all(accepted)
    assert LIVE.keys() == accepted.dropped.keys()


def test_long_request_ids_count_too() -> None:
    """With ids alone, too, the limit of all together holds."""
    pairs = [("b3", "0"), ("x-request-id", "x" * 19_000)]
    assert {"b3": "0"} == _relayed(*pairs, limits=Limits(request_id=20_000))


# Baggage.


@pytest.mark.parametrize(
    ("forward", "value", "relayed"),
    [
        pytest.param("baggage", "a=1,b=%0d%0a;p=q", "a=1,b=%0d%0a;p=q", id="all of it, raw"),
        pytest.param("baggage", "no member", "no member", id="raw, whatever it says"),
        pytest.param("baggage.b", "a=1, b=%20;p=q ,c=3", "b=%20;p=q", id="one key"),
        pytest.param("baggage.a,baggage.c", "a=1,b=2,c=3", "a=1,c=3", id="two keys"),
        pytest.param("baggage.a,baggage", "a=1,b=2", "a=1,b=2", id="all beats one key"),
        pytest.param("baggage.userId", "userid=1,userId=2", "userId=2", id="keys keep their case"),
        pytest.param("baggage.z", "a=1", None, id="no key that was asked for"),
        pytest.param("end-user", "a=1", None, id="not asked for at all"),
        pytest.param("baggage", "", None, id="empty"),
        pytest.param("baggage", "a=caf\u00e9", None, id="not ASCII"),
        pytest.param("baggage.a", "a=1,b=\n", None, id="a line break in another member"),
        pytest.param("baggage", ",".join(["a=1"] * 65), ",".join(["a=1"] * 64), id="65 members"),
        pytest.param("baggage", "a=1," + "b" * 8189, "a=1", id="8193 characters"),
    ],
)
def test_baggage_is_chosen_by_key_and_stays_raw(
    forward: str, value: str, relayed: str | None
) -> None:
    """Members are relayed as they came, if they were asked for and fit."""
    accepted = _judged(("baggage", value), forward=forward)
    assert ({} if relayed is None else {"baggage": relayed}) == accepted.user_data
    assert (relayed is None) is ("baggage" in accepted.dropped)


# Whatever comes.

_names = st.sampled_from([*IDS, *VENDOR_DATA, "end-user", "x-route-to", "baggage", "host"])
_spelled_states = tracestate_members.map(w3c.format_tracestate)
_values = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.sampled_from(["", " ", "0", "1", "d", "a", "x" * 200, "x" * 5000, TRACE, SPAN, PARENT]),
    traceparents,
    nearly(traceparents | b3_singles | _spelled_states),
).map(lambda value: value.encode("latin-1", "replace").decode("latin-1"))
_wild = st.lists(st.tuples(_names, _values), max_size=12)
_tame = st.builds(
    lambda *formats: [pair for fields in formats for pair in fields.items()],
    st.fixed_dictionaries({}, optional={"traceparent": traceparents, "b3": b3_singles}),
    b3_multis,
    st.fixed_dictionaries({}, optional={"tracestate": _spelled_states}),
)
anything = st.builds(list.__add__, _tame, _wild).flatmap(st.permutations)
"""Fields in any order, good, nearly good and bad, repeated or not."""

settings_of_all_kinds: st.SearchStrategy[Options] = st.sampled_from(
    [
        {},
        {"forward": USER_DATA},
        {"incoming": "ids", "forward": "end-user"},
        {"incoming": "ignore"},
        {"trace_fields": "-b3,-x-b3-sampled,+end-user"},
        {"forward": "baggage.a,x-*", "limits": Limits(field=100, baggage=20, total=300)},
        {"limits": Limits(request_id=0, field=5, total=60)},
    ]
)
rules_of_all_kinds = settings_of_all_kinds.map(lambda options: InboundRules.of(**options))

_field_value = re.compile(r"[!-~](?:[\t -~]*[!-~])?").fullmatch


def _lines(pairs: Pairs, name: str) -> list[str]:
    return [value.strip(" \t") for other, value in pairs if other == name]


def _may_be_relayed(name: str, value: str, lines: list[str]) -> bool:
    """Tell whether a value is what came, changed only as the rules allow it."""
    if name == "tracestate":
        return value == ",".join(filter(None, lines))
    if name == "baggage":
        members = [member.strip(" \t") for line in lines for member in line.split(",")]
        return all(member.strip(" \t") in members for member in value.split(","))
    (line,) = set(lines)
    return value == line or (name == "b3" and line.startswith(value + "-"))


@given(anything, rules_of_all_kinds)
def test_whatever_comes_goes_out_as_it_came_or_not_at_all(
    pairs: Pairs, rules: InboundRules
) -> None:
    """No bytes raise; what goes out came, is good HTTP, and is within the limits."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    accepted = from_asgi(headers, rules).accepted
    relayed = _all(accepted)
    assert relayed.keys() <= {name for name, _ in pairs if rules.name(name)}
    assert [] == [name for name, value in relayed.items() if not _field_value(value)]
    assert [] == [
        name for name in relayed if not _may_be_relayed(name, relayed[name], _lines(pairs, name))
    ]
    assert sum(len(name) + len(value) for name, value in relayed.items()) <= rules.limits.total
    assert relayed.keys().isdisjoint(accepted.dropped)
    empty_tracestate = {"tracestate"} if accepted.empty_tracestate else set()
    assert {name for name, _ in pairs if rules.name(name)} == {
        *relayed,
        *accepted.dropped,
        *empty_tracestate,
    }


@given(anything, rules_of_all_kinds)
def test_whole_formats_go_out(pairs: Pairs, rules: InboundRules) -> None:
    """What goes out would be accepted again, and no format is left without its half."""
    picked = [(name, value.strip(" \t")) for name, value in pairs if rules.name(name)]
    accepted = judge(picked, rules)
    relayed = _all(accepted)
    assert relayed == _all(judge([*relayed.items()], rules))
    assert ("x-b3-traceid" in relayed) is ("x-b3-spanid" in relayed)
    assert "traceparent" in relayed or "tracestate" not in relayed
    b3.parse_b3_multi(relayed)


@given(anything, rules_of_all_kinds)
def test_a_glance_sees_what_judging_sees(pairs: Pairs, rules: InboundRules) -> None:
    """The common case, recognised by its shape, is judged as field by field."""
    picked = [(name, value.strip(" \t")) for name, value in pairs if rules.name(name)]
    expected = judge(picked, rules)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    seen = from_asgi(headers, rules).accepted
    assert _parts(expected) == _parts(seen)


@given(anything, rules_of_all_kinds)
def test_an_environ_brings_what_asgi_brings(pairs: Pairs, rules: InboundRules) -> None:
    """Where no line has a comma of its own, folding the lines as WSGI does costs no id."""
    pairs = [(name, value.replace(",", ";")) for name, value in pairs if name != "x-datadog-tags"]
    environ: dict[str, str] = {}
    for name, value in pairs:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    by_asgi, by_wsgi = from_asgi(headers, rules), from_environ(environ, rules)
    assert by_asgi.accepted.ids == by_wsgi.accepted.ids


def _parts(accepted: Accepted) -> tuple[object, ...]:
    return tuple(getattr(accepted, name) for name in Accepted.__slots__)

"""What is picked out of an inbound request, under one set of settings."""

from typing import Any

import pytest

import meshtrace
from meshtrace import ConfigurationError, Settings
from meshtrace.configuration import resolve
from meshtrace.relay.rules import ID_NAMES, InboundRules, format_of, may_be_folded

IDS = {
    "x-request-id",
    "traceparent",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
}
VENDOR_DATA = {
    "tracestate",
    "sw8",
    "sw8-x",
    "x-datadog-tags",
    "x-datadog-origin",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-ot-span-context",
}


def test_the_ids_are_these() -> None:
    """Eleven fields are ids, which any host may have."""
    assert IDS == ID_NAMES


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param({}, IDS | VENDOR_DATA, id="by default ids and vendor data, no user data"),
        pytest.param(
            {"incoming": "ids"},
            IDS | {"tracestate"},
            id="incoming=ids: ids, and tracestate to look at",
        ),
        pytest.param({"incoming": "ignore"}, set(), id="incoming=ignore: nothing"),
        pytest.param(
            {"forward": "end-user,sw8-correlation"},
            IDS | VENDOR_DATA | {"end-user", "sw8-correlation"},
            id="forward adds what it names",
        ),
        pytest.param(
            {"forward": "baggage.a,baggage.b"},
            IDS | VENDOR_DATA | {"baggage"},
            id="forward adds baggage for its keys",
        ),
        pytest.param(
            {"forward": "end-user,baggage.a", "incoming": "ids"},
            IDS | {"tracestate"},
            id="an edge service takes no user data in",
        ),
        pytest.param(
            {"forward": "end-user", "incoming": "ignore"},
            set(),
            id="incoming=ignore takes no user data either",
        ),
        pytest.param(
            {"trace_fields": "+uber-trace-id"},
            IDS | VENDOR_DATA | {"uber-trace-id"},
            id="trace_fields adds a field",
        ),
        pytest.param(
            {"trace_fields": "-b3,-sw8"},
            (IDS | VENDOR_DATA) - {"b3", "sw8"},
            id="trace_fields takes fields away",
        ),
        pytest.param(
            {"trace_fields": "+uber-trace-id,-b3"},
            (IDS | VENDOR_DATA | {"uber-trace-id"}) - {"b3"},
            id="trace_fields adds and takes away",
        ),
        pytest.param(
            {"trace_fields": "b3,uber-trace-id"},
            {"b3", "uber-trace-id"},
            id="trace_fields replaces the list by plain names",
        ),
        pytest.param(
            {"trace_fields": "b3,uber-trace-id,sw8", "incoming": "ids"},
            {"b3"},
            id="an edge service takes ids only, whatever was added",
        ),
    ],
)
def test_the_names_picked(options: dict[str, Any], names: set[str]) -> None:
    """The settings say which names are picked, in every spelling."""
    rules = InboundRules.of(**options)
    spelled = {"HTTP_" + name.upper().replace("-", "_") for name in names}
    assert names == rules.names
    assert {name.encode() for name in names} == rules.asgi_names.keys()
    assert spelled == rules.environ_names.keys()


@pytest.mark.parametrize(
    ("options", "vendor_names"),
    [
        pytest.param({}, VENDOR_DATA, id="the known ones"),
        pytest.param(
            {"trace_fields": "+x-mine"},
            VENDOR_DATA | {"x-mine"},
            id="what is added is for the mesh",
        ),
        pytest.param({"trace_fields": "b3,sw8"}, {"sw8"}, id="of those that replace the list"),
        pytest.param({"forward": "end-user"}, VENDOR_DATA, id="user data is no vendor data"),
    ],
)
def test_vendor_names(options: dict[str, Any], vendor_names: set[str]) -> None:
    """All trace fields that are no ids are vendor data."""
    assert vendor_names == InboundRules.of(**options).vendor_names


@pytest.mark.parametrize(
    ("forward", "keys"),
    [
        pytest.param("", frozenset(), id="none was asked for"),
        pytest.param("baggage.a,baggage.userId", {"a", "userId"}, id="some, in their own case"),
        pytest.param("baggage", None, id="all of them"),
        pytest.param("baggage,baggage.a", None, id="all of them, and one"),
    ],
)
def test_baggage_keys(forward: str, keys: set[str] | None) -> None:
    """Baggage is chosen by key, unless all of it was asked for."""
    assert keys == InboundRules.of(forward=forward).baggage_keys


@pytest.mark.parametrize(
    ("name", "picked"),
    [
        pytest.param("x-route-to", True, id="begins so"),
        pytest.param("x-route-", True, id="is the beginning itself"),
        pytest.param("x-rout", False, id="is shorter"),
        pytest.param("my-x-route-to", False, id="has it inside"),
        pytest.param("x-forwarded-for", False, id="never forwarded: about an outside client"),
        pytest.param("x-forwarded-proto", False, id="never forwarded: about the connection"),
        pytest.param("x-fun-bin", False, id="never forwarded: binary"),
        pytest.param("x-fun", True, id="begins as one that is never forwarded"),
        pytest.param("x-f\u00fcn", False, id="no header name: not ASCII"),
        pytest.param("x-f n", False, id="no header name: a blank inside"),
        pytest.param("x-f:n", False, id="no header name: a colon inside"),
        pytest.param("x-f\r\nhost", False, id="no header name: a line break inside"),
    ],
)
def test_a_prefix_picks_names_in_every_spelling(name: str, *, picked: bool) -> None:
    """A name is picked if it begins so, is a header name, and may ever be forwarded."""
    rules = InboundRules.of(forward="x-route-*,x-f*")
    key = "HTTP_" + name.upper().replace("-", "_")
    expected = name if picked else None
    assert [expected] * 3 == [
        rules.asgi_name(name.encode("latin-1")),
        rules.environ_name(key),
        rules.name(name.upper()),
    ]


def test_a_prefix_is_of_no_use_to_outsiders() -> None:
    """Where user data is not taken in, no prefix picks anything."""
    rules = InboundRules.of(forward="x-route-*", incoming="ids")
    assert [None] * 3 == [
        rules.asgi_name(b"x-route-to"),
        rules.environ_name("HTTP_X_ROUTE_TO"),
        rules.name("x-route-to"),
    ]


def test_a_name_in_upper_case_is_not_asgi() -> None:
    """ASGI names are in lower case; one that is not can slip past no list."""
    rules = InboundRules.of(forward="x-*")
    assert None is rules.asgi_name(b"x-Forwarded-For")


@pytest.mark.parametrize(
    "name", ["cookie", "host", "content-length", "x-envoy-attempt-count", "authorization"]
)
def test_what_is_never_forwarded_cannot_be_named(name: str) -> None:
    """No setting overrides the never-list, neither as user data nor as a trace field."""
    with pytest.raises(ConfigurationError):
        InboundRules.of(forward=name)
    with pytest.raises(ConfigurationError):
        InboundRules.of(trace_fields=f"+{name}")


def test_authorization_is_picked_once_a_client_may_send_it() -> None:
    """Only where a client named hosts for it, and only from callers that are trusted."""
    assert "authorization" not in InboundRules.of().names
    resolve(Settings(authorization_hosts="orders"))
    assert "authorization" in InboundRules.of().names
    assert "authorization" not in InboundRules.of(incoming="ids").names


def test_rules_stand_on_what_is_configured() -> None:
    """Options of one middleware lie over those of the process."""
    meshtrace.configure(forward="end-user", incoming="ids")
    assert {"end-user"} == InboundRules.of(incoming="trust").names - IDS - VENDOR_DATA


@pytest.mark.parametrize(
    ("options", "claimed", "unclaimed"),
    [
        pytest.param({}, {"host", "sw8-x", "tracestate"}, {"end-user"}, id="by default"),
        pytest.param(
            {"trace_fields": "b3", "forward": "end-user"},
            {"host", "b3", "x-b3-flags", "end-user", "traceparent", "sw8"},
            {"tenant"},
            id="what is picked, and what another tracer may write",
        ),
    ],
)
def test_a_call_may_have_what_is_not_claimed(
    options: dict[str, Any], claimed: set[str], unclaimed: set[str]
) -> None:
    """What stands on a call counts if it is picked, a trace field, or the host."""
    rules = InboundRules.of(**options)
    assert claimed <= rules.claimed
    assert unclaimed.isdisjoint(rules.claimed)


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        pytest.param("traceparent", {"traceparent", "tracestate"}, id="W3C"),
        pytest.param(
            "b3",
            {
                "b3",
                "x-b3-traceid",
                "x-b3-spanid",
                "x-b3-parentspanid",
                "x-b3-sampled",
                "x-b3-flags",
            },
            id="B3, in both spellings",
        ),
        pytest.param("sw8-x", {"sw8", "sw8-x"}, id="SkyWalking"),
        pytest.param(
            "x-datadog-tags",
            {
                "x-datadog-trace-id",
                "x-datadog-parent-id",
                "x-datadog-sampling-priority",
                "x-datadog-tags",
                "x-datadog-origin",
            },
            id="Datadog",
        ),
        pytest.param("x-request-id", {"x-request-id"}, id="a field that is a format by itself"),
    ],
)
def test_a_field_belongs_to_a_format(name: str, whole: set[str]) -> None:
    """Each field names all the others of its format."""
    assert [whole] * len(whole) == [format_of(other) for other in whole]
    assert name in whole


@pytest.mark.parametrize(
    "name",
    [
        "tracestate",
        "x-datadog-tags",
        "baggage",
        "sw8-correlation",
        "end-user",
        "uber-trace-id",
        "authorization",
    ],
)
def test_a_comma_of_its_own(name: str) -> None:
    """A list, and what is not known to have no comma, is not taken apart."""
    assert not may_be_folded(name)


@pytest.mark.parametrize("name", sorted(IDS | (VENDOR_DATA - {"tracestate", "x-datadog-tags"})))
def test_a_comma_of_the_server(name: str) -> None:
    """In a field without commas, a comma stands between two lines."""
    assert may_be_folded(name)


@pytest.mark.parametrize(
    ("echoed", "echoes"),
    [
        pytest.param("x-request-id", True, id="one field is echoed"),
        pytest.param("", False, id="none is"),
    ],
)
def test_whether_a_field_is_echoed(echoed: str, *, echoes: bool) -> None:
    """The middlewares look here whether a response gets a field."""
    assert echoes is InboundRules.of(response_header=echoed).echoes


def test_ids_by_a_prefix_are_claimed_with_their_format() -> None:
    """A call that has one of a format's names is not an untouched one, however the ids came in."""
    rules = InboundRules.of(trace_fields="traceparent", forward="x-b3-*")
    assert {"b3", "x-b3-flags"} <= rules.claimed

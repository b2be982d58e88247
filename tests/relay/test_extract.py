"""Headers in: pick the named fields out of a carrier, and keep nothing else."""

import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace.policy import Share
from meshtrace.relay.extract import from_asgi, from_carrier, from_environ
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Incoming
from tests.formats.strategies import SPAN, TRACE, TRACEPARENT

USER_DATA = "end-user,x-route-*,baggage"


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


def _as_asgi(pairs: Iterable[tuple[str, str]], rules: InboundRules) -> Snapshot:
    return from_asgi([(name.encode(), value.encode("latin-1")) for name, value in pairs], rules)


def _as_environ(pairs: Iterable[tuple[str, str]], rules: InboundRules) -> Snapshot:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "wsgi.version": (1, 0)}
    for name, value in pairs:
        key = _key(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return from_environ(environ, rules)


def _as_pairs(pairs: Iterable[tuple[str, str]], rules: InboundRules) -> Snapshot:
    return from_carrier(((name.title(), value) for name, value in pairs), rules)


Extract = Callable[[Iterable[tuple[str, str]], InboundRules], Snapshot]

CARRIERS = [
    pytest.param(_as_asgi, id="ASGI"),
    pytest.param(_as_environ, id="WSGI"),
    pytest.param(_as_pairs, id="pairs in title case"),
]


@pytest.mark.parametrize("extract", CARRIERS)
@pytest.mark.parametrize(
    ("pairs", "fields"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([("host", "shop"), ("cookie", "a=b")], {}, id="nothing of ours"),
        pytest.param([("b3", "0"), ("host", "shop")], {"b3": "0"}, id="one field among others"),
        pytest.param([("b3", " 0\t")], {"b3": "0"}, id="blanks around a value are not of it"),
        pytest.param(
            [("b3", " 0"), ("end-user", "jason ")],
            {"b3": "0", "end-user": "jason"},
            id="blanks around the values of several fields",
        ),
        pytest.param([("b3", "0"), ("b3", "0")], {"b3": "0"}, id="two equal lines"),
        pytest.param([("b3", "0"), ("b3", "1")], {}, id="two lines that differ"),
        pytest.param([("b3", "")], {}, id="an empty field"),
        pytest.param([("b3", ""), ("x-request-id", "1")], {"x-request-id": "1"}, id="and another"),
        pytest.param(
            [("x-request-id", "order-4711"), ("x-request-id", "order-4711")],
            {"x-request-id": "order-4711"},
            id="two equal request ids",
        ),
        pytest.param(
            [("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("tracestate", "b=2")],
            {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"},
            id="two lines of a list",
        ),
        pytest.param(
            [("x-datadog-tags", "a=1,b=2")], {"x-datadog-tags": "a=1,b=2"}, id="commas of its own"
        ),
        pytest.param(
            [("x-route-to", "v2"), ("x-route", "v1"), ("end-user", "jason")],
            {"x-route-to": "v2", "end-user": "jason"},
            id="user data by name and by prefix",
        ),
        pytest.param([("end-user", "a,b")], {"end-user": "a,b"}, id="user data with a comma"),
        pytest.param(
            [("x-request-id", "caf\u00e9"), ("b3", "0")], {"b3": "0"}, id="bytes that are not ASCII"
        ),
        pytest.param(
            [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "TRUE")],
            {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "TRUE"},
            id="spellings that are not the plainest",
        ),
    ],
)
def test_every_carrier_brings_the_same(
    extract: Extract, pairs: list[tuple[str, str]], fields: dict[str, str]
) -> None:
    """What is picked does not depend on how the headers arrive."""
    assert fields == extract(pairs, InboundRules.of(forward=USER_DATA)).fields(Share.MESH)


@pytest.mark.parametrize("extract", CARRIERS)
@pytest.mark.parametrize(
    ("incoming", "fields"),
    [
        pytest.param("trust", {"b3": "0", "sw8": "1", "end-user": "jason"}, id="trust"),
        pytest.param("ids", {"b3": "0"}, id="ids"),
        pytest.param("ignore", {}, id="ignore"),
    ],
)
def test_a_caller_is_trusted_so_far(
    extract: Extract, incoming: Incoming, fields: dict[str, str]
) -> None:
    """An edge service takes ids only, or nothing at all."""
    pairs = [("b3", "0"), ("sw8", "1"), ("end-user", "jason")]
    rules = InboundRules.of(forward="end-user", incoming=incoming)
    assert fields == extract(pairs, rules).fields(Share.MESH)


@pytest.mark.parametrize("extract", CARRIERS)
def test_nothing_else_is_kept(extract: Extract) -> None:
    """A context can live long: the other headers are not in it, judged or not."""
    snapshot = extract([("cookie", "secret"), ("b3", "0")], InboundRules.of())
    kept = [snapshot._picked, snapshot.fields(Share.MESH), snapshot._picked]  # noqa: SLF001 - the very point
    assert "secret" not in repr(kept)
    assert None is kept[-1]


@pytest.mark.parametrize(
    ("folded", "fields"),
    [
        pytest.param("0,0", {"b3": "0"}, id="without blanks"),
        pytest.param("0, 0", {"b3": "0"}, id="with a blank"),
        pytest.param("0 \t,\t 0,0", {"b3": "0"}, id="with blanks on both sides, three times"),
        pytest.param("0,1", {}, id="lines that differ"),
        pytest.param("0,", {}, id="an empty second line"),
        pytest.param(",0", {}, id="an empty first line"),
        pytest.param(",", {}, id="two empty lines"),
    ],
)
@pytest.mark.parametrize("forward", ["", "x-route-*"])
def test_folded_lines_are_taken_apart(folded: str, fields: dict[str, str], forward: str) -> None:
    """A server joined the lines of a field that has no comma of its own."""
    rules = InboundRules.of(forward=forward)
    assert fields == from_environ({"HTTP_B3": folded}, rules).fields(Share.MESH)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="empty"),
        pytest.param({"HTTP_COOKIE": "a=b"}, id="without fields of ours"),
        pytest.param({"B3": "0", "http_b3": "0", "HTTP_b3": "0"}, id="keys of other spellings"),
        pytest.param({"HTTP_X_B3_TRACEID": None}, id="a value that is missing"),
        pytest.param(
            {"CONTENT_LENGTH": "5", "HTTP_CONTENT_LENGTH": "5"}, id="what is never forwarded"
        ),
    ],
)
@pytest.mark.parametrize("forward", ["", "c*"])
def test_nothing_in_an_environ_is_taken_for_granted(environ: dict[str, Any], forward: str) -> None:
    """A minimal environ brings nothing and breaks nothing."""
    snapshot = from_environ(environ, InboundRules.of(forward=forward))
    assert {} == snapshot.fields(Share.MESH)


def test_environs_of_any_shape_may_follow_each_other() -> None:
    """What the last request brought says nothing about what this one brings."""
    rules = InboundRules.of()
    shapes: list[dict[str, str]] = [
        {},
        {"b3": "0"},
        {"b3": "0", "x-request-id": "1"},
        {"x-request-id": "1"},
        {"b3": "0", "x-request-id": "1", "sw8": "1"},
        {"sw8": "1"},
        {},
    ]
    follow = [*shapes, *shapes[::-1], *shapes[::2]]
    arrived = [_as_environ(fields.items(), rules).fields(Share.MESH) for fields in follow]
    assert follow == arrived


@pytest.mark.parametrize(
    "carrier",
    [
        pytest.param({"X-Request-ID": "1", "B3": "0", "Host": "shop"}, id="a mapping"),
        pytest.param(MappingProxyType({b"x-request-id": b"1", b"b3": b"0"}), id="one of bytes"),
        pytest.param([("x-request-id", "1"), ("b3", "0")], id="pairs"),
        pytest.param([["X-REQUEST-ID", "1"], ["b3", b"0"]], id="pairs that are lists, mixed"),
        pytest.param(iter([(b"X-Request-Id", "1"), ("b3", "0")]), id="an iterator"),
        pytest.param({"x-request-id": 1, "b3": 0}, id="numbers"),
        pytest.param({"x-request-id": "1,1", "b3": "0, 0"}, id="lines that were joined"),
        pytest.param(
            {"x-request-id": "1", "b3": "0", "traceparent": None, "sw8": ["1"], None: "1"},
            id="values and names that are no text",
        ),
    ],
)
def test_any_headers_will_do(carrier: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
    """Text or bytes, in any case, as a mapping or as pairs."""
    fields = from_carrier(carrier, InboundRules.of()).fields(Share.MESH)
    assert {"x-request-id": "1", "b3": "0"} == fields


def test_a_missing_value_is_not_spelled_out() -> None:
    """None is no value: it is neither an id "None" nor an empty tracestate."""
    snapshot = from_carrier({"x-request-id": None, "tracestate": None}, InboundRules.of())
    assert ({}, {}, False) == (
        snapshot.fields(Share.MESH),
        snapshot.accepted.dropped,
        snapshot.accepted.empty_tracestate,
    )


@pytest.mark.parametrize(
    "extract",
    [
        pytest.param(
            lambda rules: from_asgi([(b"b3", "0")], rules),  # type: ignore[list-item]  # that is strange
            id="ASGI: a value that is text",
        ),
    ],
)
def test_a_strange_carrier_brings_nothing(
    extract: Callable[[InboundRules], Snapshot], caplog: pytest.LogCaptureFixture
) -> None:
    """What a server must not hand over costs the context and one warning, not the request."""
    with caplog.at_level(logging.WARNING, "meshtrace"):
        assert {} == extract(InboundRules.of()).fields(Share.MESH)
        assert {} == extract(InboundRules.of()).fields(Share.MESH)
    assert ["WARNING"] == [record.levelname for record in caplog.records]


def test_a_number_in_an_environ_costs_its_own_field() -> None:
    """What is no text is left out; the good fields beside it go on."""
    snapshot = from_environ({"HTTP_B3": 5, "HTTP_SW8": "1"}, InboundRules.of())
    assert {"sw8": "1"} == snapshot.fields(Share.MESH)


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12))))
def test_any_bytes_may_come_by_asgi(headers: list[tuple[bytes, bytes]]) -> None:
    """Names and values of any bytes: names go on only if they are names."""
    fields = from_asgi(headers, InboundRules.of(forward="a*,\x21*")).fields(Share.MESH)
    assert all(name.isascii() and name.isprintable() and " " not in name for name in fields)

"""Header names, and those that are never forwarded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace.formats import b3, vendor, w3c
from meshtrace.names import is_field_name, is_never_forwarded

NEVER = {
    "hop by hop": ["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"],
    "a proxy's": ["proxy-authorization", "proxy-authenticate", "proxy-connection", "proxy-x"],
    "framing": ["content-length", "content-type", "content-encoding", "content-range", "content-x"],
    "of the message": ["host", "expect", "date", "via"],
    "of what is asked for": ["accept-encoding", "range", "if-match", "if-none-match", "if-range"],
    "of the browser's page": ["origin", "referer"],
    "of a session": ["cookie", "cookie2", "set-cookie", "set-cookie2"],
    "of an outside client": [
        *("forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"),
        *("x-forwarded-client-cert", "x-forwarded-x"),
    ],
    "of Envoy": [
        *("x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms", "x-envoy-peer-metadata"),
        *("x-envoy-external-address", "x-envoy-internal", "x-envoy-upstream-rq-timeout-ms"),
        "x-envoy-decorator-operation",
    ],
    "of gRPC": ["grpc-trace-bin", "grpc-tags-bin", "x-any-bin", "grpc-timeout"],
    "of HTTP/2": [":authority", ":path", ":method"],
    "by a setting of its own": ["authorization"],
}
FORWARDED = [
    *w3c.FIELDS,
    *b3.FIELDS,
    *vendor.ID_FIELDS,
    *vendor.DATA_FIELDS,
    *("baggage", "sw8-correlation", "end-user", "x-canary", "x-route-to", "uber-trace-id"),
    *("x-forwarded", "x-envoy", "x-cookie", "hostname", "contents", "ifs", "bin", "x-binary"),
    *("accept-language", "user-agent", "x-authorization"),
]


@pytest.mark.parametrize("name", [name for names in NEVER.values() for name in names])
def test_never(name: str) -> None:
    """Each of these is never forwarded."""
    assert is_never_forwarded(name)


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded(name: str) -> None:
    """Each trace field, each usual user data, and what only looks like the others, may be."""
    assert not is_never_forwarded(name)


@given(st.sampled_from(["content-", "proxy-", "x-forwarded-", "x-envoy-", "if-"]), st.text())
def test_never_by_its_beginning(beginning: str, rest: str) -> None:
    """Whatever follows one of these beginnings, it is never forwarded."""
    assert is_never_forwarded(beginning + rest)


@given(st.text())
def test_never_by_its_end(name: str) -> None:
    """Whatever ends as gRPC's binary metadata does, is never forwarded."""
    assert is_never_forwarded(f"{name}-bin")


@pytest.mark.parametrize("name", ["b3", "x-request-id", "a", "9", "!#$%&'*+-.^_`|~", "x" * 500])
def test_a_name(name: str) -> None:
    """A token in lower case is a header's name."""
    assert is_field_name(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="nothing"),
        pytest.param("B3", id="upper case"),
        pytest.param("a b", id="a blank"),
        pytest.param("b3\n", id="a line's end"),
        pytest.param("a:b", id="a colon"),
        pytest.param("a,b", id="a comma"),
        pytest.param("a/b", id="a slash"),
        pytest.param('"a"', id="quotes"),
        pytest.param("a\x00", id="a null"),
        pytest.param("é", id="a letter beyond ASCII"),
        pytest.param("\uff42\uff13", id="letters that look alike"),
    ],
)
def test_no_name(name: str) -> None:
    """Anything else is none."""
    assert not is_field_name(name)

"""What is known of a call."""

import gzip

import pytest

from meshtrace.checker.calls import Call

SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("method", "path", "telemetry"),
    [
        ("POST", "/v1/traces", True),
        ("POST", "/api/v2/spans?x=1", True),
        ("PUT", "/v0.4/traces", True),
        ("GET", "/v1/traces", False),
        ("POST", "/orders", False),
    ],
)
def test_calls_to_a_collector(method: str, path: str, telemetry: bool) -> None:  # noqa: FBT001 - the expectation
    """What brings spans to a collector is made for no request."""
    assert telemetry is Call(method, "collector", 4318, path, ()).is_telemetry


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param((), b"..." + bytes.fromhex(SPAN) + b"...", id="protobuf"),
        pytest.param((), b'{"id": "00F067AA0BA902B7"}', id="JSON"),
        pytest.param(
            (("Content-Encoding", "gzip"),), gzip.compress(bytes.fromhex(SPAN)), id="gzip"
        ),
    ],
)
def test_a_span_that_is_exported(headers: tuple[tuple[str, str], ...], body: bytes) -> None:
    """A span's id is found in what an exporter sends."""
    assert Call("POST", "collector", 80, "/v1/traces", headers, body).names_span(SPAN)


def test_a_body_that_cannot_be_unpacked() -> None:
    """It names no span."""
    headers = (("content-encoding", "gzip"),)
    assert not Call("POST", "c", 80, "/v1/traces", headers, b"x").names_span(SPAN)

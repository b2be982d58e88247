"""What spans of gRPC tell, where little is known, and where something of ours fails."""

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from meshtrace import notices
from meshtrace.arrival import Arrivals
from meshtrace.departure import NOTHING, Departures
from meshtrace.inbound import grpc as inbound
from meshtrace.otel.spans import client
from meshtrace.otel.spans.rpc import of_call, of_request
from meshtrace.outbound.grpc import ends
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Settings
from tests.otel.spans.conftest import Spans

METHOD = {"rpc.system": "grpc", "rpc.service": "shop.Reviews", "rpc.method": "Get"}


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (None, {}),
        ("reviews", {"server.address": "reviews"}),
        ("reviews:9080", {"server.address": "reviews", "server.port": 9080}),
    ],
)
def test_where_a_call_goes(host: str | None, told: dict[str, Any]) -> None:
    """It is told as far as it is known."""
    assert ("shop.Reviews/Get", METHOD | told) == of_call(b"/shop.Reviews/Get", host)


def test_a_call_without_metadata_is_told() -> None:
    """Nobody need say who calls."""
    details = SimpleNamespace(method="/shop.Reviews/Get", invocation_metadata=None)
    assert ("shop.Reviews/Get", METHOD) == of_request(details)


class _Attempt:
    """A span, of a call that is made."""

    def __init__(self) -> None:
        self.ended: list[object] = []

    def leave(self) -> None:
        """Go back."""

    def coded(self, _: object) -> None:
        """Note a status."""

    def end(self, error: object = None) -> None:
        """Note the end."""
        self.ended.append(error)


class _Future(grpc.Future):  # type: ignore[type-arg]  # generic in the stubs only
    """A call that cannot be watched."""

    def add_done_callback(self, _: object) -> None:
        raise LookupError("not to be watched")


_Future.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]  # nothing else is needed


def test_a_call_that_cannot_be_watched_is_made() -> None:
    """Its span ends at once."""
    attempt, made = _Attempt(), _Future()
    assert made is ends.watched(attempt, lambda: made)
    assert [None] == attempt.ended


def test_an_error_that_is_not_grpcs_is_told() -> None:
    """Wrong arguments have no status."""

    def make() -> None:
        raise TypeError("wrong")

    attempt = _Attempt()
    with pytest.raises(TypeError, match="wrong"):
        ends.watched(attempt, make)
    assert [TypeError] == [type(error) for error in attempt.ended]


async def _fail() -> None:
    raise TypeError("wrong")


def test_an_error_of_an_awaited_call_is_told() -> None:
    """It is the caller's, as it was."""
    attempt = _Attempt()
    waiting = ends.watched_aio(attempt, _fail)
    with pytest.raises(TypeError, match="wrong"):
        waiting.send(None)
    assert [TypeError] == [type(error) for error in attempt.ended]


def test_a_context_that_fails_does_not_harm_the_call(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """The span ends without a status, and a line says so."""

    class _Silent:
        def code(self) -> object:
            raise LookupError("no status")

    notices.reset()
    details = SimpleNamespace(method="/shop.Reviews/Get", invocation_metadata=())
    snapshot = Snapshot([], InboundRules.of())
    call = inbound._Call(Arrivals(None, {}), snapshot, details)  # noqa: SLF001 - one call
    call.context = _Silent()
    call.end()
    assert call.slot is not None
    call.slot.leave()
    assert METHOD == dict(spans.server.attributes or {})
    assert any("asking grpc for a status" in line for line in caplog.messages)


def test_a_span_that_cannot_be_made_does_not_harm_the_call(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours is said, and the call goes on without; so it does where all is off."""
    departures = Departures("grpc", Settings())
    monkeypatch.setattr(client, "begin_rpc", _raise)
    assert None is departures.attempt_rpc("/shop.Reviews/Get", None)
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    off = Departures("grpc", Settings())
    assert None is off.attempt_rpc("/shop.Reviews/Get", None)
    assert None is off.attempt("GET", "http://reviews:9080/")
    assert NOTHING is off.decide({}, "http://reviews:9080/")
    assert [] == spans.all


def _raise(*_: object) -> None:
    raise LookupError("a fault")

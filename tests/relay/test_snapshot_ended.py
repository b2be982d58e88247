"""What a request carries once it has ended."""

from __future__ import annotations

from typing import Any

import pytest

from meshtrace.context import TraceContext
from meshtrace.policy import Share
from meshtrace.relay.extract import from_asgi, from_carrier, from_environ
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Kept, Snapshot

IDS = {"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1", "x-request-id": "order-4711"}
VENDOR_DATA = {"sw8": "1"}
USER_DATA = {"end-user": "jason"}
ALL = {**IDS, **VENDOR_DATA, **USER_DATA}


def _snapshot(fields: dict[str, str] = ALL) -> Snapshot:
    return from_carrier(fields, InboundRules.of(forward="end-user"))


def _ended(fields: dict[str, str] = ALL) -> Snapshot:
    snapshot = _snapshot(fields)
    snapshot.ended = True
    return snapshot


def test_user_data_has_ended() -> None:
    """Ids and vendor data stay; user data is gone, what came and what was set."""
    snapshot = _snapshot()
    snapshot.set_own("x-canary", "yes")
    assert {**ALL, "x-canary": "yes"} == snapshot.fields(Share.MESH)
    snapshot.ended = True
    assert {**IDS, **VENDOR_DATA} == snapshot.fields(Share.MESH)
    assert {} == snapshot.user_data


def test_user_data_alone() -> None:
    """A request that brought nothing but user data has nothing left."""
    assert {} == _ended(USER_DATA).fields(Share.MESH)


def test_ids_alone() -> None:
    """Where there are ids only, the short way to them stays, also if something was set."""
    snapshot = _snapshot(IDS)
    snapshot.set_own("x-canary", "yes")
    snapshot.ended = True
    assert snapshot.lasting() is None
    assert IDS == snapshot.fields(Share.MESH)
    assert tuple(IDS.items()) == _ended(IDS).lasting()


def test_authorization_has_ended() -> None:
    """The caller's authorization is user data like any other."""
    snapshot = _snapshot(IDS)
    snapshot.accepted.authorization = "Bearer secret"
    everything = Share.MESH | Share.AUTHORIZATION
    assert "Bearer secret" == snapshot.fields(everything)["authorization"]
    snapshot.ended = True
    assert IDS == snapshot.fields(everything)
    assert "Bearer secret" == Kept(snapshot).fields(everything)["authorization"]


def test_remote_parent_stays() -> None:
    """What the log says of the request does not change, and is worked out once."""
    snapshot = _snapshot()
    parent = snapshot.remote_parent()
    snapshot.ended = True
    assert parent is snapshot.remote_parent() is Kept(snapshot).remote_parent()
    assert TraceContext is type(parent)


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(
            lambda: from_asgi(
                [(name.encode(), value.encode()) for name, value in ALL.items()],
                InboundRules.of(forward="end-user"),
            ),
            id="of ASGI",
        ),
        pytest.param(
            lambda: from_environ(
                {f"HTTP_{name.upper().replace('-', '_')}": ALL[name] for name in ALL},
                InboundRules.of(forward="end-user"),
            ),
            id="of WSGI",
        ),
        pytest.param(_snapshot, id="of headers"),
        pytest.param(lambda: Kept(_snapshot()), id="kept already"),
    ],
)
def test_kept(snapshot: Any) -> None:  # noqa: ANN401 - makes a snapshot
    """A request that is kept has all of it, before the end and after it."""
    request = snapshot()
    kept = Kept(request)
    assert ALL == kept.fields(Share.MESH)
    request.ended = True
    assert ALL == kept.fields(Share.MESH)
    assert USER_DATA == kept.user_data
    assert request.rules is kept.rules
    assert request.accepted is kept.accepted


def test_kept_ids() -> None:
    """A kept request of nothing but ids has the short way to them."""
    snapshot = _snapshot(IDS)
    assert tuple(IDS.items()) == Kept(snapshot).lasting()


def test_kept_is_the_same_request() -> None:
    """What is set on one is set on the other, until the request has ended."""
    snapshot = _snapshot(IDS)
    kept = Kept(snapshot)
    kept.set_own("end-user", "guest")
    snapshot.set_own("x-canary", "yes")
    expected = {**IDS, "end-user": "guest", "x-canary": "yes"}
    assert expected == kept.fields(Share.MESH) == snapshot.fields(Share.MESH)
    snapshot.ended = True
    kept.set_own("end-user", "jason")
    assert {**expected, "end-user": "jason"} == kept.fields(Share.MESH)
    assert IDS == snapshot.fields(Share.MESH)

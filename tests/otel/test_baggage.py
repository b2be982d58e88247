"""Baggage that the application changes with OpenTelemetry's baggage API."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import baggage, context
from opentelemetry.baggage.propagation import W3CBaggagePropagator

import meshtrace
from meshtrace.otel.join import JoiningRules
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Limits, Settings

REVIEWS = "http://reviews:9080/"
OUTSIDE = "https://api.example.com/"
CAME = {"baggage": "tenant=alice , region=eu"}


@contextmanager
def changed(changes: dict[str, str | None], *, read: bool) -> Iterator[None]:
    """Change the baggage; *read* is whether an instrumentation has read what came."""
    now = W3CBaggagePropagator().extract(CAME if read else {}, context.Context())
    for name, value in changes.items():
        now = (
            baggage.remove_baggage(name, now)
            if value is None
            else baggage.set_baggage(name, value, now)
        )
    token = context.attach(now)
    yield
    context.detach(token)


def sent(
    changes: dict[str, str | None],
    *,
    read: bool = False,
    forward: str | list[str] = "baggage",
    came: dict[str, str] = CAME,
    url: str = REVIEWS,
) -> str | None:
    """Give the baggage that goes out after some changes."""
    meshtrace.configure(own_spans="join", forward=forward)
    with meshtrace.use(came), changed(changes, read=read):
        return meshtrace.headers(url).get("baggage")


@pytest.mark.parametrize(
    ("changes", "read", "goes"),
    [
        pytest.param({}, False, CAME["baggage"], id="nobody has touched it: as it came"),
        pytest.param({}, True, CAME["baggage"], id="read only: as it came"),
        pytest.param(
            {"cart": "42"},
            False,
            f"cart=42,{CAME['baggage']}",
            id="a member set, what came unread",
        ),
        pytest.param({"region": None}, True, "tenant=alice", id="a member removed"),
        pytest.param({"region": "us"}, True, "tenant=alice,region=us", id="a member changed"),
        pytest.param({"region": "us"}, False, "region=us", id="a member changed, unread"),
    ],
)
def test_what_goes_out(changes: dict[str, str | None], read: bool, goes: str) -> None:  # noqa: FBT001 - a parameter of the test
    """What was changed goes out as OpenTelemetry writes it; else it goes out as it came."""
    assert goes == sent(changes, read=read)


def test_where_none_came() -> None:
    """What the application sets goes out by itself."""
    assert "cart=42" == sent({"cart": "42"}, came={})


@pytest.mark.parametrize(
    ("forward", "goes"),
    [
        pytest.param("", None, id="not at all"),
        pytest.param("end-user", None, id="not the baggage"),
        pytest.param("baggage.cart", "cart=42", id="one key"),
        pytest.param("baggage.region", "region=eu", id="another key, which came"),
        pytest.param("baggage.other", None, id="another key, which did not"),
    ],
)
def test_what_may_be_forwarded(forward: str, goes: str | None) -> None:
    """It is user data: only what ``forward`` names goes out."""
    assert goes == sent({"cart": "42"}, forward=forward)


def test_what_may_not_be_forwarded_is_no_change() -> None:
    """What an instrumentation has read beside what is forwarded does not count as a change."""
    assert "tenant=alice" == sent({}, read=True, forward="baggage.tenant")
    assert "tenant=blue" == sent({"tenant": "blue"}, read=True, forward="baggage.tenant")


def test_outside_the_mesh() -> None:
    """It does not leave the mesh."""
    assert None is sent({"cart": "42"}, url=OUTSIDE)


def test_what_a_client_narrows() -> None:
    """A client's own ``forward`` narrows it."""
    meshtrace.configure(own_spans="join", forward="baggage")
    rules = JoiningRules(Settings(forward="baggage.cart"))
    snapshot = from_carrier({}, InboundRules.of(forward="baggage"))
    with changed({"cart": "42", "tenant": "x"}, read=False):
        fields = rules.decide(snapshot, REVIEWS, {}).fields
    assert (("baggage", "cart=42"),) == fields


def test_after_the_request() -> None:
    """Once the request has ended, there is no user data."""
    meshtrace.configure(own_spans="join")
    snapshot = from_carrier({}, InboundRules.of(forward="baggage"))
    snapshot.ended = True
    with changed({"cart": "42"}, read=False):
        assert () == JoiningRules(Settings()).decide(snapshot, REVIEWS, {}).fields


def test_too_much() -> None:
    """The limits hold: what does not fit is left out."""
    meshtrace.configure(own_spans="join", forward="baggage", limits=Limits(baggage_members=1))
    with meshtrace.use({}), changed({"a": "1", "b": "2"}, read=False):
        assert {"baggage": "a=1"} == meshtrace.headers(REVIEWS)


def test_relaying() -> None:
    """Without joining, OpenTelemetry's baggage is not looked at."""
    meshtrace.configure(forward="baggage")
    with meshtrace.use(CAME), changed({"cart": "42"}, read=True):
        assert CAME == meshtrace.headers(REVIEWS)

"""What one request carries through the process."""

import logging
from collections.abc import Sequence

import pytest

from meshtrace import Limits
from meshtrace.configuration import resolve
from meshtrace.policy import Share
from meshtrace.relay import snapshot as snapshot_module
from meshtrace.relay.extract import from_asgi, from_carrier, from_environ
from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Parent, Settings
from tests.formats.strategies import SPAN, TRACE, TRACEPARENT

IDS = {"traceparent": TRACEPARENT, "x-request-id": "order-4711"}
VENDOR_DATA = {"tracestate": "a=1", "sw8": "1"}
USER_DATA = {"end-user": "jason"}
ALL = {**IDS, **VENDOR_DATA, **USER_DATA}


def _snapshot(fields: dict[str, str] = ALL) -> Snapshot:
    return from_carrier(fields, InboundRules.of(forward="end-user"))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[tuple[str, str]]]:
    """Give the list of what was judged field by field."""
    calls: list[Sequence[tuple[str, str]]] = []

    def counting(pairs: Sequence[tuple[str, str]], rules: InboundRules) -> Accepted:
        calls.append(pairs)
        return judge(pairs, rules)

    monkeypatch.setattr(snapshot_module, "judge", counting)
    return calls


def test_a_request_that_calls_nobody_is_not_judged(judged: list[object]) -> None:
    """Only picking is paid for until somebody asks."""
    _snapshot()
    from_asgi([(b"sw8", b"1")], InboundRules.of())
    from_environ({"HTTP_SW8": "1"}, InboundRules.of())
    assert [] == judged


def test_a_request_is_judged_once(judged: list[object]) -> None:
    """However often, and for whatever, it is asked."""
    snapshot = _snapshot()
    first = snapshot.accepted
    for share in Share:
        snapshot.fields(share)
    snapshot.remote_parent()
    snapshot.set_own("end-user", "martha")
    assert first is snapshot.accepted
    assert 1 == len(judged)


def test_the_common_case_is_not_judged_field_by_field(judged: list[object]) -> None:
    """Good ids in their plainest spelling are known by their shape, however they arrive."""
    rules = InboundRules.of()
    headers = [(name.encode(), value.encode()) for name, value in IDS.items()]
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in IDS.items()}
    arrived = [from_asgi(headers, rules), from_environ(environ, rules), from_carrier(IDS, rules)]
    assert [IDS] * 3 == [snapshot.fields(Share.MESH) for snapshot in arrived]
    assert [] == judged


@pytest.mark.parametrize(
    ("share", "fields"),
    [
        pytest.param(Share.NOTHING, {}, id="a denied host: nothing"),
        pytest.param(Share.IDS, IDS, id="a host outside: ids"),
        pytest.param(Share.IDS | Share.VENDOR_DATA, {**IDS, **VENDOR_DATA}, id="no user data"),
        pytest.param(Share.MESH, ALL, id="a host of the mesh: all of it"),
        pytest.param(Share.USER_DATA, USER_DATA, id="a host that gets no ids: user data"),
        pytest.param(
            Share.MESH | Share.AUTHORIZATION, ALL, id="no authorization where none was taken in"
        ),
    ],
)
def test_each_host_gets_its_share(share: Share, fields: dict[str, str]) -> None:
    """The fields are given by class."""
    snapshot = _snapshot()
    assert [fields] * 2 == [dict(snapshot.fields(share)) for _ in range(2)]


@pytest.mark.parametrize(
    ("fields", "own", "lasting"),
    [
        pytest.param(IDS, {}, IDS, id="ids of a common shape"),
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param({**IDS, **VENDOR_DATA}, {}, {**IDS, **VENDOR_DATA}, id="vendor data"),
        pytest.param({**IDS, "tracestate": ""}, {}, IDS, id="an empty tracestate"),
        pytest.param({"sw8": "a b"}, {}, {"sw8": "a b"}, id="what has to be looked at"),
        pytest.param(USER_DATA, {}, None, id="user data"),
        pytest.param({**IDS, "b3": "bad"}, {}, None, id="what is dropped"),
        pytest.param(IDS, USER_DATA, None, id="ids, and what the application set"),
    ],
)
def test_a_request_says_what_lasts(
    fields: dict[str, str], own: dict[str, str], lasting: dict[str, str] | None
) -> None:
    """Where all that came is good, and no user data, a host of the mesh may have it at any time."""
    snapshot = _snapshot(fields)
    for name, value in own.items():
        snapshot.set_own(name, value)
    found = snapshot.lasting()
    assert lasting == (None if found is None else dict(found))


def test_authorization_goes_where_it_was_shared() -> None:
    """The caller's credentials are in no share but their own."""
    resolve(Settings(authorization_hosts="orders"))
    snapshot = from_carrier({"b3": "0", "Authorization": "Bearer token"}, InboundRules.of())
    assert {"b3": "0"} == snapshot.fields(Share.MESH)
    assert {"authorization": "Bearer token"} == snapshot.fields(Share.AUTHORIZATION)
    assert {"b3": "0", "authorization": "Bearer token"} == snapshot.fields(
        Share.MESH | Share.AUTHORIZATION
    )


@pytest.mark.parametrize(
    ("came", "own", "user_data"),
    [
        pytest.param({}, {"end-user": "jason"}, {"end-user": "jason"}, id="what had not come"),
        pytest.param(
            USER_DATA, {"end-user": "martha"}, {"end-user": "martha"}, id="over what came"
        ),
        pytest.param(
            USER_DATA,
            {"x-canary": "1"},
            {"end-user": "jason", "x-canary": "1"},
            id="beside what came",
        ),
        pytest.param(USER_DATA, {"end-user": ""}, {}, id="empty takes away what came"),
        pytest.param({}, {"end-user": ""}, {}, id="empty where nothing had come"),
        pytest.param({}, {"end-user": "a\tb c"}, {"end-user": "a\tb c"}, id="blanks inside"),
        pytest.param(
            {}, {"end-user": "x" * 4096}, {"end-user": "x" * 4096}, id="as long as may be"
        ),
    ],
)
def test_the_application_sets_user_data(
    came: dict[str, str], own: dict[str, str], user_data: dict[str, str]
) -> None:
    """What is set goes to the mesh with the rest, and to nobody else."""
    snapshot = _snapshot({**IDS, **came})
    for name, value in own.items():
        snapshot.set_own(name, value)
    assert user_data == snapshot.user_data
    assert {**IDS, **user_data} == snapshot.fields(Share.MESH)
    assert IDS == snapshot.fields(Share.IDS)


def test_what_was_given_before_does_not_change() -> None:
    """A call that is under way keeps the fields it was given."""
    snapshot = _snapshot()
    before = snapshot.fields(Share.MESH)
    snapshot.set_own("end-user", "martha")
    assert ALL == before
    assert {**ALL, "end-user": "martha"} == snapshot.fields(Share.MESH)


def test_the_later_value_counts() -> None:
    """A field that is set twice has the second value; one taken away can be set again."""
    snapshot = _snapshot()
    seen = []
    for value in ("martha", "", "jason"):
        snapshot.set_own("end-user", value)
        seen.append(snapshot.user_data.get("end-user"))
    assert ["martha", None, "jason"] == seen


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("caf\u00e9", id="not ASCII"),
        pytest.param("a\r\nx-admin: 1", id="a line that breaks through"),
        pytest.param(" jason", id="a blank before"),
        pytest.param("x" * 4097, id="too long"),
        pytest.param(None, id="no text"),
        pytest.param(b"jason", id="bytes"),
        pytest.param(4711, id="a number"),
    ],
)
def test_what_cannot_be_sent_is_not_set(value: object, caplog: pytest.LogCaptureFixture) -> None:
    """It is dropped with one warning that does not repeat it, and what had come is gone, too."""
    snapshot = _snapshot()
    with caplog.at_level(logging.WARNING, "meshtrace"):
        snapshot.set_own("end-user", value)
        snapshot.set_own("end-user", value)
    assert {**IDS, **VENDOR_DATA} == snapshot.fields(Share.MESH)
    assert [
        "meshtrace: set_header('end-user', ...): the value is too long or not visible ASCII"
    ] == [record.getMessage() for record in caplog.records]


def test_the_limit_of_a_field_is_that_of_the_settings() -> None:
    """What the application sets is held to the limit that holds for what comes."""
    snapshot = from_carrier({}, InboundRules.of(limits=Limits(field=4)))
    snapshot.set_own("x-a", "1234")
    snapshot.set_own("x-b", "12345")
    assert {"x-a": "1234"} == snapshot.user_data


def test_a_fault_of_ours_costs_the_context_and_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in judging is logged once in the process, and the calls go on without our fields."""

    def broken(*_: object) -> Accepted:
        raise RuntimeError("a bug")

    monkeypatch.setattr(snapshot_module, "judge", broken)
    with caplog.at_level(logging.DEBUG, "meshtrace"):
        snapshots = [_snapshot(), _snapshot()]
        fields = [[dict(snapshot.fields(Share.MESH)) for _ in range(2)] for snapshot in snapshots]
        parents = [bool(snapshot.remote_parent()) for snapshot in snapshots]
    assert [[{}, {}]] * 2 == fields
    assert [False, False] == parents
    assert [
        (
            "WARNING",
            "meshtrace: a fault while judging the headers of a request; going on without",
            RuntimeError,
        )
    ] == [
        (record.levelname, record.getMessage(), record.exc_info and record.exc_info[0])
        for record in caplog.records
    ]


def test_what_the_application_sets_survives_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is lost by the fault; what is set afterwards goes out."""
    monkeypatch.setattr(snapshot_module, "judge", None)
    snapshot = _snapshot()
    snapshot.set_own("end-user", "jason")
    assert {"end-user": "jason"} == snapshot.fields(Share.MESH)


def test_what_is_dropped_is_explained_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the log says which fields were left out and why, never what was in them."""
    with caplog.at_level(logging.DEBUG, "meshtrace"):
        _snapshot({"b3": "secret-from-outside", "x-request-id": "1"}).fields(Share.MESH)
    (record,) = caplog.records
    reason = "neither traceid-spanid[-decision[-parent]] nor a decision"
    assert f"meshtrace: not relayed: {{'b3': '{reason}'}}" == record.getMessage()


def test_what_is_good_is_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    """A request of which nothing was left out logs nothing, at any level."""
    with caplog.at_level(logging.DEBUG, "meshtrace"):
        _snapshot().fields(Share.MESH)
    assert [] == caplog.records


@pytest.mark.parametrize(
    ("parent", "trace_id"),
    [
        pytest.param("auto", TRACE[::-1], id="by default Istio's B3"),
        pytest.param("w3c", TRACE, id="W3C, by setting"),
        pytest.param("b3", TRACE[::-1], id="B3, by setting"),
    ],
)
def test_the_parent_is_chosen_by_setting(parent: Parent, trace_id: str) -> None:
    """Where the formats disagree, the setting of the middleware counts."""
    fields = {"traceparent": TRACEPARENT, "b3": f"{TRACE[::-1]}-{SPAN}-1"}
    snapshot = from_carrier(fields, InboundRules.of(parent=parent))
    assert trace_id == snapshot.remote_parent().trace_id
    assert fields == snapshot.fields(Share.MESH)


def test_tracestate_goes_with_a_traceparent_only() -> None:
    """A host that gets vendor data and no ids gets no tracestate."""
    traceparent = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"
    picked = [("traceparent", traceparent), ("tracestate", "a=1"), ("sw8", "1-x")]
    snapshot = Snapshot(picked, InboundRules.of())
    assert {"sw8": "1-x"} == snapshot.fields(Share.MESH & ~Share.IDS)

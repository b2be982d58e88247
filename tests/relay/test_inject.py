"""What one call may have: by its host, by what its caller set, and by what it was given before."""

import logging
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshtrace
from meshtrace import ConfigurationError, Settings
from meshtrace.names import is_never_forwarded
from meshtrace.relay.extract import from_carrier
from meshtrace.relay.inject import OutboundRules, Sent
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options

IDS = {"x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e", "b3": "0"}
TRACEPARENT = "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01"
VENDOR_DATA = {"tracestate": "mesh=1", "sw8": "1-a"}
USER_DATA = {"end-user": "jason", "x-route-to": "blue"}
CAME = {**IDS, "traceparent": TRACEPARENT, **VENDOR_DATA, **USER_DATA}
FORWARD = ("end-user", "x-route-*", "baggage")


def _came(fields: Mapping[str, str] = CAME) -> Snapshot:
    return from_carrier(fields, InboundRules.of(forward=FORWARD))


def _decided(
    url: str,
    carrier: Mapping[str, str] | None = None,
    options: Options | None = None,
    snapshot: Snapshot | None = None,
) -> Mapping[str, str]:
    rules = OutboundRules(Settings(**(options or {})))
    return dict(rules.decide(snapshot or _came(), url, carrier or {}).fields)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().removeprefix("meshtrace: ") for record in caplog.records]


def _withheld(fields: str, host: str, paste: str) -> str:
    return (
        f"{fields} not sent to {host}, which is not known to be in the mesh. "
        f"If it is: MESHTRACE_MESH_HOSTS={paste}"
    )


class TestHosts:
    """The host decides which classes of fields go."""

    OUTSIDE = {**IDS, "traceparent": TRACEPARENT}  # noqa: RUF012 - not written

    @pytest.mark.parametrize(
        ("url", "options", "expected"),
        [
            pytest.param("http://reviews/", {}, CAME, id="mesh: everything"),
            pytest.param("http://shop.example/", {}, OUTSIDE, id="outside: ids"),
            pytest.param("http://reviews/", {"deny_hosts": "reviews"}, {}, id="denied: nothing"),
            pytest.param("reviews/0", {}, {}, id="no host: nothing"),
            pytest.param("http://shop.example/", {"trace_hosts": "mesh"}, {}, id="ids in the mesh"),
            pytest.param(
                "http://api.corp.example/",
                {"mesh_hosts": ".corp.example"},
                CAME,
                id="a host named as mesh: everything",
            ),
        ],
    )
    def test_what_a_host_gets(self, url: str, options: Options, expected: dict[str, str]) -> None:
        """Each kind of host gets its kinds of fields."""
        assert expected == _decided(url, options=options)

    @pytest.mark.parametrize(
        ("url", "host", "expected"),
        [
            pytest.param("http://reviews/", "ratings:9080", CAME, id="both in the mesh"),
            pytest.param("http://reviews/", "shop.example", OUTSIDE, id="Host outside"),
            pytest.param("http://shop.example/", "reviews", OUTSIDE, id="the URL outside"),
            pytest.param("http://reviews/", "denied", {}, id="Host denied"),
            pytest.param("http://reviews/", "", {}, id="an empty Host"),
            pytest.param("http://reviews/", "reviews@shop.example", OUTSIDE, id="a user's name"),
            pytest.param("http://reviews/", "reviews/@shop.example", CAME, id="a path in Host"),
        ],
    )
    def test_a_host_header(self, url: str, host: str, expected: dict[str, str]) -> None:
        """A Host header that the caller set narrows what the URL's host may have, never widens."""
        assert expected == _decided(url, {"HOST": host}, {"deny_hosts": "denied"})

    def test_a_mesh_host_without_ids(self) -> None:
        """A mesh host that `trace_hosts` leaves out gets user data, and no ids."""
        options: Options = {"trace_hosts": ".corp.example"}
        decided = _decided("http://reviews/", options=options, snapshot=_came({**IDS, **USER_DATA}))
        assert USER_DATA == decided

    def test_authorization(self) -> None:
        """The caller's authorization goes to a host named for it, and to no other."""
        rules = OutboundRules(Settings(authorization_hosts="orders,shop.example"))
        came = {**IDS, "authorization": "Bearer jason"}
        snapshot = _came(came)
        assert [came, came, IDS, IDS] == [
            dict(rules.decide(snapshot, url, {}).fields)
            for url in (
                "http://orders/",
                "https://shop.example/",
                "http://reviews/",
                "http://www.shop.example/",
            )
        ]
        for carrier in ({"Host": "reviews"}, {"Authorization": "own"}):
            assert IDS == dict(rules.decide(snapshot, "http://orders/", carrier).fields)


class TestWhatIsSaid:
    """A host outside the mesh is named once, with what to paste, and no value."""

    def test_what_to_paste(self, caplog: pytest.LogCaptureFixture) -> None:
        """What stayed here is one warning a host, with names and without values."""
        for _ in range(3):
            _decided("http://reviews.prod:9080/?q=1")
        _decided("http://shop.example/")
        fields = "end-user, sw8, tracestate, x-route-to"
        assert [
            _withheld(fields, "reviews.prod", ".prod"),
            _withheld(fields, "shop.example", "shop.example"),
        ] == _warnings(caplog)
        assert {logging.WARNING} == {record.levelno for record in caplog.records}

    @pytest.mark.parametrize(
        ("url", "carrier", "options", "came"),
        [
            pytest.param("http://shop.example/", {}, {}, IDS, id="nothing but ids came"),
            pytest.param("http://reviews/", {}, {}, CAME, id="a mesh host"),
            pytest.param(
                "http://shop.example/", {}, {"deny_hosts": "shop.example"}, CAME, id="a denied host"
            ),
            pytest.param(
                "http://reviews/",
                {"Host": "shop.example"},
                {"deny_hosts": "shop.example"},
                CAME,
                id="a denied host in Host",
            ),
            pytest.param(
                "http://shop.example/", {}, {"forward": ()}, {**IDS, **USER_DATA}, id="not wanted"
            ),
            pytest.param(
                "http://shop.example/",
                {"End-User": "own"},
                {},
                {**IDS, "end-user": "jason"},
                id="the caller's own goes",
            ),
            pytest.param(
                "http://shop.example/",
                {"traceparent": "own"},
                {},
                {"traceparent": TRACEPARENT, "tracestate": "mesh=1"},
                id="the caller's own format goes",
            ),
            pytest.param(
                "http://reviews/",
                {},
                {"trace_hosts": ".corp.example"},
                CAME,
                id="a mesh host that is to get no ids",
            ),
        ],
    )
    def test_nothing_is_said(
        self,
        url: str,
        carrier: dict[str, str],
        options: Options,
        came: dict[str, str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Where nothing stayed here for want of knowing the host, nothing is said."""
        _decided(url, carrier, options, _came(came))
        assert [] == _warnings(caplog)

    def test_ids_that_stay_in_the_mesh(self, caplog: pytest.LogCaptureFixture) -> None:
        """With `trace_hosts="mesh"`, ids that stay here are named."""
        _decided("http://reviews.prod/", options={"trace_hosts": "mesh"}, snapshot=_came(IDS))
        assert [_withheld("b3, x-request-id", "reviews.prod", ".prod")] == _warnings(caplog)

    def test_the_host_of_a_header(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where the Host header is what is not known, it is the one that is named."""
        _decided("http://reviews/", {"Host": "shop.example:80"}, snapshot=_came(USER_DATA))
        expected = _withheld("end-user, x-route-to", "shop.example", "shop.example")
        assert [expected] == _warnings(caplog)

    @pytest.mark.parametrize("url", [None, "reviews/0", "http://[", "http://a\\@reviews/"])
    def test_no_host_to_name(self, url: str | None, caplog: pytest.LogCaptureFixture) -> None:
        """Where there is no host, an absolute URL is asked for."""
        OutboundRules(Settings()).fields(_came(USER_DATA), url)
        assert [
            "end-user, x-route-to not sent to a host that is not known: give an absolute URL"
        ] == _warnings(caplog)

    def test_a_hop_after_the_chain_left_the_mesh(self, caplog: pytest.LogCaptureFixture) -> None:
        """User data that a redirect costs is no reason to name a mesh host."""
        left = Sent(())
        left.outside = True
        rules = OutboundRules(Settings())
        rules.decide(_came(), "http://reviews/", {}, left.next_hop())
        assert [] == _warnings(caplog)


class TestWithoutARequest:
    """`headers(url)`: the fields for a client that meshtrace does not know."""

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            pytest.param("http://reviews/", CAME, id="a mesh host: everything"),
            pytest.param("https://shop.example/", TestHosts.OUTSIDE, id="outside: ids"),
            pytest.param(None, TestHosts.OUTSIDE, id="no URL: as outside"),
            pytest.param("", {}, id="an empty URL: nothing"),
            pytest.param("reviews:9080", {}, id="no scheme: nothing"),
        ],
    )
    def test_by_url(self, url: str | None, expected: dict[str, str]) -> None:
        """The URL decides, as it does for a call."""
        meshtrace.configure(forward=FORWARD)
        with meshtrace.use(CAME):
            assert expected == meshtrace.headers(url)

    def test_a_new_dict(self) -> None:
        """Each result belongs to its caller, who may write to it."""
        rules, snapshot = OutboundRules(Settings()), _came(IDS)
        rules.fields(snapshot, "http://reviews/")["x-own"] = "1"
        assert IDS == rules.fields(snapshot, "http://reviews/")

    def test_narrow_trace_hosts(self) -> None:
        """Where ids are for the mesh only, a host that is not known gets none."""
        assert {} == OutboundRules(Settings(trace_hosts="mesh")).fields(_came(IDS), None)


class TestNarrowing:
    """A client's own `forward` narrows the user data that it sends."""

    @pytest.mark.parametrize(
        ("forward", "expected"),
        [
            pytest.param("", {}, id="nothing"),
            pytest.param("end-user", {"end-user": "jason"}, id="a name"),
            pytest.param("x-route-*", {"x-route-to": "blue"}, id="a prefix"),
            pytest.param("x-other,x-other-*", {}, id="what did not come"),
            pytest.param("baggage", {"baggage": "a=1,b=2"}, id="all baggage"),
            pytest.param("baggage.b", {"baggage": "b=2"}, id="one key of baggage"),
            pytest.param("baggage.c", {}, id="a key that did not come"),
        ],
    )
    def test_what_goes(self, forward: str, expected: dict[str, str]) -> None:
        """Only what is named goes, and ids and vendor data as ever."""
        snapshot = _came({**IDS, **VENDOR_DATA, **USER_DATA, "baggage": "a=1,b=2"})
        narrowed = _decided("http://reviews/", options={"forward": forward}, snapshot=snapshot)
        vendor_data = {"sw8": VENDOR_DATA["sw8"]}
        assert {**IDS, **vendor_data, **expected} == narrowed

    def test_no_more_than_came(self) -> None:
        """It does not widen what the middleware took in."""
        snapshot = from_carrier(CAME, InboundRules.of())
        assert {} == dict(
            _decided("http://reviews/", options={"forward": FORWARD}, snapshot=snapshot).items()
            & USER_DATA.items()
        )

    def test_what_is_configured_for_all(self) -> None:
        """What is configured for the process is the middleware's affair, and does not narrow."""
        snapshot = _came()
        meshtrace.configure(forward="x-canary")
        assert CAME == _decided("http://reviews/", snapshot=snapshot)

    def test_what_the_application_sets(self) -> None:
        """What the application set itself is user data, and is narrowed, too."""
        snapshot = _came(IDS)
        snapshot.set_own("end-user", "jason")
        snapshot.set_own("x-canary", "1")
        narrowed = _decided("http://reviews/", options={"forward": "x-canary"}, snapshot=snapshot)
        assert {**IDS, "x-canary": "1"} == narrowed


class TestSent:
    """What is remembered of a call."""

    def test_the_carrier_is_only_read(self) -> None:
        """Deciding changes nothing of the caller's headers."""
        carrier = {"TraceParent": "own", "Host": "reviews"}
        rules = OutboundRules(Settings(on_conflict="replace"))
        sent = rules.decide(_came(), "http://reviews/", carrier)
        assert {"TraceParent": "own", "Host": "reviews"} == carrier
        assert {"TraceParent": "own"} == sent.replaced

    def test_the_same_twice(self) -> None:
        """Deciding is a function of the request and the call: again is the same."""
        rules, snapshot = OutboundRules(Settings()), _came()
        first = rules.decide(snapshot, "http://reviews/", {})
        again = rules.decide(snapshot, "http://reviews/", {}, first.taken_off())
        assert dict(first.fields) == dict(again.fields) == CAME

    @pytest.mark.parametrize("came", [CAME, IDS])
    def test_along_a_chain(self, came: dict[str, str]) -> None:
        """A chain remembers that it was redirected, and that it left the mesh, to its end."""
        rules, snapshot = OutboundRules(Settings()), _came(came)
        hop = rules.decide(snapshot, "http://reviews/", {})
        chain = [(hop.redirected, hop.left_mesh)]
        for url in ("http://ratings/", "http://shop.example/", "http://reviews/", "http://a/"):
            hop = rules.decide(snapshot, url, {}, hop.next_hop().taken_off())
            chain.append((hop.redirected, hop.left_mesh))
        assert [
            (False, False),
            (True, False),
            (True, False),
            (True, True),
            (True, True),
        ] == chain


NEVER = [
    *("connection", "content-length", "content-type", "cookie", "expect", "forwarded", "host"),
    *("keep-alive", "origin", "proxy-authorization", "range", "set-cookie", "te", "trailer"),
    *("transfer-encoding", "upgrade", "via", "x-envoy-attempt-count", "x-forwarded-for"),
    *("x-forwarded-client-cert", "x-real-ip", "grpc-trace-bin", "authorization"),
]
NAMES = st.sampled_from([*NEVER, *CAME, "baggage", "x-canary"])


def _cased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.upper(), name.title()])


@given(
    forward=st.lists(st.one_of(NAMES, NAMES.map(lambda name: f"{name[:3]}*")), max_size=4),
    trace_fields=st.one_of(
        st.lists(NAMES, max_size=3), st.lists(NAMES.map(lambda name: f"+{name}"), max_size=3)
    ),
    came=st.dictionaries(NAMES.flatmap(_cased), st.just("1"), max_size=12),
    own=st.lists(NAMES, max_size=3),
)
def test_nothing_brings_what_is_never_forwarded(
    forward: list[str], trace_fields: list[str], came: dict[str, str], own: list[str]
) -> None:
    """Whatever is set, came in, or is set by the application: a field of the never-list stays."""
    given_options = []
    for options in ({"forward": forward}, {"trace_fields": trace_fields}):
        try:
            given_options.append(Settings(**options))  # type: ignore[arg-type]  # names and values belong together
        except ConfigurationError:
            given_options.append(Settings())
    settings = given_options[0].over(given_options[1])
    with meshtrace.use(from_carrier(came, InboundRules(settings))):
        for name in own:
            try:
                meshtrace.set_header(name, "1")
            except ConfigurationError:
                continue
        sent = meshtrace.headers("http://reviews/")
    assert [] == [name for name in sent if is_never_forwarded(name)]


def test_what_is_said_is_said_once_for_each_host(caplog: pytest.LogCaptureFixture) -> None:
    """Each of many hosts is named once, but not without end."""
    for number in range(2000):
        _decided(f"http://host{number % 1000}.example/")
    assert 500 == len(set(_warnings(caplog)))
    assert 500 == len(_warnings(caplog))

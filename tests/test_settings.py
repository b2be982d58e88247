"""Settings are judged when they are given, and laid over one another."""

import copy
import pickle
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import meshtrace
from meshtrace import ConfigurationError, Limits, Settings
from meshtrace.settings import DEFAULTS, Options

NAMES = sorted(DEFAULTS)
APP: Any = print


class TestPlaces:
    """Some settings act where a request arrives, others where a call leaves."""

    @pytest.mark.parametrize("name", ["deny_hosts", "mesh_hosts", "trace_hosts", "patch"])
    def test_on_a_middleware(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        """An option about calls that is given to a middleware is said, once."""
        options: Any = {name: "requests" if name == "patch" else "all"}
        for _ in range(2):
            meshtrace.MeshTraceWSGI(lambda _environ, _start: [], **options)
        said = f"meshtrace: {name} does nothing in a middleware: give it to meshtrace.configure()"
        assert [said] == caplog.messages

    @pytest.mark.parametrize("name", ["incoming", "parent", "limits"])
    def test_on_a_client(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        """An option about requests that is given to a client is said, once."""
        options: Any = {name: DEFAULTS[name]}
        for _ in range(2):
            meshtrace.wrap(requests.Session(), **options)
        said = f"meshtrace: {name} does nothing on a client: give it to meshtrace.configure()"
        assert [said] == caplog.messages

    def test_what_acts_there(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing is said of what acts, nor of settings that were made elsewhere."""
        shared = Settings(deny_hosts="a.example", incoming="ids")
        meshtrace.MeshTraceWSGI(
            lambda _environ, _start: [], settings=shared, incoming="trust", forward="end-user"
        )
        meshtrace.wrap(requests.Session(), settings=shared, deny_hosts="b.example")
        assert [] == caplog.messages


class TestGiving:
    """What is given is read once, and fixed."""

    def test_the_defaults(self) -> None:
        """Without anything given, trust what comes, relay trace fields, give ids to all."""
        settings = Settings()
        assert {name: getattr(settings, name) for name in NAMES} == DEFAULTS
        assert frozenset() == settings.given
        assert ("trust", (), ("all",), "keep", "auto") == (
            settings.incoming,
            settings.forward,
            settings.trace_hosts,
            settings.on_conflict,
            settings.parent,
        )

    def test_the_limits(self) -> None:
        """The limits are those that W3C Baggage and Envoy's own set."""
        assert (
            Limits(request_id=128, field=4096, baggage_members=64, baggage=8192, total=16384)
            == Settings().limits
        )

    def test_every_option_can_be_given(self) -> None:
        """The options that can be typed are the settings that there are."""
        assert set(NAMES) == set(Options.__annotations__)

    @pytest.mark.parametrize(
        "spelled",
        [
            pytest.param("End-User, x-canary", id="a text with a comma and a blank"),
            pytest.param(["end-user", "x-canary"], id="a list"),
            pytest.param(("End-User", "X-Canary"), id="a tuple"),
            pytest.param("end-user,,x-canary,end-user,", id="with repeats and empty places"),
            pytest.param((name for name in ("end-user", "x-canary")), id="a generator"),
        ],
    )
    def test_lists(self, spelled: Any) -> None:  # noqa: ANN401 - any of them
        """A list is a text with commas, or texts."""
        assert ("end-user", "x-canary") == Settings(forward=spelled).forward

    def test_what_was_given(self) -> None:
        """A setting that was given is known to be, also with its default's value."""
        assert frozenset({"incoming", "forward"}) == Settings(incoming="trust", forward="").given

    def test_it_is_frozen(self) -> None:
        """Nothing changes it afterwards."""
        settings = Settings()
        with pytest.raises(AttributeError):
            settings.incoming = "ids"
        assert "trust" == settings.incoming

    def test_it_is_a_value(self) -> None:
        """The same settings are equal, and stay so when pickled or copied."""
        settings = Settings(forward="end-user", deny_hosts=".example", limits=Limits(field=10))
        same = Settings(forward=["end-user"], deny_hosts=["*.example"], limits=Limits(field=10))
        assert (settings, hash(settings)) == (same, hash(same))
        assert [settings] * 3 == [
            pickle.loads(pickle.dumps(settings)),  # noqa: S301 - our own
            copy.copy(settings),
            copy.deepcopy(settings),
        ]


class TestWrong:
    """What is wrong raises at once, and names what is right."""

    @pytest.mark.parametrize(
        ("name", "nearest"),
        [
            pytest.param("incomming", " (do you mean incoming?)", id="nearly a setting"),
            pytest.param("denyhosts", " (do you mean deny_hosts?)", id="nearly another"),
            pytest.param("colour", "", id="no setting at all"),
        ],
    )
    def test_an_unknown_name(self, name: str, nearest: str) -> None:
        """A name that is not known is named with the nearest one and all valid ones."""
        options: Any = {name: "x"}
        with pytest.raises(ConfigurationError) as raised:
            Settings(**options)
        assert f"unknown setting {name!r}{nearest}; valid: {', '.join(DEFAULTS)}" == str(
            raised.value
        )

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", [None, 5, b"x", [b"x"], {"a": 1}.items()])
    def test_a_wrong_type(self, name: str, value: object) -> None:
        """A value of another type is wrong for every setting, and the message names the setting."""
        options: Any = {name: value}
        with pytest.raises(ConfigurationError, match=f"^{name}="):
            Settings(**options)

    @pytest.mark.parametrize("name", NAMES)
    @given(
        value=st.one_of(
            st.none(),
            st.integers(),
            st.text(max_size=8),
            st.lists(st.one_of(st.text(max_size=4), st.integers()), max_size=3),
            st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
        )
    )
    def test_nothing_else_is_raised(self, name: str, value: object) -> None:
        """Whatever is given, it is either a setting or a ConfigurationError."""
        options: Any = {name: value}
        try:
            settings = Settings(**options)
        except ConfigurationError as error:
            assert str(error).startswith(f"{name}=")  # noqa: PT017 - it need not be raised
        else:
            assert frozenset({name}) == settings.given

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(meshtrace.configure, id="configure"),
            pytest.param(meshtrace.Session, id="Session"),
            pytest.param(lambda **given: meshtrace.MeshTrace(APP, **given), id="MeshTrace"),
            pytest.param(lambda **given: meshtrace.MeshTraceWSGI(APP, **given), id="WSGI"),
        ],
    )
    def test_wherever_it_is_given(self, make: Any) -> None:  # noqa: ANN401 - any of them
        """Every place that takes options refuses the same."""
        with pytest.raises(ConfigurationError, match=r"^incoming='all': not one of 'trust', 'ids'"):
            make(incoming="all")


class TestLimits:
    """Limits are whole numbers."""

    @pytest.mark.parametrize("value", [-1, "10", 1.5, None])
    @pytest.mark.parametrize("name", ["request_id", "field", "baggage_members", "baggage", "total"])
    def test_wrong_ones(self, name: str, value: object) -> None:
        """Anything else is refused by name."""
        options: Any = {name: value}
        with pytest.raises(ConfigurationError) as raised:
            Limits(**options)
        assert f"limits: {name}={value!r}: not a whole number from 0 up" == str(raised.value)

    def test_none_at_all(self) -> None:
        """A limit of 0 lets nothing of it through."""
        meshtrace.configure(limits=Limits(request_id=0, total=20))
        with meshtrace.use({"x-request-id": "a", "b3": "0"}):
            assert {"b3": "0"} == meshtrace.headers("http://reviews/")

    def test_what_is_longer_is_left_out(self) -> None:
        """What is longer than its limit stays here whole, and what fits goes whole."""
        meshtrace.configure(
            forward="end-user,baggage",
            limits=Limits(request_id=4, field=4, baggage=7, baggage_members=2),
        )
        came = {
            "x-request-id": "12345",
            "sw8": "1234",
            "sw8-x": "12345",
            "end-user": "jason",
            "baggage": "a=1,b=2,c=3",
        }
        with meshtrace.use(came):
            assert {"sw8": "1234", "baggage": "a=1,b=2"} == meshtrace.headers("http://reviews/")


class TestOver:
    """Settings laid over others."""

    def test_what_is_given_stands(self) -> None:
        """What the upper ones give stands; the rest is the lower ones'."""
        upper = Settings(incoming="ids", forward="end-user")
        lower = Settings(incoming="ignore", mesh_hosts=".prod")
        merged = upper.over(lower)
        assert ("ids", ("end-user",), (".prod",)) == (
            merged.incoming,
            merged.forward,
            merged.mesh_hosts,
        )
        assert frozenset({"incoming", "forward", "mesh_hosts"}) == merged.given

    def test_lists_do_not_add_up(self) -> None:
        """A list takes the place of the lower one, an empty one, too."""
        lower = Settings(forward="end-user", mesh_hosts=".prod")
        merged = Settings(forward="x-canary", mesh_hosts="").over(lower)
        assert (("x-canary",), ()) == (merged.forward, merged.mesh_hosts)

    def test_deny_lists_do(self) -> None:
        """What either denies is denied, even where the upper one is empty."""
        lower = Settings(deny_hosts="a.example,b.example")
        assert ("c.example", "b.example", "a.example") == (
            Settings(deny_hosts="c.example,b.example").over(lower).deny_hosts
        )
        assert ("a.example", "b.example") == Settings(deny_hosts="").over(lower).deny_hosts

    def test_neither_is_changed(self) -> None:
        """Both stay as they were."""
        upper, lower = Settings(deny_hosts="a"), Settings(deny_hosts="b")
        upper.over(lower)
        assert (Settings(deny_hosts="a"), Settings(deny_hosts="b")) == (upper, lower)

    def test_three(self) -> None:
        """It does not matter which two are laid over one another first."""
        a = Settings(incoming="ids", deny_hosts="a")
        b = Settings(incoming="ignore", forward="b", deny_hosts="b")
        c = Settings(forward="c", mesh_hosts="c", deny_hosts="c")
        assert a.over(b).over(c) == a.over(b.over(c))


class TestSaying:
    """`str` says what differs from the defaults."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            pytest.param({}, "defaults", id="nothing"),
            pytest.param({"incoming": "trust"}, "defaults", id="what is the default anyway"),
            pytest.param(
                {"forward": "end-user,x-canary", "incoming": "ids"},
                "incoming=ids, forward=end-user,x-canary",
                id="in the order of the settings",
            ),
            pytest.param({"trace_hosts": "mesh"}, "trace_hosts=mesh", id="a list of one"),
            pytest.param({"limits": Limits(field=1)}, "defaults", id="limits are left out"),
            pytest.param({"spans": True}, "spans=True", id="a truth value"),
        ],
    )
    def test_what_is_said(self, options: Options, said: str) -> None:
        """Only what differs is said."""
        assert said == str(Settings(**options))

"""Where settings come from, in which order, and what is said about wrong ones."""

import gc
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import meshtrace
from meshtrace import ConfigurationError, Settings
from meshtrace.configuration import (
    Following,
    authorization_wanted,
    configure,
    disabled,
    resolve,
)
from meshtrace.options import PATCHABLE

VARIABLES = [
    pytest.param("MESHTRACE_INCOMING", "ids", "incoming", "ids", id="incoming"),
    pytest.param(
        "MESHTRACE_FORWARD",
        "end-user, X-Route-*,baggage.userId",
        "forward",
        ("end-user", "x-route-*", "baggage.userId"),
        id="forward",
    ),
    pytest.param(
        "MESHTRACE_TRACE_FIELDS",
        "+uber-trace-id,-sw8",
        "trace_fields",
        ("+uber-trace-id", "-sw8"),
        id="trace_fields",
    ),
    pytest.param("MESHTRACE_TRACE_HOSTS", "mesh", "trace_hosts", ("mesh",), id="trace_hosts"),
    pytest.param(
        "MESHTRACE_MESH_HOSTS",
        ".prod,10.0.0.0/8",
        "mesh_hosts",
        (".prod", "10.0.0.0/8"),
        id="mesh_hosts",
    ),
    pytest.param(
        "MESHTRACE_DENY_HOSTS", "a.example,", "deny_hosts", ("a.example",), id="deny_hosts"
    ),
    pytest.param(
        "MESHTRACE_CLUSTER_DOMAIN",
        "Corp.Example.",
        "cluster_domain",
        "corp.example",
        id="cluster_domain",
    ),
    pytest.param("MESHTRACE_ON_CONFLICT", "replace", "on_conflict", "replace", id="on_conflict"),
    pytest.param(
        "MESHTRACE_RESPONSE_HEADER",
        "X-Request-Id",
        "response_header",
        "x-request-id",
        id="response_header",
    ),
    pytest.param("MESHTRACE_PATCH", "-requests", "patch", ("-requests",), id="patch"),
]


class TestOrder:
    """Arguments, then `configure`, then the environment, then the default."""

    @pytest.mark.parametrize(("variable", "text", "name", "value"), VARIABLES)
    def test_each_variable(self, variable: str, text: str, name: str, value: object) -> None:
        """Each variable sets the setting of its name, read as code is."""
        settings = resolve(Settings(), {variable: text})
        assert value == getattr(settings, name)
        assert Settings(**{name: text}).over(Settings()) == settings  # type: ignore[arg-type]  # any of them

    @pytest.mark.parametrize(
        ("variable", "text", "name", "value"),
        [parameters for parameters in VARIABLES if parameters.id != "deny_hosts"],
    )
    def test_each_place(self, variable: str, text: str, name: str, value: object) -> None:
        """`configure` beats the environment, and arguments beat both."""
        others = {
            "incoming": "ignore",
            "on_conflict": "keep",
            "response_header": "b3",
            "cluster_domain": "other.example",
            "patch": "requests",
            "trace_fields": "b3",
        }
        other: Any = others.get(name, "x-other")
        options: Any = {name: text}
        configure(**{name: other})
        assert getattr(Settings(**{name: other}), name) == getattr(
            resolve(Settings(), {variable: text}), name
        )
        assert value == getattr(resolve(Settings(**options), {variable: other}), name)

    def test_the_process_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment is that of the process."""
        monkeypatch.setenv("MESHTRACE_INCOMING", "ids")
        assert "ids" == resolve(Settings()).incoming

    def test_a_default_that_is_given_counts(self) -> None:
        """A setting given with its default's value is given: it beats what stands behind it."""
        configure(incoming="trust", mesh_hosts=())
        environ = {"MESHTRACE_INCOMING": "ignore", "MESHTRACE_MESH_HOSTS": ".prod"}
        assert ("trust", ()) == (
            resolve(Settings(), environ).incoming,
            resolve(Settings(), environ).mesh_hosts,
        )

    def test_a_slip_denies_all_the_same(self, caplog: pytest.LogCaptureFixture) -> None:
        """Of a deny list in the environment the entries that can be read stand."""
        settings = resolve(Settings(), {"MESHTRACE_DENY_HOSTS": "a.example,http://b/,.c.example"})
        assert ("a.example", ".c.example") == tuple(sorted(settings.deny_hosts, reverse=True))
        (said,) = caplog.messages
        assert said.startswith(
            "meshtrace: MESHTRACE_DENY_HOSTS: deny_hosts='http://b/': not a host"
        )

    def test_deny_lists_add_up(self) -> None:
        """What any place denies is denied."""
        configure(deny_hosts=["configured", "both"])
        settings = resolve(Settings(deny_hosts="given,both"), {"MESHTRACE_DENY_HOSTS": "env"})
        assert ("given", "both", "configured", "env") == settings.deny_hosts

    def test_configure_replaces_what_it_set_before(self) -> None:
        """Each call starts afresh: what an earlier one set is no longer set."""
        configure(incoming="ids", forward="end-user")
        configure(forward="x-canary")
        assert ("trust", ("x-canary",)) == (
            resolve(Settings(), {}).incoming,
            resolve(Settings(), {}).forward,
        )

    def test_a_wrong_configuration_changes_nothing(self) -> None:
        """A call that raises leaves what was configured as it was."""
        configure(forward="end-user")
        with pytest.raises(ConfigurationError):
            configure(incoming="all")  # type: ignore[arg-type]  # that is what is tested
        assert ("end-user",) == resolve(Settings(), {}).forward


class TestEnvironment:
    """What is wrong in the environment is one warning, and never stops an application."""

    @pytest.mark.parametrize(
        ("variable", "text", "said"),
        [
            pytest.param(
                "MESHTRACE_INCOMING",
                "all",
                "incoming='all': not one of 'trust', 'ids', 'ignore'; ignored",
                id="no choice",
            ),
            pytest.param(
                "MESHTRACE_FORWARD",
                "cookie",
                "forward='cookie': never forwarded; ignored",
                id="what is never forwarded",
            ),
            pytest.param(
                "MESHTRACE_MESH_HOSTS",
                ".prod,http://a/",
                "mesh_hosts='http://a/': not a host, .suffix, address or network "
                "(without scheme and port); the whole variable is ignored",
                id="one bad host of two",
            ),
            pytest.param(
                "MESHTRACE_MESH_HOST",
                ".prod",
                "unknown (do you mean MESHTRACE_MESH_HOSTS?); ignored",
                id="a name that is nearly known",
            ),
            pytest.param(
                "MESHTRACE_DISABLE",
                "1",
                "unknown (do you mean MESHTRACE_DISABLED?); ignored",
                id="nearly the switch",
            ),
            pytest.param("MESHTRACE_42", "1", "unknown; ignored", id="a name like no other"),
            pytest.param(
                "MESHTRACE_AUTHORIZATION_HOSTS",
                "orders",
                "set in code only; ignored",
                id="what is set in code only: authorization",
            ),
            pytest.param(
                "MESHTRACE_PARENT", "b3", "set in code only; ignored", id="set in code only: parent"
            ),
            pytest.param(
                "MESHTRACE_LIMITS", "{}", "set in code only; ignored", id="set in code only: limits"
            ),
        ],
    )
    def test_one_warning(
        self, variable: str, text: str, said: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A wrong value or name is one warning that says why, and the default stands."""
        for _ in range(3):
            assert Settings() == resolve(Settings(), {variable: text})
        assert [(logging.WARNING, f"meshtrace: {variable}: {said}")] == [
            (record.levelno, record.getMessage()) for record in caplog.records
        ]

    def test_the_good_ones_stay(self, caplog: pytest.LogCaptureFixture) -> None:
        """A wrong variable costs no other variable, and each wrong one is named."""
        environ = {
            "MESHTRACE_FORWARD": "host",
            "MESHTRACE_INCOMING": "ids",
            "MESHTRACE_ON_CONFLICT": "?",
        }
        settings = resolve(Settings(), environ)
        assert ("ids", (), "keep") == (settings.incoming, settings.forward, settings.on_conflict)
        assert 2 == len(caplog.records)

    @pytest.mark.parametrize(
        "environ",
        [
            pytest.param(
                {
                    "MESHTRACE_SERVICE_HOST": "10.0.0.1",
                    "MESHTRACE_SERVICE_PORT": "80",
                    "MESHTRACE_SERVICE_PORT_HTTP": "80",
                    "MESHTRACE_PORT": "tcp://10.0.0.1:80",
                    "MESHTRACE_PORT_80_TCP": "tcp://10.0.0.1:80",
                    "MESHTRACE_PORT_80_TCP_ADDR": "10.0.0.1",
                    "MESHTRACE_PORT_80_TCP_PORT": "80",
                    "MESHTRACE_PORT_80_TCP_PROTO": "tcp",
                },
                id="what Kubernetes sets beside a Service called meshtrace",
            ),
            pytest.param({"MESHTRACE_INCOMING": " ", "MESHTRACE_FORWARD": ""}, id="blank ones"),
            pytest.param({"MESHTRACE_DISABLED": "1"}, id="the switch"),
            pytest.param({"meshtrace_incoming": "?", "NOT_MESHTRACE_X": "1"}, id="others' names"),
        ],
    )
    def test_nothing_to_say(
        self, environ: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is not ours, or says nothing, is passed over in silence."""
        assert Settings() == resolve(Settings(), environ)
        assert [] == caplog.records

    def test_it_never_raises_while_an_application_starts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With every variable wrong, middlewares and clients are made as ever."""
        for parameters in VARIABLES:
            monkeypatch.setenv(str(parameters.values[0]), "\N{SNOWMAN} ,*,http://")
        monkeypatch.setenv("MESHTRACE_DISABLED", "perhaps")
        configure()
        meshtrace.patch()
        with meshtrace.Session(), meshtrace.use({"b3": "0"}):
            assert {"b3": "0"} == meshtrace.headers("http://reviews/")


class TestDisabled:
    """`MESHTRACE_DISABLED` switches all off."""

    @pytest.mark.parametrize("text", ["1", "true", "TRUE", "yes", "on", " 1 "])
    def test_on(self, text: str) -> None:
        """Any usual word for yes switches off."""
        assert disabled({"MESHTRACE_DISABLED": text})

    @pytest.mark.parametrize("text", ["", " ", "0", "false", "False", "no", "off"])
    def test_off(self, text: str, caplog: pytest.LogCaptureFixture) -> None:
        """Any usual word for no, or none, leaves it on, and nothing is said."""
        assert not disabled({"MESHTRACE_DISABLED": text})
        assert [] == caplog.records

    def test_neither(self, caplog: pytest.LogCaptureFixture) -> None:
        """Any other word is one warning, and meshtrace stays on."""
        assert [False, False] == [disabled({"MESHTRACE_DISABLED": "perhaps"}) for _ in range(2)]
        assert ["meshtrace: MESHTRACE_DISABLED: not 1 or 0; meshtrace stays on"] == caplog.messages

    def test_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The variable is that of the process, and not set at first."""
        before = disabled()
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        assert (False, True) == (before, disabled())


@pytest.fixture
def quick_switching() -> Iterator[None]:
    """Let threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class TestFollowing:
    """Who works something out of settings follows `configure`."""

    def test_it_follows(self) -> None:
        """What was worked out before `configure` is worked out again, once a call."""
        made: list[str] = []

        def make(own: Settings) -> str:
            made.append(resolve(own, {}).incoming)
            return made[-1]

        following = Following(make, Settings(forward="end-user"))
        configure(incoming="ids")
        assert "ids" == following.value
        configure()
        assert "trust" == following.value
        assert ["trust", "ids", "trust"] == made

    def test_its_own_settings_stay(self) -> None:
        """What it was given itself beats what is configured later."""
        following = Following(lambda own: resolve(own).incoming, Settings(incoming="ids"))
        configure(incoming="ignore")
        assert "ids" == following.value

    def test_it_is_let_go(self) -> None:
        """Nobody keeps one that its owner has let go."""
        gone = weakref.ref(Following(resolve, Settings()))
        gc.collect()
        assert gone() is None

    def test_one_that_goes_meanwhile(self) -> None:
        """One that goes while the others are worked out is passed over."""
        worked_out: list[str] = []
        pair: dict[str, Following[None]] = {}

        def make(name: str, other: str) -> Callable[[Settings], None]:
            def work_out(_: Settings) -> None:
                worked_out.append(name)
                pair.pop(other, None)

            return work_out

        pair["b"] = Following(make("b", "none"), Settings())
        pair["a"] = Following(make("a", "b"), Settings())
        pair["b"] = Following(make("b", "a"), Settings())
        worked_out.clear()
        gc.collect()
        configure()
        assert 1 == len(worked_out)
        assert set(worked_out) == set(pair)

    @pytest.mark.usefixtures("quick_switching")
    def test_while_others_are_made(self) -> None:
        """`configure` works while other threads make and drop clients."""
        stop = threading.Event()

        def make() -> int:
            made = 0
            while not stop.is_set():
                made += len([Following(lambda own: own, Settings()) for _ in range(100)])
            return made

        # So many that other threads have their turn while they are gone through.
        others = [Following(lambda own: own, Settings()) for _ in range(2000)]
        following = Following(lambda own: resolve(own).forward, Settings())
        with ThreadPoolExecutor(2) as pool:
            makers = [pool.submit(make) for _ in range(2)]
            try:
                for number in range(100):
                    configure(forward=f"x-{number}")
            finally:
                stop.set()
        assert ("x-99",) == following.value
        assert {Settings()} == {other.value for other in others}
        assert all(maker.result() > 0 for maker in makers)


class TestAuthorization:
    """A middleware keeps the caller's authorization only once a client was named hosts for it."""

    def test_nobody_wants_it(self) -> None:
        """At first nobody does."""
        resolve(Settings(mesh_hosts=".prod"))
        assert not authorization_wanted()

    def test_somebody_does(self) -> None:
        """Who follows the settings learns at once that somebody does, also of one client's own."""
        following = Following(lambda _: authorization_wanted(), Settings())
        before = following.value
        resolve(Settings(authorization_hosts="orders"))
        assert (False, True) == (before, following.value)

    def test_it_cannot_be_set_outside_code(self) -> None:
        """No variable names a host for it."""
        environ = {**os.environ, "MESHTRACE_AUTHORIZATION_HOSTS": "orders"}
        assert () == resolve(Settings(), environ).authorization_hosts
        assert not authorization_wanted()


def test_everything_patchable_has_a_room() -> None:
    """Each library that can be named is one that can be patched and taken back."""
    for name in PATCHABLE:
        meshtrace.patch(name)
        meshtrace.unpatch(name)
    assert PATCHABLE


def test_what_is_configured_while_a_room_is_made_reaches_it() -> None:
    """No middleware and no client is left with settings that were replaced meanwhile."""
    making, configured = threading.Event(), threading.Event()

    def make(own: Settings) -> Settings:
        resolved = resolve(own)
        if not making.is_set():
            making.set()
            assert configured.wait(10)
        return resolved

    rooms: list[Following[Settings]] = []
    thread = threading.Thread(target=lambda: rooms.append(Following(make, Settings())))
    thread.start()
    assert making.wait(10)
    configure(deny_hosts="payments")
    configured.set()
    thread.join(10)
    assert ("payments",) == rooms[0].value.deny_hosts

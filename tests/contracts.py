"""
What every outbound room does, whichever client library it is for.

A room is driven through a `Driver`: ``tests/outbound/driver_NAME.py`` has one for each way in which
a library is used, and names them in ``DRIVERS``. ``tests/outbound/test_contracts.py`` runs the
suite over all of them, each test over the drivers that have the abilities it `needs`, with clients
that are wrapped and with clients of a patched library.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import pytest
from opentelemetry.sdk.trace import TracerProvider

import meshtrace
from meshtrace.relay.inject import OutboundRules
from tests.outbound.driving import Ability, Driver
from tests.outbound.recording import (
    ALL,
    B3,
    IDS,
    OTHER,
    VENDOR_DATA,
    W3C,
    Answer,
    Recorder,
    redirect,
)

__all__ = ["Make", "OutboundContract", "needs"]

AT_ONCE = 32
BURST = int(os.environ.get("BURST", "320"))
"""How many requests each client makes in a burst."""

URL = "http://reviews:9080/reviews/0"
FORWARD = ["end-user", "baggage"]
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
WITHOUT_USER_DATA = {**IDS, **VENDOR_DATA}
OWN_PARENT = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"

F = TypeVar("F", bound=Callable[..., None])


class Make(Protocol):
    """Makes a client that relays, by settings given here."""

    def __call__(self, **options: Any) -> Any:  # noqa: ANN401 - each library has its own
        """Make one."""


def needs(*abilities: Ability) -> Callable[[F], F]:
    """Run a test over those drivers only that have these abilities."""

    def mark(test: F) -> F:
        test.needs = abilities  # type: ignore[attr-defined]  # read where the tests are collected
        return test

    return mark


class OutboundContract:
    """
    The suite.

    The fixtures are the driver, the recorder that all its calls reach, and ``make``, which makes a
    client that relays, wrapped or of a patched library.
    """

    # Relaying

    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
    def test_what_came_in_goes_out(
        self, method: str, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """Every field of the request goes out, byte for byte and one line each."""
        client = make(forward=FORWARD)
        meshtrace.configure(forward=FORWARD)
        with meshtrace.use(ALL):
            assert 200 == driver.call(client, URL, method=method)
        assert [ALL] == recorder.relayed
        assert [method] == [received.method for received in recorder.received]

    def test_nothing_goes_out_where_nothing_came_in(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """No id is made up, in a request that brought none, and outside any."""
        client = make()
        with meshtrace.use({}):
            driver.call(client, URL)
        driver.call(client, URL)
        assert [{}, {}] == recorder.relayed

    def test_one_after_another(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """A client that is used again carries each request's own fields, and nothing after them."""
        client = make()
        with meshtrace.use(IDS):
            driver.call(client, URL)
        with meshtrace.use(OTHER):
            driver.call(client, URL)
        driver.call(client, URL)
        assert [IDS, OTHER_IDS, {}] == recorder.relayed

    def test_a_span_of_the_applications_own(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """A current span of OpenTelemetry changes nothing of what came."""
        client = make()
        tracer = TracerProvider().get_tracer("own")
        with meshtrace.use(IDS), tracer.start_as_current_span("own"):
            driver.call(client, URL)
        with tracer.start_as_current_span("own"):
            driver.call(client, URL)
        assert [IDS, {}] == recorder.relayed

    def test_a_burst(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """Calls made for many requests at once carry each its own request's fields."""
        client = make()
        brought = [_another(number) for number in range(BURST)]
        calls = [(f"http://reviews:9080/{number}", one) for number, one in enumerate(brought)]
        driver.burst(client, calls, AT_ONCE)
        assert BURST == len(recorder.received)
        arrived = {int(received.path[1:]): received.relayed for received in recorder.received}
        assert dict(enumerate(brought)) == arrived

    # Where to

    def test_a_host_outside_the_mesh(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """A host that is not of the mesh gets the ids, and no more."""
        client = make()
        meshtrace.configure(forward=FORWARD)
        with meshtrace.use(ALL):
            driver.call(client, "http://shop.example/")
        assert [IDS] == recorder.relayed

    def test_a_denied_host(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """A denied host gets nothing; its neighbour gets everything."""
        client = make(deny_hosts="reviews")
        with meshtrace.use(IDS):
            driver.call(client, URL)
            driver.call(client, "http://ratings:9080/")
        assert [{}, IDS] == recorder.relayed

    # The caller wins

    @pytest.mark.parametrize(
        ("own", "expected"),
        [
            pytest.param(
                {"traceparent": OWN_PARENT},
                {"x-request-id": IDS["x-request-id"], **B3, "traceparent": OWN_PARENT},
                id="a traceparent keeps ours and its tracestate out",
            ),
            pytest.param(
                {"tracestate": "own=1"},
                {"x-request-id": IDS["x-request-id"], **B3, "tracestate": "own=1"},
                id="a tracestate keeps our traceparent out",
            ),
            pytest.param(
                {"b3": "0"},
                {"x-request-id": IDS["x-request-id"], **W3C, "b3": "0"},
                id="a b3 keeps all of x-b3-* out",
            ),
            pytest.param(
                {"X-B3-SAMPLED": "0"},
                {"x-request-id": IDS["x-request-id"], **W3C, "x-b3-sampled": "0"},
                id="a part of x-b3-* in capitals keeps the rest out",
            ),
            pytest.param(
                {"X-Request-Id": "own"},
                {**W3C, **B3, "x-request-id": "own"},
                id="an id of the caller's own",
            ),
        ],
    )
    def test_what_the_caller_sets(
        self,
        own: Mapping[str, str],
        expected: Mapping[str, str],
        driver: Driver,
        make: Make,
        recorder: Recorder,
    ) -> None:
        """What the caller sets keeps its whole format as it is."""
        client = make()
        with meshtrace.use({**IDS, **W3C}):
            driver.call(client, URL, headers=dict(own))
        assert [expected] == recorder.relayed

    def test_what_the_caller_sets_is_replaced(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """With ``on_conflict="replace"`` the request's fields take its place."""
        client = make(on_conflict="replace")
        own = {"TraceParent": OWN_PARENT, "X-Own": "1"}
        with meshtrace.use(IDS):
            driver.call(client, URL, headers=own)
        assert [{**IDS, "x-own": "1"}] == recorder.relayed

    def test_headers_of_every_type(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """However the caller gives headers, they arrive, ours beside them, and are not changed."""
        client = make()
        given = {"TraceParent": OWN_PARENT, "X-Own": "1"}
        expected = {"x-request-id": IDS["x-request-id"], **B3, "traceparent": OWN_PARENT}
        for make_headers in driver.header_types.values():
            headers = make_headers(given)
            before = repr(headers)
            with meshtrace.use(IDS):
                driver.call(client, URL, headers=headers)
            assert before == repr(headers)
        assert [{**expected, "x-own": "1"}] * len(driver.header_types) == recorder.relayed

    # Redirects

    @needs(Ability.REDIRECTS)
    @pytest.mark.parametrize(
        ("hosts", "expected"),
        [
            pytest.param(["reviews", "ratings"], [ALL, ALL], id="mesh to mesh: everything"),
            pytest.param(["reviews", "reviews"], [ALL, ALL], id="the same host: everything"),
            pytest.param(
                ["reviews", "shop.example", "shop.example"],
                [ALL, IDS, IDS],
                id="out of the mesh: the ids, each time",
            ),
            pytest.param(
                ["reviews", "shop.example", "reviews", "ratings"],
                [ALL, IDS, WITHOUT_USER_DATA, WITHOUT_USER_DATA],
                id="out and back: user data is not sent again",
            ),
            pytest.param(
                ["reviews", "denied", "ratings"],
                [ALL, {}, WITHOUT_USER_DATA],
                id="a denied host gets nothing, and is outside the mesh",
            ),
        ],
    )
    def test_each_hop_is_decided_anew(
        self,
        hosts: list[str],
        expected: list[dict[str, str]],
        driver: Driver,
        make: Make,
        recorder: Recorder,
    ) -> None:
        """A redirect is judged as a direct call, less user data once the chain left the mesh."""
        client = make(deny_hosts="denied")
        meshtrace.configure(forward=FORWARD, deny_hosts="denied")
        for number, host in enumerate(hosts[1:]):
            recorder.answers[f"/{number}"] = [redirect(f"http://{host}/{number + 1}")]
        with meshtrace.use(ALL):
            assert 200 == driver.call(client, f"http://{hosts[0]}/0")
        assert [f"/{number}" for number in range(len(hosts))] == [
            received.path for received in recorder.received
        ]
        assert expected == recorder.relayed

    @needs(Ability.REDIRECTS)
    def test_a_hop_that_may_not_have_ours_has_the_callers(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """What ours took the place of is back where ours may not go."""
        client = make(on_conflict="replace", deny_hosts="denied")
        recorder.answers["/0"] = [redirect("http://denied/1")]
        recorder.answers["/1"] = [redirect("http://ratings/2")]
        with meshtrace.use(W3C):
            driver.call(client, "http://reviews/0", headers={"TraceParent": OWN_PARENT})
        assert [W3C, {"traceparent": OWN_PARENT}, W3C] == recorder.relayed

    # Retries

    @needs(Ability.RETRIES_AFTER_503)
    def test_a_retry_after_a_503(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """Each try carries the same fields, none of them twice."""
        driver.retries = 2
        client = make()
        recorder.answers["/reviews/0"] = [Answer(503), Answer(503)]
        with meshtrace.use(IDS):
            assert 200 == driver.call(client, URL)
        assert [IDS] * 3 == recorder.relayed

    @needs(Ability.RETRIES_AFTER_LOSS)
    def test_a_retry_after_a_lost_connection(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """Each try carries the same fields, none of them twice."""
        driver.retries = 2
        client = make()
        recorder.answers["/reviews/0"] = [Answer(lost=True), Answer(lost=True)]
        with meshtrace.use(IDS):
            assert 200 == driver.call(client, URL)
        assert [IDS] * 3 == recorder.relayed

    @needs(Ability.RETRIES_CONNECTING)
    def test_connecting_again(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """What is sent once connecting has succeeded carries the fields."""
        driver.retries = 2
        client = make()
        recorder.unreachable = 1
        with meshtrace.use(IDS):
            assert 200 == driver.call(client, URL)
        assert 0 == recorder.unreachable
        assert [IDS] == recorder.relayed

    # The same request again

    @needs(Ability.REQUEST_OBJECTS)
    def test_a_request_sent_again(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """A request that is sent again carries what is current then, and in no context nothing."""
        client = make()
        request = driver.request(client, URL, {"x-own": "1"})
        for brought in (IDS, OTHER, {}, IDS):
            with meshtrace.use(brought):
                driver.send(client, request)
        driver.send(client, request)
        expected: list[dict[str, str]] = [IDS, OTHER_IDS, {}, IDS, {}]
        assert [{**relayed, "x-own": "1"} for relayed in expected] == recorder.relayed

    @needs(Ability.REQUEST_OBJECTS)
    def test_a_request_whose_headers_were_changed(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """What the caller sets between two sendings wins, as if it had been there at first."""
        client = make()
        request = driver.request(client, URL, {})
        with meshtrace.use(IDS):
            driver.send(client, request)
            driver.set_header(request, "traceparent", OWN_PARENT)
            driver.send(client, request)
        own = {"x-request-id": IDS["x-request-id"], **B3, "traceparent": OWN_PARENT}
        assert [IDS, own] == recorder.relayed

    @needs(Ability.REQUEST_OBJECTS, Ability.REDIRECTS)
    def test_a_redirected_request_sent_again(
        self, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """The first request of a chain, sent again, is a first request again."""
        client = make()
        meshtrace.configure(forward=FORWARD)
        request = driver.request(client, "http://reviews/0", {})
        recorder.answers["/0"] = [redirect("http://shop.example/1")] * 2
        recorder.answers["/1"] = [redirect("http://reviews/2")] * 2
        with meshtrace.use(ALL):
            driver.send(client, request)
            driver.send(client, request)
        assert [ALL, IDS, WITHOUT_USER_DATA] * 2 == recorder.relayed

    # Once is enough

    def test_wrapped_twice(self, driver: Driver, recorder: Recorder) -> None:
        """Wrapping twice is wrapping once, with the later settings."""
        client = driver.wrapped(deny_hosts="reviews")
        assert client is driver.wrap(client, on_conflict="replace")
        with meshtrace.use(IDS):
            driver.call(client, URL)
        assert [IDS] == recorder.relayed

    def test_wrapped_and_patched(self, driver: Driver, recorder: Recorder) -> None:
        """A wrapped client of a patched library relays once, and its own settings count."""
        before = driver.wrapped(deny_hosts="denied")
        meshtrace.patch(driver.name)
        after = driver.wrapped(deny_hosts="denied")
        with meshtrace.use(IDS):
            for client in (before, after):
                driver.call(client, URL)
                driver.call(client, "http://denied/")
        assert [IDS, {}] * 2 == recorder.relayed

    def test_patched_twice(self, driver: Driver, recorder: Recorder) -> None:
        """Patching twice is patching once, and one `unpatch` takes it back."""
        meshtrace.patch(driver.name)
        meshtrace.patch(driver.name)
        client = driver.client()
        with meshtrace.use(IDS):
            driver.call(client, URL)
            meshtrace.unpatch(driver.name)
            driver.call(client, URL)
        assert [IDS, {}] == recorder.relayed

    def test_unpatched(self, driver: Driver, recorder: Recorder) -> None:
        """`unpatch` leaves alone what was wrapped, and all can be patched again."""
        meshtrace.patch(driver.name)
        wrapped, plain = driver.wrapped(), driver.client()
        with meshtrace.use(IDS):
            meshtrace.unpatch(driver.name)
            driver.call(wrapped, URL)
            driver.call(plain, URL)
            driver.call(driver.client(), URL)
            meshtrace.patch(driver.name)
            driver.call(driver.client(), URL)
        assert [IDS, {}, {}, IDS] == recorder.relayed

    def test_a_client_made_before_the_patch(self, driver: Driver, recorder: Recorder) -> None:
        """A client that was there before `patch` relays, too."""
        client = driver.client()
        meshtrace.patch(driver.name)
        with meshtrace.use(IDS):
            driver.call(client, URL)
        assert [IDS] == recorder.relayed

    # Nothing is changed

    @pytest.mark.parametrize("way", ["wrapped", "patched"])
    def test_disabled(
        self, way: str, driver: Driver, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``MESHTRACE_DISABLED`` beats code: the client is as the library made it."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        if way == "patched":
            meshtrace.patch(driver.name)
        client = driver.wrapped() if way == "wrapped" else driver.client()
        assert type(driver.client()) is type(client)
        with meshtrace.use(IDS):
            driver.call(client, URL)
        monkeypatch.delenv("MESHTRACE_DISABLED")
        with meshtrace.use(IDS):
            driver.call(client, URL)
        assert [{}, {}] == recorder.relayed

    @pytest.mark.parametrize("reason", ["refused", "lost"])
    def test_the_librarys_own_errors(
        self, reason: str, driver: Driver, make: Make, recorder: Recorder
    ) -> None:
        """A call that fails raises what it would raise without meshtrace."""

        def fail(client: object) -> tuple[type[BaseException], str, object]:
            recorder.unreachable = 9 if reason == "refused" else 0
            recorder.answers["/reviews/0"] = [Answer(lost=True)] * 9
            with pytest.raises(Exception) as raised, meshtrace.use(IDS):  # noqa: PT011 - compared below
                driver.call(client, URL)
            error = raised.value
            said = re.sub(r" at 0x\w+", "", str(error))  # urllib3 names objects
            return type(error), said, type(error.__cause__)

        expected = fail(driver.client())
        assert expected == fail(make())

    def test_a_fault_of_ours(
        self,
        driver: Driver,
        make: Make,
        recorder: Recorder,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A bug of ours costs the fields, and one warning; the call goes on."""

        def bug(*_: object) -> None:
            raise ZeroDivisionError

        client = make()
        monkeypatch.setattr(OutboundRules, "decide", bug)
        with meshtrace.use(IDS):
            assert 200 == driver.call(client, URL, headers={"x-own": "1"})
            assert 200 == driver.call(client, URL, headers={"x-own": "1"})
        assert [{"x-own": "1"}] * 2 == recorder.relayed
        assert 1 == sum("a fault while" in record.getMessage() for record in caplog.records)

    def test_settings_given_later(self, driver: Driver, make: Make, recorder: Recorder) -> None:
        """A client follows what `configure` says later."""
        client = make()
        with meshtrace.use(IDS):
            meshtrace.configure(deny_hosts="reviews")
            driver.call(client, URL)
            meshtrace.configure()
            driver.call(client, URL)
        assert [{}, IDS] == recorder.relayed


def _another(number: int) -> dict[str, str]:
    """Give what the request of this number brought: all of it tells the number."""
    trace, span = f"{number + 1:032x}", f"{number + 1:016x}"
    return {
        "x-request-id": f"{number:08x}-91f2-9b6d-a7a3-5b1e3f0c2d4e",
        "traceparent": f"00-{trace}-{span}-01",
        "x-b3-traceid": trace,
        "x-b3-spanid": span,
        "x-b3-sampled": "1",
    }

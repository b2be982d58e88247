"""explain() tells what came, how it was judged, what went where, and what is switched on."""

import asyncio
import json
import pickle
from threading import Thread
from typing import Any

import pytest
import requests

import meshtrace
from meshtrace.ambient import CURRENT
from meshtrace.explanation import Came
from meshtrace.relay.judge import code_of
from meshtrace.relay.record import OUTSIDE
from meshtrace.settings import Settings
from tests.outbound.recording import ALL, B3, IDS, USER_DATA, W3C

PRIVATE = "jason-s-secret"
OTHER_TRACE = "00-" + "9" * 32 + "-a2fb4a1d1a96d312-01"


def _came(fields: dict[str, str]) -> dict[str, Came]:
    """Let a request come in, and give what is told of each of its fields."""
    with meshtrace.use(fields):
        return {one.name: one for one in meshtrace.explain().came}


def test_ids_are_shown_as_they_came() -> None:
    """An id that is relayed is shown with its value, and is called an id."""
    assert {name: ("id", value, "") for name, value in IDS.items()} == {
        name: (one.kind, one.value, one.code) for name, one in _came(IDS).items()
    }


@pytest.mark.parametrize("explain", [True, False], ids=["calls kept", "calls not kept"])
def test_no_value_but_an_ids_is_ever_shown(*, explain: bool) -> None:
    """Vendor data, user data, authorization and what is malformed are told by name and length."""
    meshtrace.configure(forward=["end-user", "baggage"], explain=explain)
    meshtrace.wrap(requests.Session(), authorization_hosts="orders")
    fields = {
        "traceparent": W3C["traceparent"],
        "tracestate": f"mesh={PRIVATE}",
        "sw8": f"1-{PRIVATE}",
        "end-user": PRIVATE,
        "baggage": f"user={PRIVATE}",
        "authorization": f"Bearer {PRIVATE}",
        "b3": f"{PRIVATE}-malformed",
    }
    with meshtrace.use(fields):
        meshtrace.set_header("x-plan", PRIVATE)
        meshtrace.headers("http://reviews:9080/")
        explanation = meshtrace.explain()
    everything = f"{explanation}{explanation!r}{json.dumps(explanation.as_dict())}"
    assert PRIVATE not in everything
    assert {
        "traceparent": "id",
        "tracestate": "vendor data",
        "sw8": "vendor data",
        "end-user": "user data",
        "baggage": "user data",
        "authorization": "authorization",
        "b3": "",
    } == {one.name: one.kind for one in explanation.came}
    assert ("x-plan",) == explanation.set_here
    assert len(PRIVATE) == {one.name: one.length for one in explanation.came}["end-user"]


def test_user_data_that_was_taken_away_is_still_told() -> None:
    """A field that the application took away came, and is called user data."""
    meshtrace.configure(forward="end-user")
    with meshtrace.use({"end-user": "jason"}):
        meshtrace.set_header("end-user", "")
        explanation = meshtrace.explain()
    assert [("end-user", "user data")] == [(one.name, one.kind) for one in explanation.came]
    assert ("end-user",) == explanation.set_here


@pytest.mark.parametrize(
    ("fields", "options", "name", "code"),
    [
        pytest.param({"traceparent": "?"}, {}, "traceparent", "malformed", id="malformed"),
        pytest.param({"x-request-id": "a" * 129}, {}, "x-request-id", "too-large", id="too long"),
        pytest.param(
            {"traceparent": f"01{W3C['traceparent'][2:]}-more"},
            {},
            "traceparent",
            "too-large",
            id="longer than Envoy takes",
        ),
        pytest.param(
            {**B3, "b3": f"{B3['x-b3-traceid']}-{B3['x-b3-parentspanid']}-1"},
            {},
            "b3",
            "stale",
            id="a stale b3",
        ),
        pytest.param({"baggage": "a=1"}, {}, "baggage", "not-forwarded", id="not asked for"),
        pytest.param(
            {"baggage": "a=1"}, {"forward": "baggage.b"}, "baggage", "not-forwarded", id="no member"
        ),
        pytest.param({"sw8": "1-x"}, {"incoming": "ids"}, "sw8", "not-trusted", id="at the edge"),
        pytest.param(W3C, {"incoming": "ids"}, "tracestate", "not-trusted", id="as above, read"),
        pytest.param({"b3": "0"}, {"incoming": "ignore"}, "b3", "not-trusted", id="ignored"),
        pytest.param(
            {"traceparent": W3C["traceparent"], "tracestate": ""},
            {},
            "tracestate",
            "not-forwarded",
            id="empty",
        ),
    ],
)
def test_what_is_not_relayed_has_a_reason(
    fields: dict[str, str], options: dict[str, Any], name: str, code: str
) -> None:
    """Each field that is not relayed has its code, some words, and no value."""
    meshtrace.configure(explain=True, **options)
    found = _came(fields)[name]
    assert (code, None) == (found.code, found.value)
    assert found.reason
    assert f"not relayed, {code}" in str(found)


def test_the_length_of_a_malformed_field_is_kept_if_asked_for() -> None:
    """With the setting on, a malformed field is told with the length of all its lines."""
    bad = [("b3", "x" * 20), ("b3", "y" * 22)]
    with meshtrace.use(bad):
        unknown = meshtrace.explain().came[0].length
    meshtrace.configure(explain=True)
    with meshtrace.use(bad):
        known = meshtrace.explain().came[0]
    assert (None, 42) == (unknown, known.length)
    assert "b3 (42 characters): not relayed, malformed: came in lines that differ" == str(known)


def test_words_that_nobody_knows_mean_malformed() -> None:
    """The formats give reasons of their own: all of them mean that a value is not well formed."""
    assert "malformed" == code_of("not hex")


@pytest.mark.parametrize(
    ("fields", "options", "trace_id", "why"),
    [
        pytest.param({}, {}, None, "no format names a trace", id="nothing"),
        pytest.param(B3, {}, B3["x-b3-traceid"], "B3 alone names a trace", id="B3"),
        pytest.param(W3C, {}, B3["x-b3-traceid"], "W3C alone names a trace", id="W3C"),
        pytest.param({**B3, **W3C}, {}, B3["x-b3-traceid"], "B3 and W3C agree", id="both"),
        pytest.param(
            {**B3, "traceparent": OTHER_TRACE},
            {},
            B3["x-b3-traceid"],
            "B3 and W3C disagree: B3 is Envoy's, because nothing shows that W3C is",
            id="Istio's default",
        ),
        pytest.param(
            {**B3, "traceparent": OTHER_TRACE, "tracestate": ""},
            {},
            "9" * 32,
            "B3 and W3C disagree: W3C is Envoy's, because tracestate came empty",
            id="Envoy's OpenTelemetry tracer",
        ),
        pytest.param(
            {
                **B3,
                "traceparent": OTHER_TRACE,
                "x-datadog-trace-id": str(int("9" * 16, 16)),
                "x-datadog-parent-id": "1",
            },
            {},
            "9" * 32,
            "B3 and W3C disagree: W3C is Envoy's, because x-datadog-trace-id agrees with it",
            id="Envoy's Datadog tracer",
        ),
        pytest.param(
            {**B3, "traceparent": OTHER_TRACE},
            {"parent": "w3c"},
            "9" * 32,
            "B3 and W3C disagree: the setting parent=w3c decides",
            id="the setting",
        ),
    ],
)
def test_the_remote_parent_is_told_with_the_reason(
    fields: dict[str, str], options: dict[str, Any], trace_id: str | None, why: str
) -> None:
    """The remote parent is that of current(), and it is said why."""
    meshtrace.configure(**options)
    with meshtrace.use(fields):
        explanation = meshtrace.explain()
        assert meshtrace.current() == explanation.parent
    assert (trace_id, why) == (explanation.parent.trace_id, explanation.why_parent)


def test_the_whole_text() -> None:
    """The text is made to be read from top to bottom."""
    OUTSIDE.calls.clear()
    meshtrace.configure(explain=True, forward="end-user", deny_hosts="bad.example")
    meshtrace.patch("requests")
    with meshtrace.use({"b3": "0", "end-user": "jason", "traceparent": "?"}):
        meshtrace.set_header("x-plan", "gold")
        meshtrace.headers("http://reviews:9080/reviews/0")
        meshtrace.headers("https://api.example.com/")
        text = str(meshtrace.explain())
    assert (
        """\
what came
  b3 [id]: 0
  end-user [user data] (5 characters)
  traceparent (1 characters): not relayed, malformed: not traceparent's four fields, or a zero id
  set by the application: x-plan
remote parent
  trace -, span -, deny: no format names a trace
calls made for it
  headers() to reviews:9080: sent b3, end-user, x-plan
  headers() to api.example.com: sent b3; not sent: end-user, x-plan (not-mesh-host)
clients
  patched: requests
  ready, wrapped ones too: requests, headers()
settings
  deny_hosts = bad.example   [configure()]
  explain = True   [configure()]
  forward = end-user   [configure()]
  all others are at their defaults"""
        == text
    )


def test_calls_that_were_lost_are_told() -> None:
    """A call that a thread makes for no request is told in every request, with what to write."""
    meshtrace.configure(explain=True)
    OUTSIDE.calls.clear()
    with meshtrace.use({"b3": "0"}):
        assert "calls lost" not in str(meshtrace.explain())
        for number in range(7):
            thread = Thread(target=meshtrace.headers, args=(f"http://ratings:{9080 + number}/",))
            thread.start()
            thread.join()
        explanation = meshtrace.explain()
    lines = str(explanation).splitlines()
    at = lines.index(
        "calls lost: made for no request, in the whole process, and so without headers"
    )
    assert [f"  headers() to ratings:{number}" for number in range(9082, 9087)] == lines[
        at + 1 : at + 6
    ]
    assert "meshtrace.carry()" in lines[at + 6]
    assert ["  none", 7, 7] == [
        lines[at - 1],
        len(explanation.lost),
        len(explanation.as_dict()["lost"]),
    ]
    assert "  headers() to ratings:9086: sent nothing; lost: no-context" in str(meshtrace.explain())


def test_how_to_have_calls_is_told_where_they_are_not_kept() -> None:
    """With the setting off, the text says how to switch it on."""
    with meshtrace.use({}):
        text = str(meshtrace.explain())
    assert (
        "  not recorded: set MESHTRACE_EXPLAIN=1, or say meshtrace.configure(explain=True)" in text
    )
    assert "  no trace headers" in text


def test_outside_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside any request there is no context, and the text says so."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    explanation = meshtrace.explain()
    assert (False, (), False) == (explanation.in_request, explanation.came, explanation.ended)
    first, second, *_ = str(explanation).splitlines()
    assert "meshtrace is off: MESHTRACE_DISABLED is set" == first
    assert "this code runs for no request (no-context): its calls get no headers" == second


def test_a_request_that_has_ended_and_one_that_is_kept() -> None:
    """Code that runs on is told that the request has ended; who was handed it has it whole."""
    meshtrace.configure(forward="end-user", explain=True)
    with meshtrace.use(ALL):
        request = CURRENT.get()
        assert request is not None
        with meshtrace.use({"meshtrace": request}):
            meshtrace.set_header("x-plan", "gold")
            meshtrace.headers("http://reviews:9080/")
            request.ended = True
            kept = meshtrace.explain()
        ended = meshtrace.explain()
    assert (False, True) == (kept.ended, ended.ended)
    assert kept.calls == ended.calls
    assert kept.set_here == ended.set_here
    assert "what came (the request has ended)" == str(ended).splitlines()[0]
    lengths = {one.name: one.length for one in kept.came}
    assert len(USER_DATA["end-user"]) == lengths["end-user"]


def test_calls_that_are_not_kept_any_more_are_counted() -> None:
    """Of many calls, the text names the last ones, and says how many there were before."""
    meshtrace.configure(explain=True)
    with meshtrace.use({"b3": "0"}):
        for _ in range(103):
            meshtrace.headers("http://reviews:9080/")
        assert "  3 earlier" in str(meshtrace.explain()).splitlines()


def test_a_call_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the setting on, each call is a line at level DEBUG."""
    caplog.set_level("DEBUG", "meshtrace")
    meshtrace.configure(explain=True)
    with meshtrace.use({"b3": "0"}):
        meshtrace.headers("http://reviews:9080/")
    assert ["meshtrace: headers() to reviews:9080: sent b3"] == caplog.messages


def test_settings_are_told_with_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting says where it comes from; deny lists come from several places."""
    monkeypatch.setenv("MESHTRACE_DENY_HOSTS", "one.example")
    monkeypatch.setenv("MESHTRACE_SPANS", "1")
    monkeypatch.setenv("MESHTRACE_FORWARD", "x-lost")
    meshtrace.configure(deny_hosts="two.example", forward="end-user")
    told = {name: (value, where) for name, value, where in meshtrace.explain().settings}
    assert {
        "deny_hosts": ("two.example, one.example", "configure() and MESHTRACE_DENY_HOSTS"),
        "spans": ("True", "MESHTRACE_SPANS"),
        "own_spans": ("join", "implied"),
        "forward": ("end-user", "configure()"),
        "incoming": ("trust", "default"),
    } == {name: told[name] for name in ("deny_hosts", "spans", "own_spans", "forward", "incoming")}
    assert set(Settings.__annotations__) - {"given"} == told.keys()


def _through_asgi(headers: dict[str, str], **options: Any) -> meshtrace.Explanation:  # noqa: ANN401 - options of each kind
    explained: list[meshtrace.Explanation] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        explained.append(meshtrace.explain())

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": raw}

    async def serve() -> None:
        await meshtrace.MeshTrace(app, **options)(scope, None, None)  # type: ignore[arg-type]  # not used

    asyncio.run(serve())
    return explained[0]


def _through_wsgi(headers: dict[str, str], **options: Any) -> meshtrace.Explanation:  # noqa: ANN401 - as above
    explained: list[meshtrace.Explanation] = []

    def app(_environ: object, _start_response: object) -> list[bytes]:
        explained.append(meshtrace.explain())
        return []

    environ: dict[str, object] = {
        "HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()
    }
    environ["wsgi.version"] = (1, 0)
    [*meshtrace.MeshTraceWSGI(app, **options)(environ, lambda *_: lambda _: None)]
    return explained[0]


@pytest.mark.parametrize("through", [_through_asgi, _through_wsgi], ids=["ASGI", "WSGI"])
@pytest.mark.parametrize("explain", [True, False], ids=["explained", "not explained"])
def test_a_middlewares_own_settings_count(through: Any, *, explain: bool) -> None:  # noqa: ANN401 - a function
    """What a middleware was given is told as code's; what it did not take, where calls are kept."""
    headers = {"b3": "0", "sw8": "1-x", "accept": "*/*"}
    explanation = through(headers, incoming="ids", explain=explain)
    left = [("sw8", "not-trusted")] if explain else []
    assert [("b3", ""), *left] == [(one.name, one.code) for one in explanation.came]
    assert ("incoming", "ids", "code") in explanation.settings
    assert explain is explanation.recorded


@pytest.mark.parametrize("through", [_through_asgi, _through_wsgi], ids=["ASGI", "WSGI"])
def test_a_request_without_any_of_it(through: Any) -> None:  # noqa: ANN401 - a function
    """A request that brought nothing is explained as one."""
    explanation = through({"accept": "*/*"}, explain=True)
    assert (True, ()) == (explanation.in_request, explanation.came)


def test_it_is_a_value() -> None:
    """An explanation cannot be changed, can be compared and pickled, and is JSON as a dict."""
    with meshtrace.use(ALL):
        explanation = meshtrace.explain()
        assert meshtrace.explain() == explanation
    assert explanation == pickle.loads(pickle.dumps(explanation))  # noqa: S301 - our own
    assert explanation.as_dict() == json.loads(json.dumps(explanation.as_dict()))
    with pytest.raises(AttributeError, match="immutable"):
        explanation.recorded = True

"""OpenTelemetry's instrumentations with every format of the mesh."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach, get_current, set_value
from opentelemetry.instrumentation.asgi import ASGIGetter, ASGISetter
from opentelemetry.instrumentation.wsgi import WSGIGetter
from opentelemetry.propagate import extract, get_global_textmap, inject, set_global_textmap
from opentelemetry.propagators.textmap import DefaultGetter, DefaultSetter, Getter, Setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan

import meshtrace
from meshtrace import ConfigurationError, MeshPropagator
from meshtrace.relay.rules import TRACE_NAMES
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64, b3_singles, traceparents
from tests.otel.conftest import Exported
from tests.otel.test_join import OWN, own_span, reported

ROOT = Path(__file__).parents[2]
REQUEST_ID = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}
B3 = {
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}
W3C = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1 ,9b=2,a=3"}
CAME: dict[str, dict[str, str]] = {
    "all": {**REQUEST_ID, **W3C, **B3, "sw8": "1-a", "x-datadog-trace-id": "1"},
    "W3C": W3C,
    "W3C, not sampled, other flags": {"traceparent": f"00-{TRACE}-{SPAN}-fe"},
    "W3C in upper case": {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
    "x-b3-*": B3,
    "x-b3-*, undecided": {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
    "b3, debug": {"b3": f"{TRACE}-{SPAN}-d-{PARENT}"},
    "b3, 64 bits": {"b3": f"{TRACE_64}-{SPAN}-1"},
    "b3, deny alone": {"b3": "0"},
    "x-b3-sampled alone": {"x-b3-sampled": "0"},
    "a request id alone": REQUEST_ID,
    "nothing": {},
}


class _Lines(Getter[list[tuple[str, bytes]]], Setter[list[tuple[str, bytes]]]):
    """Headers as Kafka's clients have them."""

    def get(self, carrier: list[tuple[str, bytes]], key: str) -> list[str] | None:
        return [value.decode() for name, value in carrier if name == key] or None

    def keys(self, carrier: list[tuple[str, bytes]]) -> list[str]:
        return [name for name, _ in carrier]

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


class _Listless(DefaultGetter):
    """A getter that cannot list what there is, such as Celery's."""

    def keys(self, carrier: Mapping[str, Any]) -> list[str]:  # noqa: ARG002 - the API's own
        return []


def through(propagator: MeshPropagator, came: dict[str, str]) -> dict[str, str]:
    """Extract, and inject with what was extracted."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier, propagator.extract(came))
    return carrier


def spelled(context: Context) -> tuple[str, str, int]:
    """Give the ids and flags of a context's span."""
    span = trace.get_current_span(context).get_span_context()
    return f"{span.trace_id:032x}", f"{span.span_id:016x}", span.trace_flags


class TestThrough:
    """What came goes out, where there is no span of the application's own."""

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    def test_as_it_came(self, came: dict[str, str]) -> None:
        """It goes out as it came."""
        assert came == through(MeshPropagator(), came)

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    @pytest.mark.parametrize("spell", [str.upper, str.title], ids=["upper case", "title case"])
    def test_names_in_any_case(self, came: dict[str, str], spell: Any) -> None:  # noqa: ANN401 - a method of str
        """A plain dict may spell the names as it likes."""
        sent = through(MeshPropagator(), {spell(name): value for name, value in came.items()})
        assert came == sent

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    def test_a_wsgi_environ(self, came: dict[str, str]) -> None:
        """OpenTelemetry's getter for WSGI works."""
        propagator = MeshPropagator()
        environ = {f"HTTP_{name.upper().replace('-', '_')}": came[name] for name in came}
        carrier: dict[str, str] = {}
        propagator.inject(carrier, propagator.extract({**environ, "X": 1}, getter=WSGIGetter()))
        assert came == carrier

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    def test_an_asgi_scope(self, came: dict[str, str]) -> None:
        """OpenTelemetry's getter and setter for ASGI work."""
        propagator = MeshPropagator()
        scope = {"headers": [(name.encode(), came[name].encode()) for name in came]}
        answer: dict[str, Any] = {}
        context = propagator.extract(scope, getter=ASGIGetter())
        propagator.inject(answer, context, setter=ASGISetter())
        assert came == {name.decode(): value.decode() for name, value in answer.get("headers", [])}

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    def test_a_list(self, came: dict[str, str]) -> None:
        """A list of names and values works."""
        propagator = MeshPropagator()
        carrier: list[tuple[str, bytes]] = []
        lines = [(name, value.encode()) for name, value in came.items()]
        propagator.inject(carrier, propagator.extract(lines, getter=_Lines()), setter=_Lines())
        assert sorted(lines) == sorted(carrier)

    @pytest.mark.parametrize("came", CAME.values(), ids=CAME.keys())
    def test_a_getter_that_cannot_list(self, came: dict[str, str]) -> None:
        """Where names cannot be listed, those in lower case are found."""
        propagator = MeshPropagator()
        carrier: dict[str, str] = {}
        propagator.inject(carrier, propagator.extract(came, getter=_Listless()))
        assert came == carrier

    def test_lines_that_repeat(self) -> None:
        """Lines of tracestate are one list; lines of traceparent that differ are malformed."""
        tracestate: dict[str, Any] = {**W3C, "tracestate": ["a=1", "b=2"]}
        differing: dict[str, Any] = {**B3, "traceparent": [W3C["traceparent"], f"00-{TRACE}"]}
        propagator = MeshPropagator()
        assert {**W3C, "tracestate": "a=1,b=2"} == through(propagator, tracestate)
        assert B3 == through(propagator, differing)

    def test_user_data(self) -> None:
        """User data and baggage stay behind: nobody knows where the call goes."""
        meshtrace.configure(forward=["end-user", "baggage"])
        came = {**B3, "end-user": "jason", "baggage": "a=1", "authorization": "Bearer x"}
        assert B3 == through(MeshPropagator(), came)

    def test_settings(self) -> None:
        """Its own settings say what is taken."""
        assert {"traceparent": W3C["traceparent"]} == through(MeshPropagator(incoming="ids"), W3C)
        assert {} == through(MeshPropagator(incoming="ignore"), {**W3C, **B3})
        with pytest.raises(ConfigurationError):
            MeshPropagator(incoming="all")  # type: ignore[arg-type]  # that is what is tried

    @given(st.fixed_dictionaries({}, optional={"traceparent": traceparents, "b3": b3_singles}))
    def test_whatever_came(self, came: dict[str, str]) -> None:
        """Whatever of it is good goes out byte for byte."""
        assert came == through(MeshPropagator(), came)

    @given(st.dictionaries(st.sampled_from(sorted(TRACE_NAMES)), st.text(max_size=60)))
    def test_anything(self, came: dict[str, str]) -> None:
        """Nothing that comes in makes it raise, or goes out changed."""
        sent = through(MeshPropagator(), came)
        assert {} == {name: sent[name] for name in sent if sent[name] not in came[name]}


class TestTheParent:
    """What `extract` gives OpenTelemetry."""

    @pytest.mark.parametrize(
        ("came", "parent"),
        [
            pytest.param(W3C, (TRACE, SPAN, 1), id="W3C"),
            pytest.param(B3, (TRACE, SPAN, 1), id="x-b3-*"),
            pytest.param({"b3": f"{TRACE}-{SPAN}-d"}, (TRACE, SPAN, 1), id="debug is sampled"),
            pytest.param({"b3": f"{TRACE}-{SPAN}"}, (TRACE, SPAN, 0), id="defer is not"),
            pytest.param(
                {"traceparent": f"00-{TRACE}-{SPAN}-ff"}, (TRACE, SPAN, 3), id="the known flags"
            ),
        ],
    )
    def test_its_ids(self, came: dict[str, str], parent: tuple[str, str, int]) -> None:
        """The remote parent is current in the context."""
        context = MeshPropagator().extract(came)
        assert parent == spelled(context)
        assert trace.get_current_span(context).get_span_context().is_remote

    def test_the_context_given(self) -> None:
        """What is in the context stays, the span, too, where no parent came."""
        given_one = set_value("key", "value", trace.set_span_in_context(reported(own_span())))
        propagator = MeshPropagator()
        with_parent, without = propagator.extract(W3C, given_one), propagator.extract({}, given_one)
        assert ["value", "value"] == [with_parent["key"], without["key"]]
        assert [SPAN, OWN] == [spelled(with_parent)[1], spelled(without)[1]]

    def test_no_context_given(self) -> None:
        """Without one, it begins with an empty context, as OpenTelemetry's own do."""
        token = attach(baggage.set_baggage("a", "1"))
        context = MeshPropagator().extract(W3C)
        detach(token)
        assert {} == baggage.get_all(context)


class TestASpanOfOnesOwn:
    """A span of the application's own goes out in the formats that came."""

    def _sent(self, exported: Exported, came: dict[str, str]) -> tuple[str, dict[str, str]]:
        propagator = MeshPropagator()
        carrier: dict[str, str] = {}
        span = exported.tracer.start_span("own", propagator.extract(came))
        context = trace.set_span_in_context(span, propagator.extract(came))
        propagator.inject(carrier, context)
        return f"{span.get_span_context().span_id:016x}", carrier

    def test_in_all_formats(self, exported: Exported) -> None:
        """Each format that is of its trace names it; the others are as they came."""
        own, sent = self._sent(exported, CAME["all"])
        names = {"traceparent": f"00-{TRACE}-{own}-01", "x-b3-spanid": own}
        relayed = {name: CAME["all"][name] for name in CAME["all"] if name != "x-b3-parentspanid"}
        assert {**relayed, **names} == sent

    def test_64_bits(self, exported: Exported) -> None:
        """An id of 16 digits has 16 on the wire."""
        own, sent = self._sent(exported, CAME["b3, 64 bits"])
        assert {"b3": f"{TRACE_64}-{own}-1"} == sent

    def test_where_nothing_came(self, exported: Exported) -> None:
        """A root goes out in the formats of the setting."""
        own, sent = self._sent(exported, {})
        trace_id = sent["x-b3-traceid"]
        assert {
            "traceparent": f"00-{trace_id}-{own}",
            "x-b3-traceid": trace_id,
            "x-b3-spanid": own,
            "x-b3-sampled": "1",
        } == {**sent, "traceparent": sent["traceparent"][:52]}

    @pytest.mark.parametrize(
        "came",
        [CAME["x-b3-*, undecided"], CAME["b3, deny alone"], CAME["W3C, not sampled, other flags"]],
        ids=["undecided", "denied", "not sampled"],
    )
    def test_what_is_not_sampled(self, exported: Exported, came: dict[str, str]) -> None:
        """The SDK does not sample these, or the mesh has decided: they go out as they came."""
        assert came == self._sent(exported, came)[1]

    def test_a_sampler_that_drops(self) -> None:
        """An application's own sampler does not change what goes out."""
        tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("shop")
        propagator = MeshPropagator()
        context = propagator.extract(CAME["all"])
        carrier: dict[str, str] = {}
        span = tracer.start_span("own", context)
        propagator.inject(carrier, trace.set_span_in_context(span, context))
        assert CAME["all"] == carrier


class TestWhereItLooks:
    """The context given counts, then the current one, then the request being served."""

    def test_the_current_context(self) -> None:
        """Without a context, the current one is looked at."""
        propagator = MeshPropagator()
        token = attach(propagator.extract(B3))
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        detach(token)
        assert B3 == carrier

    def test_the_request(self) -> None:
        """Where it has extracted nothing, what a middleware took in goes out."""
        carrier: dict[str, str] = {}
        with meshtrace.use(B3):
            MeshPropagator().inject(carrier)
        assert B3 == carrier

    def test_the_context_given_counts(self) -> None:
        """What was extracted into the context beats the request."""
        propagator = MeshPropagator()
        carrier: dict[str, str] = {}
        with meshtrace.use(B3):
            propagator.inject(carrier, propagator.extract({"b3": "0"}))
        assert {"b3": "0"} == carrier

    def test_nowhere(self) -> None:
        """A remote span that it has not extracted is not sent on."""
        carrier: dict[str, str] = {}
        span = NonRecordingSpan(own_span(remote=True))
        MeshPropagator().inject(carrier, trace.set_span_in_context(span))
        assert {} == carrier


class _Failing(DefaultGetter, DefaultSetter):
    """A getter and a setter that do not work."""

    keys = set = property()  # whoever asks for them fails


class TestNeverRaising:
    """A fault is said, and the request and the call go on."""

    @pytest.mark.parametrize("carrier", [None, 5, [1]], ids=["None", "a number", "a list"])
    def test_strange_carriers(self, carrier: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ANN401 - anything
        """A carrier that is none is a fault, said once."""
        propagator = MeshPropagator()
        contexts = [propagator.extract(carrier) for _ in range(2)]
        with meshtrace.use(B3):
            propagator.inject(carrier)
        assert [False] * 2 == [
            trace.get_current_span(one).get_span_context().is_valid for one in contexts
        ]
        faults = [record for record in caplog.records if "a fault while" in record.getMessage()]
        assert [logging.WARNING] * 2 == [record.levelno for record in faults]

    def test_getters_and_setters_that_fail(self) -> None:
        """So are a getter and a setter that fail."""
        propagator = MeshPropagator()
        failing: Any = _Failing()
        carrier: dict[str, str] = {}
        context = propagator.extract(B3, get_current(), failing)
        with meshtrace.use(B3):
            propagator.inject(carrier, context, failing)
        assert {} == carrier


def test_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``MESHTRACE_DISABLED`` it does nothing, and implies nothing."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    propagator = MeshPropagator()
    monkeypatch.delenv("MESHTRACE_DISABLED")
    context = Context({"key": "value"})
    carrier: dict[str, str] = {}
    with meshtrace.use(B3), trace.use_span(reported(own_span())):
        propagator.inject(carrier)
        relayed = meshtrace.headers("http://reviews:9080/")
    assert [context, {}, B3] == [propagator.extract(B3, context), carrier, relayed]


def test_its_fields() -> None:
    """It names all fields that it may write, and follows the settings."""
    propagator = MeshPropagator()
    assert set(TRACE_NAMES) == propagator.fields
    meshtrace.configure(trace_fields="b3,x-request-id,sw8", incoming="ids", forward="end-user")
    assert {"b3", "x-request-id"} == propagator.fields


def test_as_the_global_one() -> None:
    """It works as the global propagator."""
    before = get_global_textmap()
    set_global_textmap(MeshPropagator())
    carrier: dict[str, str] = {}
    try:
        inject(carrier, extract(CAME["all"]))
    finally:
        set_global_textmap(before)
    assert CAME["all"] == carrier


PROPAGATED = """
import json
from opentelemetry.propagate import extract, inject
carrier = {}
inject(carrier, extract({"b3": "0", "X-Request-Id": "order-4711"}))
import meshtrace
from meshtrace.configuration import resolve
print(json.dumps([carrier, resolve(meshtrace.Settings()).own_spans]))
"""


def test_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found as ``OTEL_PROPAGATORS=meshtrace``, and implies that spans join."""
    monkeypatch.setenv("OTEL_PROPAGATORS", "meshtrace")
    done = subprocess.run(
        [sys.executable, "-c", PROPAGATED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    sent = {"b3": "0", "x-request-id": "order-4711"}
    assert [sent, "join"] == json.loads(done.stdout)

"""Spans of the application's own between those of the mesh."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

import meshtrace
from meshtrace.departure import Departures
from meshtrace.otel.join import JoiningRules
from meshtrace.otel.rules import RelayingRules, outbound_rules
from meshtrace.relay.rules import InboundRules
from meshtrace.relay.snapshot import Pairs, Snapshot
from meshtrace.settings import Settings
from tests.formats.strategies import PARENT, SPAN, TRACE, TRACE_64
from tests.otel.conftest import Exported

REVIEWS = "http://reviews:9080/"
OUTSIDE = "https://api.example.com/"
OWN = "00f067aa0ba902b7"
OTHER = TRACE[::-1]
REQUEST_ID = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}
B3 = {
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-parentspanid": PARENT,
    "x-b3-sampled": "1",
}
LOW = str(int(TRACE[16:], 16))
DATADOG = {
    "x-datadog-trace-id": LOW,
    "x-datadog-parent-id": str(int(SPAN, 16)),
    "x-datadog-sampling-priority": "1",
}


def own_span(trace_id: str = TRACE, flags: int = 1, *, remote: bool = False) -> SpanContext:
    """Give the context of a span of the application's own."""
    return SpanContext(int(trace_id, 16), int(OWN, 16), remote, TraceFlags(flags))


def reported(context: SpanContext) -> trace.Span:
    """Give a span of an SDK that nobody knows."""
    span: trace.Span = Mock(trace.Span, **{"get_span_context.return_value": context})
    return span


@contextmanager
def current(span: trace.Span) -> Iterator[None]:
    """Make a span current."""
    with trace.use_span(span):
        yield


def joined(
    came: dict[str, str], context: SpanContext | None = None, url: str | None = REVIEWS
) -> dict[str, str]:
    """Give what goes out where a span of the application's own is current, by any client."""
    meshtrace.configure(own_spans="join")
    with meshtrace.use(came), current(reported(context or own_span())):
        fields = meshtrace.headers(url)
        assert fields == dict(Departures("requests", Settings()).decide({}, url).fields)
        return fields


class TestTheFormatsThatCame:
    """Each is written anew, if it is of the span's trace."""

    @pytest.mark.parametrize(
        ("came", "goes"),
        [
            pytest.param(
                {"traceparent": f"00-{TRACE}-{SPAN}-01"},
                {"traceparent": f"00-{TRACE}-{OWN}-01"},
                id="traceparent",
            ),
            pytest.param(
                {"traceparent": f"00-{TRACE}-{SPAN}-03"},
                {"traceparent": f"00-{TRACE}-{OWN}-03"},
                id="traceparent: the random flag is kept",
            ),
            pytest.param(
                {"traceparent": f"01-{TRACE.upper()}-{SPAN}-fd"},
                {"traceparent": f"00-{TRACE}-{OWN}-01"},
                id="traceparent: other flags, other versions and upper case are not",
            ),
            pytest.param(
                {"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-brings"},
                {"traceparent": f"00-{TRACE}-{OWN}-01"},
                id="traceparent: a longer one, which is not relayed, is a parent",
            ),
            pytest.param(
                {"b3": f"{TRACE}-{SPAN}-1-{PARENT}"},
                {"b3": f"{TRACE}-{OWN}-1"},
                id="b3: the parent is stale",
            ),
            pytest.param(
                {"b3": f"{TRACE}-{SPAN}"}, {"b3": f"{TRACE}-{OWN}-1"}, id="b3: defer is decided"
            ),
            pytest.param(
                {"b3": f"{TRACE}-{SPAN}-d"}, {"b3": f"{TRACE}-{OWN}-d"}, id="b3: debug stays"
            ),
            pytest.param(
                B3,
                {"x-b3-traceid": TRACE, "x-b3-spanid": OWN, "x-b3-sampled": "1"},
                id="x-b3-*: the parent is stale",
            ),
            pytest.param(
                {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN},
                {"x-b3-traceid": TRACE, "x-b3-spanid": OWN, "x-b3-sampled": "1"},
                id="x-b3-*: defer is decided",
            ),
            pytest.param(
                {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"},
                {"x-b3-traceid": TRACE, "x-b3-spanid": OWN, "x-b3-flags": "1"},
                id="x-b3-*: debug stays",
            ),
            pytest.param(
                {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "true"},
                {"x-b3-traceid": TRACE, "x-b3-spanid": OWN, "x-b3-sampled": "true"},
                id="x-b3-*: a decision is spelled as it was",
            ),
            pytest.param({"b3": "1"}, {"b3": f"{TRACE}-{OWN}-1"}, id="b3: a decision alone"),
            pytest.param({"b3": "d"}, {"b3": f"{TRACE}-{OWN}-d"}, id="b3: debug alone"),
            pytest.param(
                {"x-b3-sampled": "1"},
                {"x-b3-traceid": TRACE, "x-b3-spanid": OWN, "x-b3-sampled": "1"},
                id="x-b3-*: a decision alone",
            ),
            pytest.param(
                {**DATADOG, "x-datadog-tags": f"_dd.p.tid={TRACE[:16]},_dd.p.dm=-0"},
                {
                    **DATADOG,
                    "x-datadog-parent-id": str(int(OWN, 16)),
                    "x-datadog-tags": f"_dd.p.tid={TRACE[:16]},_dd.p.dm=-0",
                },
                id="x-datadog-*",
            ),
            pytest.param(
                {
                    "traceparent": f"00-{TRACE}-{SPAN}-01",
                    "tracestate": "dd=s:1;p:1 , a=1",
                    **B3,
                    **DATADOG,
                    "sw8": "1-a",
                },
                {
                    "traceparent": f"00-{TRACE}-{OWN}-01",
                    "tracestate": "dd=s:1;p:1 , a=1",
                    "x-b3-traceid": TRACE,
                    "x-b3-spanid": OWN,
                    "x-b3-sampled": "1",
                    **DATADOG,
                    "x-datadog-parent-id": str(int(OWN, 16)),
                    "sw8": "1-a",
                },
                id="all of them, and beside them what is not understood",
            ),
        ],
    )
    def test_of_the_spans_trace(self, came: dict[str, str], goes: dict[str, str]) -> None:
        """A format that came goes out with the span's id, and nothing is added."""
        assert {**REQUEST_ID, **goes} == joined({**REQUEST_ID, **came})

    @pytest.mark.parametrize(
        ("came", "goes"),
        [
            pytest.param({"b3": f"{TRACE_64}-{SPAN}-1"}, {"b3": f"{TRACE_64}-{OWN}-1"}, id="b3"),
            pytest.param(
                {**B3, "x-b3-traceid": TRACE_64},
                {"x-b3-traceid": TRACE_64, "x-b3-spanid": OWN, "x-b3-sampled": "1"},
                id="x-b3-*",
            ),
            pytest.param(
                {
                    "traceparent": f"00-{TRACE_64:0>32}-{SPAN}-01",
                    "b3": f"{TRACE_64}-{SPAN}-1",
                },
                {
                    "traceparent": f"00-{TRACE_64:0>32}-{OWN}-01",
                    "b3": f"{TRACE_64}-{OWN}-1",
                },
                id="both widths, each as it was",
            ),
        ],
    )
    def test_64_bits(self, came: dict[str, str], goes: dict[str, str]) -> None:
        """An id of 16 digits is the same of 32 inside, and of 16 again on the wire."""
        assert goes == joined(came, own_span(TRACE_64))

    @pytest.mark.parametrize(
        "came",
        [
            pytest.param({"traceparent": f"00-{OTHER}-{SPAN}-01", "tracestate": "a=1"}, id="W3C"),
            pytest.param({"b3": f"{OTHER}-{SPAN}-1-{PARENT}"}, id="b3"),
            pytest.param({**B3, "x-b3-traceid": OTHER}, id="x-b3-*"),
            pytest.param({"b3": f"{TRACE_64}-{SPAN}-1"}, id="b3, its right half only"),
            pytest.param({**DATADOG, "x-datadog-trace-id": "1"}, id="x-datadog-*"),
            pytest.param(
                {**DATADOG, "x-datadog-tags": "_dd.p.tid=0000000000000001"},
                id="x-datadog-*, its left half",
            ),
            pytest.param(
                {"traceparent": f"00-{OTHER}-{SPAN}-01", "b3": "1"},
                id="W3C, beside a decision without ids",
            ),
            pytest.param(
                {"x-datadog-trace-id": "1", "x-b3-sampled": "1"},
                id="x-datadog-*, beside a decision without ids",
            ),
            pytest.param({"sw8": "1-a"}, id="one that is not understood"),
        ],
    )
    def test_of_another_trace(self, came: dict[str, str]) -> None:
        """A format of another trace is relayed, and the span is not written beside it."""
        assert came == joined(came)

    def test_one_agrees_and_one_does_not(self) -> None:
        """Each format is judged by itself."""
        came = {"traceparent": f"00-{OTHER}-{SPAN}-00", "tracestate": "a=1", **B3}
        assert {
            "traceparent": f"00-{OTHER}-{SPAN}-00",
            "tracestate": "a=1",
            "x-b3-traceid": TRACE,
            "x-b3-spanid": OWN,
            "x-b3-sampled": "1",
        } == joined(came)

    @pytest.mark.parametrize(
        "came",
        [
            pytest.param({"traceparent": f"00-{TRACE}-{SPAN}-00"}, id="traceparent"),
            pytest.param({"b3": f"{TRACE}-{SPAN}-0"}, id="b3"),
            pytest.param({"b3": "0"}, id="b3 without ids"),
            pytest.param({**B3, "x-b3-sampled": "0"}, id="x-b3-*"),
            pytest.param({"x-b3-sampled": "0"}, id="x-b3-* without ids"),
            pytest.param({**DATADOG, "x-datadog-sampling-priority": "-1"}, id="x-datadog-*"),
            pytest.param({**DATADOG, "x-datadog-sampling-priority": "0"}, id="x-datadog-* of W3C"),
        ],
    )
    def test_a_decision_against_the_trace(self, came: dict[str, str]) -> None:
        """What the mesh has decided stands, whatever the application's sampler says."""
        assert came == joined(came)


class TestWhichSpan:
    """The span must be the application's, sampled, and reported."""

    CAME: ClassVar = {"traceparent": f"00-{TRACE}-{SPAN}-01", **B3}

    @pytest.mark.parametrize(
        "span",
        [
            pytest.param(trace.INVALID_SPAN, id="none"),
            pytest.param(reported(own_span(remote=True)), id="a remote one"),
            pytest.param(reported(own_span(flags=0)), id="one that is not sampled"),
            pytest.param(reported(own_span(flags=2)), id="one that is not sampled, but random"),
            pytest.param(NonRecordingSpan(own_span()), id="one of no provider"),
        ],
    )
    def test_what_does_not_go_out(self, span: trace.Span) -> None:
        """Where it is not, what came is relayed."""
        meshtrace.configure(own_spans="join")
        with meshtrace.use(self.CAME), current(span):
            assert self.CAME == meshtrace.headers(REVIEWS)

    def test_relaying_is_the_default(self) -> None:
        """Without the setting, a span of the application's own changes nothing."""
        with meshtrace.use(self.CAME), current(reported(own_span())):
            assert self.CAME == meshtrace.headers(REVIEWS)

    def test_a_span_of_the_sdk(self, exported: Exported) -> None:
        """A span of the SDK goes out, also when it has ended: it was reported."""
        meshtrace.configure(own_spans="join")
        parent = NonRecordingSpan(
            SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True, trace_flags=TraceFlags(1))
        )
        with meshtrace.use(self.CAME), current(parent):
            span = exported.tracer.start_span("own")
            with current(span):
                open_yet = meshtrace.headers(REVIEWS)
                span.end()
                ended = meshtrace.headers(REVIEWS)
        own = f"{span.get_span_context().span_id:016x}"
        assert [f"00-{TRACE}-{own}-01"] * 2 == [open_yet["traceparent"], ended["traceparent"]]
        assert own == open_yet["x-b3-spanid"]

    def test_two_threads_that_judge_at_once(self) -> None:
        """A span goes out also where another thread has judged the same request meanwhile."""

        class JudgedTwice(Snapshot):
            __slots__ = ()

            def lasting(self) -> Pairs | None:
                return (*(super().lasting() or ()),)

        settings = Settings(own_spans="join")
        came = JudgedTwice([*self.CAME.items()], InboundRules(settings))
        with current(reported(own_span())):
            sent = JoiningRules(settings).decide(came, REVIEWS, {})
        assert OWN == dict(sent.fields)["x-b3-spanid"]

    def test_a_provider_without_a_processor(self, caplog: pytest.LogCaptureFixture) -> None:
        """Its spans are reported by nobody: what came is relayed, and one warning says why."""
        tracer = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("shop")
        meshtrace.configure(own_spans="join")
        with meshtrace.use({}), tracer.start_as_current_span("own"):
            assert [{}, {}] == [meshtrace.headers(REVIEWS), meshtrace.headers(REVIEWS)]
        assert 1 == len([line for line in caplog.messages if "has no span processor" in line])

    def test_a_sampler_that_drops(self) -> None:
        """A span that the application's sampler drops leaves the mesh's trace whole."""
        tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("shop")
        meshtrace.configure(own_spans="join")
        with meshtrace.use(self.CAME), tracer.start_as_current_span("own"):
            assert self.CAME == meshtrace.headers(REVIEWS)


class TestWhereNothingCame:
    """A span that nobody has begun the trace of goes out as a root."""

    ROOT: ClassVar = {
        "traceparent": f"00-{TRACE}-{OWN}-01",
        "x-b3-traceid": TRACE,
        "x-b3-spanid": OWN,
        "x-b3-sampled": "1",
    }

    @pytest.mark.parametrize(
        "came",
        [
            pytest.param({}, id="nothing"),
            pytest.param(REQUEST_ID, id="a request id"),
            pytest.param({"traceparent": "00-bad"}, id="something malformed"),
        ],
    )
    def test_the_root(self, came: dict[str, str]) -> None:
        """It goes out in W3C's format and in B3, with the same ids."""
        kept = {name: value for name, value in came.items() if name in REQUEST_ID}
        assert {**kept, **self.ROOT} == joined(came)

    @pytest.mark.parametrize(
        ("formats", "names"),
        [
            pytest.param("w3c", {"traceparent"}, id="W3C"),
            pytest.param(["b3-single"], {"b3"}, id="one header of B3's"),
            pytest.param("", set(), id="not at all"),
        ],
    )
    def test_the_setting(self, formats: str, names: set[str]) -> None:
        """`root_formats` names the formats."""
        meshtrace.configure(own_spans="join", root_formats=formats)
        with meshtrace.use({}), current(reported(own_span())):
            sent = meshtrace.headers(REVIEWS)
        assert names == sent.keys()

    def test_b3_in_one_header(self) -> None:
        """In one header, B3 says the same."""
        meshtrace.configure(own_spans="join", root_formats="b3-single")
        with meshtrace.use({}), current(reported(own_span())):
            assert {"b3": f"{TRACE}-{OWN}-1"} == meshtrace.headers(REVIEWS)

    def test_what_its_sampler_adds(self) -> None:
        """Its tracestate goes along within the mesh, and the random flag everywhere."""
        span = SpanContext(
            int(TRACE, 16),
            int(OWN, 16),
            is_remote=False,
            trace_flags=TraceFlags(0x83),
            trace_state=TraceState([("ot", "th:8")]),
        )
        traceparent = {"traceparent": f"00-{TRACE}-{OWN}-03"}
        b3 = {name: value for name, value in self.ROOT.items() if name != "traceparent"}
        assert {**traceparent, "tracestate": "ot=th:8", **b3} == joined({}, span)
        assert {**traceparent, **b3} == joined({}, span, OUTSIDE)
        came = {"traceparent": f"00-{TRACE}-{SPAN}-03"}
        goes = {**traceparent, "tracestate": "ot=th:8"}
        assert [goes, goes] == [joined(came, span), joined({**came, "tracestate": ""}, span)]

    def test_outside_any_request(self) -> None:
        """So does a span outside any request, such as that of a job."""
        meshtrace.configure(own_spans="join")
        with current(reported(own_span())):
            assert self.ROOT == meshtrace.headers(REVIEWS)
        assert {} == meshtrace.headers(REVIEWS)

    def test_a_host_that_gets_no_ids(self) -> None:
        """A host that gets no ids does not get the span's either."""
        meshtrace.configure(own_spans="join", trace_hosts="mesh")
        with meshtrace.use({}), current(reported(own_span())):
            assert {} == meshtrace.headers(OUTSIDE)


class TestTheSetting:
    """What is chosen by ``own_spans``, and by what implies it."""

    @pytest.mark.parametrize(
        ("options", "kind"),
        [
            pytest.param({}, RelayingRules, id="the default"),
            pytest.param({"own_spans": "relay"}, RelayingRules, id="relay"),
            pytest.param({"own_spans": "join"}, JoiningRules, id="join"),
            pytest.param({"spans": True}, JoiningRules, id="spans imply it"),
            pytest.param(
                {"spans": "yes", "own_spans": "relay"}, RelayingRules, id="but do not force"
            ),
            pytest.param({"spans": "0"}, RelayingRules, id="no spans"),
        ],
    )
    def test_the_rules(self, options: Any, kind: type) -> None:  # noqa: ANN401 - options of Settings
        """Relaying is what there is, until spans are to join."""
        assert kind is type(outbound_rules(Settings(**options)))

    @pytest.mark.parametrize("variable", ["MESHTRACE_OWN_SPANS=join", "MESHTRACE_SPANS=1"])
    def test_the_variables(self, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment may say so, too."""
        monkeypatch.setenv(*variable.split("="))
        assert JoiningRules is type(outbound_rules(Settings()))

    def test_a_propagator_implies_it(self) -> None:
        """Making the propagator implies it, for what was made before as well."""
        came = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        with meshtrace.use(came), current(reported(own_span())):
            before = meshtrace.headers(REVIEWS)
            meshtrace.MeshPropagator()
            meshtrace.MeshPropagator()
            after = meshtrace.headers(REVIEWS)
        assert [came, {"traceparent": f"00-{TRACE}-{OWN}-01"}] == [before, after]

    def test_a_client_of_its_own(self) -> None:
        """One client may join where the others relay."""
        rules = outbound_rules(Settings(own_spans="join"))
        came = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
        with meshtrace.use(came), current(reported(own_span())):
            assert came == meshtrace.headers(REVIEWS)
        assert isinstance(rules, JoiningRules)

"""httpx and httpx2 beside OpenTelemetry's instrumentation of them, in every order."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor, HTTPXClientInstrumentor
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import meshtrace
from tests.outbound.httpx_use import Use
from tests.outbound.recording import IDS, OTHER, W3C, Recorder, redirect

URL = "http://reviews:9080/"
SEVERAL = {**IDS, **W3C}
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}

MakeClient = Callable[[], Any]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Give where the spans go."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """Give what makes the spans."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def instrument(provider: TracerProvider) -> Iterator[Callable[[], None]]:
    """Give what instruments both libraries; they are as before in the end."""
    instrumentors: list[Any] = [HTTPXClientInstrumentor(), HTTPX2ClientInstrumentor()]

    def instrument() -> None:
        for instrumentor in instrumentors:
            instrumentor.instrument(tracer_provider=provider)

    yield instrument
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


def _patched(use: Use) -> Any:  # noqa: ANN401 - of one of two libraries
    meshtrace.patch(use.library.__name__)
    return use.client(follow_redirects=True)


def _wrapped(use: Use) -> Any:  # noqa: ANN401 - of one of two libraries
    return meshtrace.wrap(use.client(follow_redirects=True))


@pytest.fixture(params=["ours", "theirs"])
def client(
    request: pytest.FixtureRequest, make: Callable[[], Any], instrument: Callable[[], None]
) -> Any:  # noqa: ANN401 - of one of two libraries
    """Give a client, instrumented before meshtrace or after."""
    if request.param == "theirs":
        instrument()
    client = make()
    if request.param == "ours":
        instrument()
    return client


@pytest.fixture(params=[_patched, _wrapped], ids=["patched", "wrapped"])
def make(request: pytest.FixtureRequest, use: Use) -> Callable[[], Any]:
    """Give what makes a client that relays."""
    return lambda: request.param(use)


def test_a_call(
    client: Any,  # noqa: ANN401 - of one of two libraries
    use: Use,
    recorder: Recorder,
    exporter: InMemorySpanExporter,
) -> None:
    """Each call carries what came, and not the ids of a span that the mesh does not see."""
    for brought in (SEVERAL, OTHER):
        with meshtrace.use(brought):
            use.do(lambda: client.get(URL))
    assert [SEVERAL, OTHER_IDS] == recorder.relayed
    assert 2 == len(exporter.get_finished_spans())


def test_a_chain_and_a_denied_host(client: Any, use: Use, recorder: Recorder) -> None:  # noqa: ANN401 - as above
    """Each hop carries what it may have of it, and a denied host nothing at all."""
    meshtrace.configure(deny_hosts="denied")
    recorder.answers["/0"] = [redirect("http://denied/1")]
    recorder.answers["/1"] = [redirect("http://ratings/2")]
    with meshtrace.use(SEVERAL):
        use.do(lambda: client.get("http://reviews/0"))
    assert [SEVERAL, {}, SEVERAL] == recorder.relayed


def test_a_request_that_is_sent_again(client: Any, use: Use, recorder: Recorder) -> None:  # noqa: ANN401 - as above
    """A request object is of its class again when it is back, and is decided afresh each time."""
    request = client.build_request("GET", URL)
    for brought in (SEVERAL, OTHER, {}):
        with meshtrace.use(brought):
            use.do(lambda: client.send(request))
    assert [SEVERAL, OTHER_IDS, {}] == recorder.relayed
    assert use.library.Request is type(request)
    assert URL == str(pickle.loads(pickle.dumps(request)).url)  # noqa: S301 - just made


def test_a_request_that_is_pickled_on_its_way(
    instrument: Callable[[], None], use: Use, recorder: Recorder
) -> None:
    """A transport that keeps a copy keeps what the caller made, and what it sends has all."""
    kept: list[bytes] = []
    sent: list[dict[str, str]] = []

    def answer(request: Any) -> Any:  # noqa: ANN401 - of one of two libraries
        kept.append(pickle.dumps(request))
        sent.append({name: value for name, value in request.headers.items() if name in SEVERAL})
        return use.library.Response(204)

    instrument()
    client = meshtrace.wrap(use.client(transport=use.transport(answer)))
    with meshtrace.use(SEVERAL):
        use.do(lambda: client.get(URL, headers={"x-own": "1"}))
    use.do(lambda: client.get(URL, headers={"x-own": "1"}))
    for pickled in kept:
        assert b"meshtrace" not in pickled
        other = pickle.loads(pickled)  # noqa: S301 - just made
        assert (use.library.Request, "1") == (type(other), other.headers["x-own"])
        assert {*SEVERAL}.isdisjoint(other.headers)
    assert ([SEVERAL, {}], []) == (sent, recorder.received)


def test_joining(
    client: Any,  # noqa: ANN401 - of one of two libraries
    use: Use,
    recorder: Recorder,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
) -> None:
    """Asked to join, a call carries the ids of its own span, in every format that came."""
    meshtrace.configure(own_spans="join")
    came = TraceContextTextMapPropagator().extract(W3C)
    server = provider.get_tracer("own").start_as_current_span("server", came)
    with meshtrace.use(IDS), server:
        use.do(lambda: client.get(URL))
    span, _ = exporter.get_finished_spans()
    assert span.context is not None
    ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    (sent,) = recorder.relayed
    assert ids == sent["traceparent"][3:52]
    assert ids == f"{sent['x-b3-traceid']}-{sent['x-b3-spanid']}"


def test_suppressed(client: Any, use: Use, recorder: Recorder) -> None:  # noqa: ANN401 - as above
    """A call for which no span is made carries what came."""
    with meshtrace.use(SEVERAL), suppress_http_instrumentation():
        use.do(lambda: client.get(URL))
    assert [SEVERAL] == recorder.relayed


def test_inside_another_client(instrument: Callable[[], None], recorder: Recorder) -> None:
    """A request that a client of a class of its own hands to another one is decided twice."""
    instrument()
    inner = meshtrace.wrap(httpx.Client())

    class Handing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return inner.send(request)

    outer = meshtrace.wrap(httpx.Client(transport=Handing()))
    with inner, outer, meshtrace.use(SEVERAL):
        outer.get(URL)
    assert [SEVERAL] == recorder.relayed

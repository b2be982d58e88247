"""urllib3 and urllib beside OpenTelemetry's instrumentations of them, in every order."""

import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import OpenerDirector, build_opener

import pytest
import requests
import urllib3
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.util.retry import Retry

import meshtrace
from tests.outbound.recording import IDS, OTHER, W3C, Answer, Recorder, redirect

URL = "http://reviews:9080/"
OTHER_IDS = {"x-request-id": OTHER["x-request-id"], "b3": OTHER["b3"]}
SEVERAL = {**IDS, **W3C}

Get = Callable[[str], object]


class Spans:
    """What the instrumentations are given, and the spans that they made."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def clients(self) -> list[ReadableSpan]:
        """The CLIENT spans that have ended."""
        spans = self.exporter.get_finished_spans()
        return [span for span in spans if span.kind is SpanKind.CLIENT]

    @property
    def parents(self) -> list[str]:
        """What they look like, as parents, in a header."""
        contexts = [span.get_span_context() for span in self.clients]
        return [
            f"{context.trace_id:032x}-{context.span_id:016x}" for context in contexts if context
        ]


@pytest.fixture
def spans() -> Spans:
    """Give OpenTelemetry with an exporter."""
    return Spans()


@pytest.fixture
def instrument(spans: Spans) -> Iterator[Callable[[], None]]:
    """Give what instruments urllib3 and urllib; they are as before in the end."""
    before = (HTTPConnectionPool.urlopen, OpenerDirector.open)
    instrumentors: list[Any] = [URLLib3Instrumentor(), URLLibInstrumentor()]

    def instrument() -> None:
        for instrumentor in instrumentors:
            instrumentor.instrument(tracer_provider=spans.provider)

    yield instrument
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    meshtrace.unpatch()
    HTTPConnectionPool.urlopen, OpenerDirector.open = before  # type: ignore[method-assign]


def _get_by_manager(manager: PoolManager) -> Get:
    return lambda url: manager.request("GET", url)


def _patched_manager() -> Get:
    meshtrace.patch("urllib3")
    return _get_by_manager(PoolManager())


def _patched_opener() -> Get:
    meshtrace.patch("urllib")
    return lambda url: build_opener().open(url).close()


def _patched_session() -> Get:
    meshtrace.patch("urllib3", "requests")
    return lambda url: requests.get(url, timeout=9)


@pytest.fixture(
    params=[
        pytest.param(_patched_manager, id="urllib3 patched"),
        pytest.param(
            lambda: _get_by_manager(meshtrace.wrap(PoolManager())), id="a manager wrapped"
        ),
        pytest.param(_patched_session, id="requests and urllib3 patched"),
        pytest.param(_patched_opener, id="urllib patched"),
        pytest.param(
            lambda: lambda url: meshtrace.wrap(build_opener()).open(url).close(),
            id="an opener wrapped",
        ),
    ]
)
def make(request: pytest.FixtureRequest) -> Callable[[], Get]:
    """Give what makes a client that relays."""
    made: Callable[[], Get] = request.param
    return made


@pytest.mark.parametrize("first", ["ours", "theirs"])
class TestRelaying:
    """What came goes out, and not the ids of a span that the mesh does not see."""

    def test_a_call(
        self,
        first: str,
        make: Callable[[], Get],
        instrument: Callable[[], None],
        recorder: Recorder,
        spans: Spans,
    ) -> None:
        """Each call carries what came, by whatever it is instrumented."""
        if first == "theirs":
            instrument()
        get = make()
        if first == "ours":
            instrument()
        for brought in (SEVERAL, OTHER):
            with meshtrace.use(brought):
                get(URL)
        assert [SEVERAL, OTHER_IDS] == recorder.relayed
        assert len(spans.clients) == 2

    def test_a_chain_and_a_denied_host(
        self,
        first: str,
        make: Callable[[], Get],
        instrument: Callable[[], None],
        recorder: Recorder,
    ) -> None:
        """Each hop carries what it may have of it, and a denied host nothing at all."""
        meshtrace.configure(deny_hosts="denied")
        if first == "theirs":
            instrument()
        get = make()
        if first == "ours":
            instrument()
        recorder.answers["/0"] = [redirect("http://denied/1")]
        recorder.answers["/1"] = [redirect("http://ratings/2")]
        with meshtrace.use(SEVERAL):
            get("http://reviews/0")
        assert [SEVERAL, {}, SEVERAL] == recorder.relayed


@pytest.mark.parametrize("denied", [False, True])
def test_retries_of_a_session(
    instrument: Callable[[], None], recorder: Recorder, *, denied: bool
) -> None:
    """Each try of a call of requests carries what its session has decided."""
    instrument()
    meshtrace.patch("urllib3")
    recorder.answers["/"] = [Answer(503), Answer(lost=True)]
    retry = Retry(9, status_forcelist=[503], backoff_factor=0)
    with meshtrace.Session(deny_hosts="reviews" if denied else "") as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        with meshtrace.use(SEVERAL):
            session.get(URL)
    assert [{} if denied else SEVERAL] * 3 == recorder.relayed


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_retries(first: str, instrument: Callable[[], None], recorder: Recorder) -> None:
    """Each try of a call carries what came, and what the caller has set."""
    if first == "theirs":
        instrument()
    meshtrace.patch("urllib3")
    if first == "ours":
        instrument()
    recorder.answers["/"] = [Answer(503), Answer(lost=True), redirect("/there")]
    recorder.answers["/there"] = [Answer(503)]
    retry = Retry(9, status_forcelist=[503], backoff_factor=0)
    with HTTPConnectionPool("reviews", retries=retry) as pool, meshtrace.use(SEVERAL):
        assert 200 == pool.request("GET", "/", headers={"X-Own": "1"}).status
    assert [{**SEVERAL, "x-own": "1"}] * 5 == recorder.relayed


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_joining(
    first: str, instrument: Callable[[], None], recorder: Recorder, spans: Spans
) -> None:
    """Asked to join, each call carries the ids of its own span, in every format that came."""
    meshtrace.configure(own_spans="join")
    if first == "theirs":
        instrument()
    meshtrace.patch("urllib3", "urllib")
    if first == "ours":
        instrument()
    came = TraceContextTextMapPropagator().extract(W3C)
    server = spans.provider.get_tracer("own").start_as_current_span("server", came)
    with meshtrace.use(IDS), server, PoolManager() as manager:
        manager.request("GET", URL)
        build_opener().open(URL).close()
    assert spans.parents == [sent["traceparent"][3:52] for sent in recorder.relayed]
    assert spans.parents == [
        f"{sent['x-b3-traceid']}-{sent['x-b3-spanid']}" for sent in recorder.relayed
    ]


def test_outside_any_request(instrument: Callable[[], None], recorder: Recorder) -> None:
    """Outside any request an instrumentation's headers are left as they are."""
    instrument()
    with meshtrace.wrap(PoolManager()) as manager:
        manager.request("GET", URL)
    assert [{"traceparent"}] == [set(sent) for sent in recorder.relayed]


def test_without_an_instrumentation(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where urllib3 is not instrumented, its connections are left as they are."""
    monkeypatch.delitem(sys.modules, "opentelemetry.instrumentation.urllib3")
    original = urllib3.connection.HTTPConnection.request
    with meshtrace.wrap(PoolManager()) as manager, meshtrace.use(IDS):
        manager.request("GET", URL)
    assert original is urllib3.connection.HTTPConnection.request
    assert [IDS] == recorder.relayed


def test_a_connection_by_itself(instrument: Callable[[], None], recorder: Recorder) -> None:
    """A connection that no pool uses is not looked at, nor is one that is given no headers."""
    instrument()

    class Bare(urllib3.connection.HTTPConnection):
        def request(self, method: str, url: str, *_: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's own
            del options["headers"], options["body"]
            super().request(method, url, **options)

    with meshtrace.wrap(HTTPConnectionPool("reviews")) as pool, meshtrace.use(IDS):
        pool.request("GET", "/")
        connection = urllib3.connection.HTTPConnection("reviews")
        connection.request("GET", "/", headers={"X-Own": "1"})
        assert 200 == connection.getresponse().status
        connection.close()
        pool.ConnectionCls = Bare
        pool.close()
    with meshtrace.wrap(HTTPConnectionPool("reviews")) as pool, meshtrace.use(IDS):
        pool.ConnectionCls = Bare
        pool.request("GET", "/")
    assert [IDS, {"x-own": "1"}, {}] == recorder.relayed


def test_a_fault_of_ours(
    instrument: Callable[[], None],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in the last look costs a warning; the call goes on."""
    instrument()
    manager = meshtrace.wrap(PoolManager())

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    with manager, meshtrace.use(IDS):
        manager.request("GET", URL)
        monkeypatch.setattr("meshtrace.outbound.urllib3.attempts._looked_at", bug)
        manager.request("GET", URL)
        manager.request("GET", URL)
    assert IDS == recorder.relayed[0]
    assert 3 == len(recorder.relayed)
    assert 1 == sum("a connection of urllib3" in text for text in caplog.messages)

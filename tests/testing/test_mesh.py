"""The fixture's object: it sees the calls of every library, and judges them."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import aiohttp
import grpc
import httpx
import httpx2
import pytest
import requests
import requests_mock
import responses
import respx
import urllib3
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import meshtrace as module
from meshtrace.relay.snapshot import Snapshot
from meshtrace.testing import Mesh

REVIEWS = "http://reviews:9080/reviews/0"
NOBODY = "127.0.0.1:9"
"""Nobody listens there: a call is seen also where it fails."""

FAILURES = (
    OSError,
    grpc.RpcError,
    httpx.HTTPError,
    httpx2.HTTPError,
    urllib3.exceptions.HTTPError,
)


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """Give what the fixture of the plugin gives."""
    with Mesh() as mesh:
        yield mesh


@pytest.fixture
def answers() -> Iterator[responses.RequestsMock]:
    """Answer the calls of requests."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.get(REVIEWS)
        answers.get("https://api.example.com/")
        yield answers


def _app(view: Callable[[], object], *, middleware: bool = True) -> TestClient:
    def page(_: Request) -> PlainTextResponse:
        view()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", page)])
    if middleware:
        app.add_middleware(module.MeshTrace)
    return TestClient(app)


def _get(url: str = REVIEWS, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.get(url, headers=headers, timeout=5)


def _by_requests() -> None:
    _get(f"http://{NOBODY}/")


def _by_urllib3() -> None:
    urllib3.PoolManager(retries=False).request("GET", f"http://{NOBODY}/")


def _by_a_urllib3_proxy() -> None:
    manager = urllib3.ProxyManager(f"http://{NOBODY}", retries=False)
    manager.request("GET", f"http://{NOBODY}/")


def _by_httpx() -> None:
    httpx.get(f"http://{NOBODY}/")


def _by_httpx2() -> None:
    httpx2.get(f"http://{NOBODY}/")


def _by_httpx_in_a_loop() -> None:
    async def call() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"http://{NOBODY}/")

    asyncio.run(call())


def _by_aiohttp() -> None:
    async def call() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get(f"http://{NOBODY}/")

    asyncio.run(call())


def _by_grpc() -> None:
    with grpc.insecure_channel(NOBODY) as channel:
        channel.unary_unary("/shop.Reviews/Get", bytes, bytes)(b"", timeout=1)


def _by_grpc_in_a_loop() -> None:
    async def call() -> None:
        async with grpc.aio.insecure_channel(NOBODY) as channel:
            await channel.unary_unary("/shop.Reviews/Get", bytes, bytes)(b"", timeout=1)

    asyncio.run(call())


CALLS = [
    pytest.param("requests", _by_requests, id="requests"),
    pytest.param("urllib3", _by_urllib3, id="urllib3"),
    pytest.param("urllib3", _by_a_urllib3_proxy, id="urllib3, through a proxy"),
    pytest.param("httpx", _by_httpx, id="httpx"),
    pytest.param("httpx2", _by_httpx2, id="httpx2"),
    pytest.param("httpx", _by_httpx_in_a_loop, id="httpx, asynchronous"),
    pytest.param("aiohttp", _by_aiohttp, id="aiohttp"),
    pytest.param("grpc", _by_grpc, id="gRPC"),
    pytest.param("grpc", _by_grpc_in_a_loop, id="gRPC, asynchronous"),
]


class TestCalls:
    """The calls of every library are seen, with what they leave with."""

    @pytest.mark.parametrize("patched_first", [True, False], ids=["patched first", "seen first"])
    @pytest.mark.parametrize(("library", "call"), CALLS)
    def test_a_call_that_carries_what_came(
        self, library: str, call: Callable[[], None], *, patched_first: bool
    ) -> None:
        """Whether the library was patched before or after, the headers that leave are seen."""
        if patched_first:
            module.patch(library)
        with Mesh() as mesh:
            if not patched_first:
                mesh.patch(library)
            with mesh.request("opentelemetry"), pytest.raises(FAILURES):
                call()
            mesh.assert_propagated(times=1)
            mesh.assert_propagated(to="127.0.0.1", times=1)
        assert [library] == [one.client for one in mesh.calls]

    @pytest.mark.parametrize(("library", "call"), CALLS)
    def test_a_call_that_lost_what_came(self, library: str, call: Callable[[], None]) -> None:
        """A library that is neither wrapped nor patched is named."""
        with Mesh() as mesh:
            with mesh.request(), pytest.raises(FAILURES):
                call()
            with pytest.raises(AssertionError, match="headers lost") as raised:
                mesh.assert_propagated(to=NOBODY)
        assert f"{library} is neither wrapped nor patched" in str(raised.value)

    def test_afterwards_all_is_as_before(self) -> None:
        """What was listened to is the libraries' own again."""
        before = (
            requests.Session.send,
            httpx.Client.__dict__["_send_single_request"],
            urllib3.HTTPConnectionPool.urlopen,
            aiohttp.BaseConnector.connect,
            grpc.insecure_channel,
            Snapshot.__init__,
        )
        with Mesh():
            pass
        assert before == (
            requests.Session.send,
            httpx.Client.__dict__["_send_single_request"],
            urllib3.HTTPConnectionPool.urlopen,
            aiohttp.BaseConnector.connect,
            grpc.insecure_channel,
            Snapshot.__init__,
        )

    def test_what_was_patched_is_patched_afterwards(self, answers: responses.RequestsMock) -> None:
        """A library that is patched relays before, during and after."""
        module.patch("requests")
        with Mesh():
            pass
        with module.use({"b3": "0"}):
            _get()
        assert "0" == answers.calls[0].request.headers["b3"]

    @respx.mock
    def test_respx(self, mesh: Mesh) -> None:
        """A call that respx answers is seen."""
        respx.get(REVIEWS).respond(200)
        with mesh.request(), mesh.wrap(httpx.Client()) as client:
            client.get(REVIEWS)
        mesh.assert_propagated(to=REVIEWS, times=1)

    @pytest.mark.parametrize("mock_first", [True, False], ids=["mocked first", "seen first"])
    def test_requests_mock(self, *, mock_first: bool) -> None:
        """A call that requests-mock answers is seen once."""
        mock, mesh = requests_mock.Mocker(), Mesh()
        first, second = (mock, mesh) if mock_first else (mesh, mock)
        with first, second:
            mesh.patch("requests")
            mock.get(REVIEWS)
            with mesh.request():
                _get()
            mesh.assert_propagated(to="reviews", times=1)

    def test_the_tests_own_client_is_no_call(
        self, mesh: Mesh, answers: responses.RequestsMock
    ) -> None:
        """What calls the application under test is not one of its calls."""
        mesh.patch("requests")
        client = _app(_get)
        client.get("/")
        client.get("/", headers=mesh.envoy())
        assert [REVIEWS, REVIEWS] == [call.url for call in mesh.calls]
        assert 2 == len(answers.calls)

    def test_a_transport_without_a_network(self, mesh: Mesh) -> None:
        """An application in the process that the test calls by httpx: that is no call."""

        async def get() -> None:
            transport = httpx.ASGITransport(_app(lambda: None).app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                await client.get("/", headers=mesh.envoy())

        asyncio.run(get())
        assert [] == mesh.calls

    def test_a_real_server_that_the_test_calls(
        self, mesh: Mesh, answers: responses.RequestsMock
    ) -> None:
        """A call that carries the headers that the test made is how the test sends them."""
        answers.get("http://localhost:8000/")
        _get("http://localhost:8000/", mesh.envoy())
        assert [] == mesh.calls
        mesh.assert_propagated(to="localhost:8000", times=1)


class TestVerdict:
    """assert_propagated() says what is wrong."""

    def test_nothing_was_called(self, mesh: Mesh) -> None:
        """No call is a failure, not a success."""
        with pytest.raises(AssertionError, match="one call at least to reviews expected, 0 made"):
            mesh.assert_propagated(to="reviews")

    def test_another_number(self, mesh: Mesh, answers: responses.RequestsMock) -> None:
        """Another number of calls is told, with the calls that were seen."""
        mesh.patch("requests")
        with mesh.request():
            _get()
        with pytest.raises(AssertionError, match="2 calls expected, 1 made") as raised:
            mesh.assert_propagated(times=2)
        assert f"  GET {REVIEWS} (requests)" in str(raised.value)
        assert 1 == len(answers.calls)

    @pytest.mark.usefixtures("answers")
    def test_no_request_brought_anything(self, mesh: Mesh) -> None:
        """A call for no request, or for one without trace headers, shows nothing."""
        _get()
        with pytest.raises(AssertionError, match=r"headers=meshtrace.envoy\(\)"):
            mesh.assert_propagated()

    @pytest.mark.usefixtures("answers")
    def test_the_whole_text(self, mesh: Mesh) -> None:
        """The hop is named, and what came stands beside what went."""
        mesh.patch("requests")
        with mesh.request("opentelemetry") as came:
            _get(headers={"traceparent": "mine"})
        with pytest.raises(AssertionError) as raised:
            mesh.assert_propagated()
        request_id, parent = came["x-request-id"], came["traceparent"]
        assert [
            "the hop to reviews:9080 did not pass on what came: headers changed",
            f"  GET {REVIEWS} (requests)",
            f"  header        came{' ' * 53}went",
            f"  x-request-id  {request_id}{' ' * 21}{request_id}  kept",
            f"  traceparent   {parent}  mine{' ' * 34}changed",
            "  Something else writes these headers: the application by hand, or another tracer.",
        ] == str(raised.value).splitlines()

    @pytest.mark.usefixtures("answers")
    def test_no_middleware(self, mesh: Mesh) -> None:
        """An application without the middleware loses what came, and is told so."""
        mesh.patch("requests")
        _app(_get, middleware=False).get("/", headers=mesh.envoy())
        with pytest.raises(AssertionError, match="No middleware read the request"):
            mesh.assert_propagated(to="reviews")

    @pytest.mark.usefixtures("answers")
    def test_a_thread_without_the_context(self, mesh: Mesh) -> None:
        """A call from a thread that did not take the context along is told as one."""

        def view() -> None:
            thread = threading.Thread(target=_get)
            thread.start()
            thread.join()

        mesh.patch("requests")
        _app(view).get("/", headers=mesh.envoy())
        with pytest.raises(AssertionError, match="outside of the request's context"):
            mesh.assert_propagated(to="reviews")

    @pytest.mark.usefixtures("answers")
    def test_copied_by_hand_in_a_thread(self, mesh: Mesh) -> None:
        """Headers that the application copied itself are as good, and go with their request."""
        first, second = mesh.envoy(), mesh.envoy()
        with mesh.use(first), mesh.use(second):
            ids = {name: first[name] for name in first if name.startswith(("x-b3", "x-request"))}
            thread = threading.Thread(target=_get, kwargs={"headers": ids})
            thread.start()
            thread.join()
        mesh.assert_propagated(times=1)

    @pytest.mark.usefixtures("answers")
    def test_detached_on_purpose(self, mesh: Mesh) -> None:
        """What was detached is made for no request."""
        mesh.patch("requests")
        with mesh.request(), mesh.detached():
            _get()
        assert [None] == [call.came for call in mesh.calls]

    @pytest.mark.usefixtures("answers")
    def test_after_the_request(self, mesh: Mesh) -> None:
        """What the test calls after its request belongs to none."""
        mesh.patch("requests")
        with mesh.request():
            _get()
        _get()
        assert [True, False] == [call.came is not None for call in mesh.calls]

    @pytest.mark.usefixtures("answers")
    def test_a_host_outside_the_mesh_has_ids_only(self, mesh: Mesh) -> None:
        """What a host may not have is not missed."""
        mesh.configure(forward="end-user")
        mesh.patch("requests")
        with mesh.request("datadog", headers={"end-user": "jason"}):
            _get("https://api.example.com/")
            _get()
        mesh.assert_propagated(to="https://api.example.com", times=1)
        mesh.assert_propagated(to="reviews", times=1, also=["end-user"])
        with pytest.raises(AssertionError, match="end-user"):
            mesh.assert_propagated(to="api.example.com", also=["end-user"])

    @pytest.mark.usefixtures("answers")
    def test_spans_that_join(self, mesh: Mesh) -> None:
        """A span of the application's own goes out in the same trace."""
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
        mesh.configure(own_spans="join")
        mesh.patch("requests")
        with mesh.request("opentelemetry") as came:
            _, trace_id, parent, _ = came["traceparent"].split("-")
            context = trace.SpanContext(
                int(trace_id, 16), int(parent, 16), is_remote=True, trace_flags=trace.TraceFlags(1)
            )
            remote = trace.set_span_in_context(trace.NonRecordingSpan(context))
            with provider.get_tracer("shop").start_as_current_span("work", context=remote):
                _get()
        mesh.assert_propagated(to="reviews", times=1)
        assert came["traceparent"] != mesh.calls[0].headers["traceparent"]

    @pytest.mark.usefixtures("answers")
    def test_flask(self, mesh: Mesh) -> None:
        """Flask's test client takes the headers as they are, and as an environ."""
        app = Flask("shop")
        app.add_url_rule("/", view_func=lambda: _get().text)
        app.wsgi_app = module.MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation has it
        mesh.patch("requests")
        app.test_client().get("/", headers=mesh.envoy())
        app.test_client().get("/", environ_base=module.testing.FakeEnvoy("datadog").environ())
        mesh.assert_propagated(to="reviews", times=2)


def test_the_names_of_the_module_are_there(mesh: Mesh) -> None:
    """The fixture hides the module of its name, and has what is in it."""
    assert module.current is mesh.current
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = mesh.no_such_name


def test_the_package_says_what_it_has() -> None:
    """Two names are offered; another one is an AttributeError."""
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.testing.no_such_name

"""What is Django's own: its settings, its exceptions, its test clients."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from contextvars import Context, copy_context
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import signals
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, override_settings

import meshtrace
from meshtrace import ConfigurationError, MeshTrace, MeshTraceWSGI, Settings
from meshtrace.inbound.django import Middleware
from meshtrace.logs import TraceFilter
from meshtrace.otel.slot import SERVER_INSTRUMENTATIONS
from tests.inbound import driver_asgi, driver_wsgi
from tests.inbound.django_site import MIDDLEWARE, under_wsgi, urls
from tests.inbound.django_use import CAME, LINES, SPAN, UNDER, USER, Found, Serve, View, seen, span
from tests.inbound.driving import report
from tests.inbound.wsgi_server import environ_of, ignore_head

OTHER = {"x-request-id": "9d9f0b52-8a2e-9f5c-8f0e-6d1c1d6a7b11"}


@pytest.fixture(autouse=True)
def _ours_alone() -> Iterator[None]:
    """Have our middleware, and no other."""
    with override_settings(MIDDLEWARE=[MIDDLEWARE]):
        yield


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Join spans of the application's own, which no server instrumentation makes."""
    for name in SERVER_INSTRUMENTATIONS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with override_settings(MESHTRACE={"own_spans": "join"}):
        yield


def _report(_: HttpRequest) -> HttpResponse:
    return HttpResponse(report())


# Settings and mistakes


def test_the_setting_goes_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting MESHTRACE stands over the variables, which fill in the rest."""
    monkeypatch.setenv("MESHTRACE_INCOMING", "ids")
    monkeypatch.setenv("MESHTRACE_FORWARD", "x-canary,end-user")
    meshtrace.configure()
    assert [CAME] == under_wsgi(_report, LINES).seen
    with override_settings(MESHTRACE={"incoming": "trust"}):
        assert [USER] == under_wsgi(_report, LINES).seen
    assert [CAME] == under_wsgi(_report, LINES).seen


def test_the_setting_is_the_clients_too() -> None:
    """What the setting says of the calls that go out is so, from the first request on."""
    with override_settings(MESHTRACE={"deny_hosts": "reviews"}):
        assert [{}] == under_wsgi(_report, LINES).seen
    assert [CAME] == under_wsgi(_report, LINES).seen


def test_the_setting_of_a_process_that_has_not_changed_it() -> None:
    """The setting is read when Django makes the middleware."""
    with override_settings(MESHTRACE={"forward": "end-user"}):
        meshtrace.configure()
        assert {} == seen()
        assert [USER] == under_wsgi(_report, LINES).seen


def test_another_setting_changes_nothing() -> None:
    """When a test overrides a setting that is not ours, what was configured stays."""
    meshtrace.configure(forward="end-user")
    with override_settings(USE_TZ=False):
        assert [USER] == under_wsgi(_report, LINES).seen


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            {"incomming": "ids"},
            r"MESHTRACE: unknown setting 'incomming' \(do you mean incoming\?\)",
            id="an unknown name",
        ),
        pytest.param({"incoming": "all"}, "MESHTRACE: incoming='all'", id="a value not valid"),
        pytest.param("ids", "MESHTRACE='ids': not a dict", id="no dict"),
    ],
)
def test_a_wrong_setting(value: object, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting stops Django at its start, and the error names it."""
    from django.conf import settings  # noqa: PLC0415 - a lazy object that must not be collected

    monkeypatch.setattr(settings, "MESHTRACE", value, raising=False)
    with pytest.raises(ConfigurationError, match=message):
        WSGIHandler()


def test_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where meshtrace is disabled, Django leaves the middleware out."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    with pytest.raises(MiddlewareNotUsed, match="MESHTRACE_DISABLED"):
        Middleware(_report)


def test_settings_made_elsewhere() -> None:
    """A factory of the site's own may give the middleware settings and options."""
    request = RequestFactory().get("/", headers=USER)
    found: Found = []

    def view(_: HttpRequest) -> HttpResponse:
        found.append(seen())
        return HttpResponse()

    Middleware(view, settings=Settings(incoming="ignore"))(request)
    Middleware(view, settings=Settings(incoming="ignore"), incoming="trust")(
        RequestFactory().get("/", headers=USER)
    )
    assert [{}, CAME] == found


async def _asgi(scope: object, receive: object, send: object) -> None:
    """Be an ASGI application."""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(lambda environ, start: [], "meshtrace.MeshTraceWSGI", id="WSGI"),  # noqa: ARG005 - its shape
        pytest.param(_asgi, "meshtrace.MeshTrace", id="ASGI"),
        pytest.param("shop", "not str", id="no application"),
    ],
)
def test_something_else_is_wrapped(given: Any, message: str) -> None:  # noqa: ANN401 - any mistake
    """What is no get_response is refused, and the error says what to use."""
    with pytest.raises(TypeError, match=message):
        Middleware(given)


@pytest.mark.parametrize("room", ["meshtrace.MeshTrace", "meshtrace.MeshTraceWSGI"])
def test_another_room_among_the_middlewares(room: str) -> None:
    """A room for applications, named among Django's middlewares, names the right one."""
    with (
        override_settings(MIDDLEWARE=[room]),
        pytest.raises(TypeError, match=r"name meshtrace\.inbound\.django\.Middleware in MIDDLE"),
    ):
        WSGIHandler()


def test_no_client_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """That ids come in and no client takes them out is said once, after the first such request."""
    middleware = Middleware(lambda _: HttpResponse())
    with caplog.at_level(logging.INFO, "meshtrace"):
        middleware(RequestFactory().get("/"))
        middleware(RequestFactory().get("/", headers=CAME))
        middleware(RequestFactory().get("/", headers=CAME))
    assert ["INFO", "WARNING"] == [record.levelname for record in caplog.records]


# Beside the rooms around Django


@pytest.mark.parametrize("response_header", ["", "x-request-id"])
def test_inside_the_rooms_around_django(response_header: str) -> None:
    """Inside MeshTraceWSGI or MeshTrace, which decide, ours adds nothing."""
    with urls(_report), override_settings(MESHTRACE={"forward": "end-user"}):
        wsgi = MeshTraceWSGI(WSGIHandler(), incoming="ids", response_header=response_header)
        asgi = MeshTrace(ASGIHandler(), incoming="ids", response_header=response_header)
        answers = [
            driver_wsgi.serve(wsgi, "/", LINES),
            asyncio.run(driver_asgi.serve(asgi, "/", LINES)),
        ]
    for answer in answers:
        assert [CAME] == answer.seen
        assert (USER if response_header else {}).get(response_header) == answer.headers.get(
            "x-request-id"
        )


def test_one_context_for_all() -> None:
    """The room around Django and the middleware have the same context."""
    found: Found = []

    def view(request: HttpRequest) -> HttpResponse:
        meshtrace.set_header("end-user", "alice")
        with meshtrace.detached():
            for source in (request, request.META):
                with meshtrace.use(source):
                    found.append(seen())
        return HttpResponse()

    with urls(view):
        driver_wsgi.serve(MeshTraceWSGI(WSGIHandler()), "/", list(CAME.items()))
    assert [{**CAME, "end-user": "alice"}] * 2 == found


def test_a_middleware_between_that_loses_the_context() -> None:
    """Where something between loses the context, the inner middleware finds it again."""
    found: Found = []

    def view(_: HttpRequest) -> HttpResponse:
        found.append(seen())
        return HttpResponse()

    inner = Middleware(view)

    def lose(request: HttpRequest) -> Any:  # noqa: ANN401 - Django has no types
        with meshtrace.detached():
            return inner(request)

    Middleware(lose, forward="end-user")(RequestFactory().get("/", headers=USER))
    assert [USER] == found


def test_an_environ_that_is_served_again() -> None:
    """The same environ, served once more with other headers, is a new request."""
    found: Found = []

    def view(_: HttpRequest) -> HttpResponse:
        found.append(seen())
        return HttpResponse()

    with urls(view):
        app = WSGIHandler()
        environ = environ_of(CAME)
        for headers in (CAME, OTHER):
            environ.update(HTTP_X_REQUEST_ID=headers["x-request-id"])
            app(environ, ignore_head).close()
    assert [CAME, {**CAME, **OTHER}] == found


# Exceptions


@pytest.mark.usefixtures("errors_logged")
@UNDER
def test_those_who_handle_an_exception(serve: Serve) -> None:
    """The signal, process_exception and the 500 handler find what came."""
    found: list[tuple[str, dict[str, str]]] = []

    def view(_: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    def on_exception(**_: object) -> None:
        found.append(("signal", seen()))

    def handler500(_: HttpRequest) -> HttpResponse:
        found.append(("handler", seen()))
        return HttpResponse(status=500)

    HandlesExceptions.found = found
    theirs = f"{__name__}.HandlesExceptions"
    signals.got_request_exception.connect(on_exception)
    try:
        with override_settings(MIDDLEWARE=[MIDDLEWARE, theirs]):
            answer = serve(view, LINES, handler500=handler500)
    finally:
        signals.got_request_exception.disconnect(on_exception)
    assert 500 == answer.status
    assert [("process_exception", CAME), ("signal", CAME), ("handler", CAME)] == found


class HandlesExceptions:
    """A middleware that looks at exceptions."""

    sync_capable = True
    async_capable = False
    found: list[tuple[str, dict[str, str]]]

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:  # noqa: ANN401 - Django has no types
        """Serve."""
        return self.get_response(request)

    def process_exception(self, _request: HttpRequest, _error: Exception) -> None:
        """Note what is at hand."""
        self.found.append(("process_exception", seen()))


# Spans of the application's own


@pytest.mark.usefixtures("joining")
@UNDER
def test_spans_of_the_applications_own(serve: Serve) -> None:
    """When asked to join them, the remote parent is OpenTelemetry's current span in the view."""
    found: list[str] = []

    def view(_: HttpRequest) -> HttpResponse:
        found.append(span())
        return HttpResponse()

    serve(view, SPAN.items())
    serve(view, [])
    assert ["a2fb4a1d1a96d312", "0" * 16] == found
    assert "0" * 16 == span()


# Test clients


def test_the_test_clients() -> None:
    """Django's own test clients bring headers as a real request does."""
    with urls(lambda _: JsonResponse(seen())):
        assert CAME == Client().get("/", headers=USER).json()
        assert {} == Client().get("/").json()

        async def ask() -> Any:  # noqa: ANN401 - Django has no types
            return (await AsyncClient().get("/", headers=USER)).json()

        assert CAME == asyncio.run(ask())
    assert {} == seen()


def test_the_request_factories() -> None:
    """Requests that a test makes by hand are served alike, blocking or not."""
    found: Found = []

    async def view(_: HttpRequest) -> HttpResponse:
        found.append(seen())
        return HttpResponse()

    middleware = Middleware(view)
    request = AsyncRequestFactory().get("/", headers=CAME)

    async def ask() -> None:
        response: Awaitable[Any] = middleware(request)
        await response
        assert {} == seen()

    asyncio.run(ask())
    assert [CAME] == found


@pytest.mark.parametrize("streamed", [False, True], ids=["a response", "a stream"])
def test_user_data_ends_with_the_request(streamed: bool) -> None:  # noqa: FBT001 - a parameter
    """What outlives its request keeps the ids, and no user data."""
    contexts: list[Context] = []

    def body() -> Iterator[str]:
        contexts.append(copy_context())
        yield report()

    def view(_: HttpRequest) -> Any:  # noqa: ANN401 - Django has no types
        return StreamingHttpResponse(body()) if streamed else HttpResponse(body())

    with override_settings(MESHTRACE={"forward": "end-user"}):
        assert [USER] == under_wsgi(view, LINES).seen
        assert CAME == contexts[0].run(seen)


@UNDER
def test_what_django_logs_of_a_404(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Its record is written when the middlewares have ended, and has the ids of its request."""
    with caplog.filtering(TraceFilter()):
        serve(lambda _: HttpResponse(status=404), LINES)
    [record] = [record for record in caplog.records if record.name == "django.request"]
    assert CAME["x-request-id"] == vars(record)["request_id"]


# Bad input


def test_a_request_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """What has no headers is served with an empty context, and one warning."""
    found: Found = []
    middleware = Middleware(lambda _: found.append(seen()))
    with meshtrace.use(CAME), suppress(AttributeError):
        middleware(SimpleNamespace(META=None))
    assert [{}] == found
    assert "a fault while reading the headers of a request" in caplog.text


def test_a_response_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """What is no response goes back as it is, for Django to say so."""
    request = RequestFactory().get("/", headers=CAME)
    assert None is Middleware(lambda _: None)(request)
    assert "a fault while finishing a response of Django" in caplog.text


def test_what_the_application_sets_is_not_echoed_over() -> None:
    """A response that has the header keeps its own."""
    with override_settings(MESHTRACE={"response_header": "x-request-id"}):
        answer = under_wsgi(lambda _: HttpResponse(headers={"X-Request-Id": "own"}), LINES)
    assert "own" == answer.headers["x-request-id"]

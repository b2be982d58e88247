"""The WSGI middleware, around the call of an application."""

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.validate import validator

import pytest
from starlette.applications import Starlette

import meshtrace
from meshtrace import MeshTraceWSGI
from tests.inbound.wsgi_server import (
    CAME,
    OTHER,
    Answer,
    at_hand,
    close,
    environ_of,
    ignore_head,
    ok,
    serve,
)

REQUEST_ID = {"x-request-id": CAME["x-request-id"]}

Wrap = Callable[..., WSGIApplication]


def _validated(app: WSGIApplication, **options: Any) -> WSGIApplication:  # noqa: ANN401 - the middleware's
    return validator(MeshTraceWSGI(validator(app), **options))


@pytest.fixture(params=[MeshTraceWSGI, _validated], ids=["by itself", "under wsgiref.validate"])
def wrap(request: pytest.FixtureRequest) -> Wrap:
    """Give the middleware, by itself and between two validators."""
    chosen: Wrap = request.param
    return chosen


class _Seen:
    """An application that notes what is at hand while it runs."""

    def __init__(self) -> None:
        self.at_hand: list[dict[str, str]] = []

    def __call__(self, _environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        self.at_hand.append(at_hand())
        ok(start_response)
        return [b"served"]


def test_what_came_is_at_hand(wrap: Wrap) -> None:
    """While a request is served, the fields that came are at hand, byte for byte."""
    app = _Seen()
    answer = serve(wrap(app), CAME)
    assert [CAME] == app.at_hand
    assert ["200 OK", [b"served"]] == [answer.status, answer.chunks]


def test_it_ends_with_the_request(wrap: Wrap) -> None:
    """After a request nothing of it is at hand."""
    serve(wrap(_Seen()), CAME)
    assert {} == at_hand()


def test_a_thread_that_serves_again(wrap: Wrap) -> None:
    """On one worker thread, a request without headers after one with headers has nothing."""
    app = _Seen()
    wrapped = wrap(app)
    for headers in (CAME, {}, OTHER, {}):
        serve(wrapped, headers)
    assert [CAME, {}, OTHER, {}] == app.at_hand


def test_what_was_left_behind(wrap: Wrap) -> None:
    """A request without headers has nothing, also where another's context was left behind."""
    app = _Seen()
    with meshtrace.use(OTHER):
        serve(wrap(app))
        left_behind = at_hand()
    assert [{}] == app.at_hand
    assert OTHER == left_behind


def test_threads_do_not_mix() -> None:
    """Requests that are served at the same time each have their own."""
    together = threading.Barrier(8, timeout=30)
    seen: dict[str, list[dict[str, str]]] = {}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        ok(start_response)
        together.wait()
        mine = seen.setdefault(environ["PATH_INFO"], [])
        for _ in range(3):
            together.wait()
            mine.append(at_hand())
            yield b"."

    wrapped = MeshTraceWSGI(app)
    each = {
        f"/{number}": {"x-request-id": f"request-{number}", **({"b3": "0"} if number % 2 else {})}
        for number in range(8)
    }
    threads = [
        threading.Thread(target=serve, args=(wrapped, headers), kwargs={"PATH_INFO": path})
        for path, headers in each.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {path: [headers] * 3 for path, headers in each.items()} == seen


def test_the_application_gets_what_the_server_gave() -> None:
    """The application is called with the server's own environ and start_response."""
    given: list[object] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        given.extend((environ, start_response))
        return []

    environ = environ_of(CAME)
    before = dict(environ)
    MeshTraceWSGI(app)(environ, ignore_head)
    assert environ is given[0]
    assert ignore_head is given[1]
    assert {"meshtrace.snapshot"} == environ.keys() - before.keys()
    assert before == {name: environ[name] for name in before}


def test_an_error_of_the_application_stays_its_own(wrap: Wrap) -> None:
    """What an application raises comes out as it is, and the context is undone."""
    error = LookupError("no such book")

    def app(_environ: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        raise error

    with pytest.raises(LookupError) as raised:
        serve(wrap(app), CAME)
    assert error is raised.value
    assert {} == at_hand()


@pytest.mark.parametrize("echoed", ["", "x-request-id"], ids=["nothing echoed", "with an echo"])
def test_a_second_head_after_an_error(wrap: Wrap, echoed: str) -> None:
    """An application may replace the head it gave, with exc_info, which is passed on."""
    passed: list[object] = []

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        ok(start_response)
        try:
            int("no number")
        except ValueError:
            exc_info = sys.exc_info()
            passed.append(exc_info)
            start_response("500 Oops", [("Content-Type", "text/plain")], exc_info)
        return [b"oops"]

    class Noting(Answer):
        def start(
            self,
            status: str,
            headers: list[tuple[str, str]],
            exc_info: object = None,
            /,
        ) -> Callable[[bytes], object]:
            passed.append(exc_info)
            return super().start(status, headers, exc_info)

    answer = Noting()
    body = wrap(app, response_header=echoed)(environ_of(CAME), answer.start)
    assert [b"oops"] == list(body)
    close(body)
    assert "500 Oops" == answer.status
    assert [None, passed[1], passed[1]] == passed


def test_write(wrap: Wrap) -> None:
    """What an application writes with start_response's callable goes out, before its body."""
    wrote: list[dict[str, str]] = []

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        write = ok(start_response)
        wrote.append(at_hand())
        write(b"first, ")
        wrote.append(at_hand())
        return [b"then"]

    assert [b"first, ", b"then"] == serve(wrap(app), CAME).chunks
    assert [CAME, CAME] == wrote


def test_the_outside_keeps_what_the_application_set(wrap: Wrap) -> None:
    """A ContextVar that the application sets is seen by the middlewares outside of ours."""
    user: ContextVar[str] = ContextVar("user", default="nobody")
    outside: list[str] = []

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        user.set("set by the call")
        ok(start_response)
        return stream()

    def stream() -> Iterable[bytes]:
        yield b"1"
        user.set("set by the body")
        yield b"2"

    body = wrap(app)(environ_of(CAME), ignore_head)
    outside.append(user.get())
    outside.extend(user.get() for _ in body)
    close(body)
    assert ["set by the call", "set by the call", "set by the body"] == outside


def test_twice_is_once() -> None:
    """Wrapped twice, the inner one passes everything through."""
    app = _Seen()
    given: list[object] = []
    body = iter((b"lazy",))

    def lazy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given.extend((app(environ, start_response), start_response))
        return body

    inner = MeshTraceWSGI(lazy, response_header="x-request-id", incoming="ignore")
    returned: list[object] = []

    def between(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        result = inner(environ, start_response)
        returned.extend((result, start_response))
        return result

    outer = MeshTraceWSGI(between, response_header="x-request-id")
    answer = serve(outer, CAME)
    assert [CAME] == app.at_hand
    assert body is returned[0]
    assert given[1] is returned[1]
    assert [("Content-Type", "text/plain"), *REQUEST_ID.items()] == answer.headers


def test_an_environ_that_is_served_again(wrap: Wrap) -> None:
    """A request that an outer middleware has served again carries the same, and is echoed again."""
    app = _Seen()
    wrapped = wrap(app, response_header="x-request-id")
    environ = environ_of(CAME)
    answers = []
    for _ in range(2):
        answer = Answer()
        body = wrapped(environ, answer.start)
        assert [b"served"] == list(body)
        close(body)
        answers.append(answer.headers)
    assert [CAME, CAME] == app.at_hand
    assert [[("Content-Type", "text/plain"), *REQUEST_ID.items()]] * 2 == answers


def test_what_others_do_to_the_environ_later() -> None:
    """What an inner middleware changes in the environ changes nothing of what came."""
    app = _Seen()

    def changing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.update(environ_of(OTHER))
        del environ["HTTP_SW8"]
        return app(environ, start_response)

    serve(MeshTraceWSGI(changing), CAME)
    assert [CAME] == app.at_hand


def test_a_handler_outside(wrap: Wrap) -> None:
    """An error handler outside of ours gets the request back from its environ."""
    handled: list[dict[str, str]] = []

    def app(_environ: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        raise LookupError

    wrapped = wrap(app)

    def handling(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return wrapped(environ, start_response)
        except LookupError:
            with meshtrace.use(environ):
                handled.append(at_hand())
            return [b""]

    serve(handling, CAME)
    assert [CAME] == handled
    assert {} == at_hand()


def test_user_data_of_the_application(wrap: Wrap) -> None:
    """What the application sets for its calls lasts until its body has ended."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        ok(start_response)
        meshtrace.set_header("end-user", "jason")
        return stream()

    def stream() -> Iterable[bytes]:
        yield at_hand()["end-user"].encode()

    assert [b"jason"] == serve(wrap(app), CAME).chunks
    assert {} == at_hand()


class _Head:
    """An application that answers with the headers it was made with."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = [("Content-Type", "text/plain"), *headers]

    def __call__(self, _environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", self.headers)
        return [b""]


@pytest.mark.parametrize(
    ("came", "echo"),
    [
        pytest.param(CAME, [*REQUEST_ID.items()], id="what came is echoed"),
        pytest.param({"b3": "0"}, [], id="nothing came, nothing is echoed"),
        pytest.param({"x-request-id": "a\x00b"}, [], id="what is not relayed is not echoed"),
        pytest.param({"x-request-id": "a\r\nset-cookie: b"}, [], id="no header can be smuggled in"),
    ],
)
def test_response_header(came: dict[str, str], echo: list[tuple[str, str]]) -> None:
    """The field that was asked for goes back to the caller if it came and is good."""
    app = _Head()
    answer = serve(MeshTraceWSGI(app, response_header="x-request-id"), came)
    assert [("Content-Type", "text/plain"), *echo] == answer.headers
    assert [("Content-Type", "text/plain")] == app.headers


@pytest.mark.parametrize("name", ["x-request-id", "X-Request-Id"])
def test_response_header_of_the_application(wrap: Wrap, name: str) -> None:
    """A response header that the application sets itself stays as it is."""
    answer = serve(wrap(_Head((name, "mine")), response_header="x-request-id"), CAME)
    assert [("Content-Type", "text/plain"), (name, "mine")] == answer.headers


def test_response_header_of_a_careless_application() -> None:
    """Servers take any iterable of headers, and exc_info by name; so does the echo."""
    given: list[object] = []

    def app(_environ: WSGIEnvironment, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", iter([("X-One", "1")]), exc_info=None)
        return []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = ()
    ) -> Callable[[bytes], object]:
        given.extend((status, headers, exc_info))
        return len

    MeshTraceWSGI(app, response_header="x-request-id")(environ_of(CAME), start_response)
    assert ["200 OK", [("X-One", "1"), *REQUEST_ID.items()], None] == given


def test_settings_and_options(wrap: Wrap) -> None:
    """Options given by name stand over settings that were made elsewhere."""
    app = _Seen()
    settings = meshtrace.Settings(incoming="ids", forward="end-user")
    came = {**REQUEST_ID, "sw8": "1-a", "end-user": "jason"}
    serve(wrap(app, settings=settings), came)
    serve(wrap(app, settings=settings, incoming="trust"), came)
    assert [REQUEST_ID, came] == app.at_hand


def test_configure_later(wrap: Wrap) -> None:
    """What is configured after the middleware was made holds from the next request on."""
    app = _Seen()
    wrapped = wrap(app)
    came = {**REQUEST_ID, "end-user": "jason"}
    for forward in ("", "end-user", ""):
        meshtrace.configure(forward=forward)
        serve(wrapped, came)
    assert [REQUEST_ID, came, REQUEST_ID] == app.at_hand


def test_response_header_configured_later() -> None:
    """The response header can be configured after the middleware was made."""
    wrapped = MeshTraceWSGI(_Head())
    meshtrace.configure(response_header="x-request-id")
    assert [*REQUEST_ID.items()] == serve(wrapped, CAME).headers[1:]


def test_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With MESHTRACE_DISABLED=1 the application is called as if meshtrace were not there."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    body = iter((b"",))
    environ = environ_of(CAME)
    before = dict(environ)
    given: list[object] = []

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given.extend((start_response, at_hand()))
        return body

    returned = MeshTraceWSGI(app, response_header="x-request-id")(environ, ignore_head)
    assert body is returned
    assert before == environ
    assert [ignore_head, {}] == given


async def _asgi(scope: object, receive: object, send: object) -> None:
    """Be an ASGI application."""


def _get_response(request: object) -> None:
    """Be what Django calls a middleware with."""


@pytest.mark.parametrize(
    ("app", "says"),
    [
        pytest.param(
            _asgi,
            "MeshTraceWSGI was given an ASGI application: use meshtrace.MeshTrace",
            id="an ASGI function",
        ),
        pytest.param(
            Starlette(),
            "MeshTraceWSGI was given an ASGI application: use meshtrace.MeshTrace",
            id="a Starlette application",
        ),
        pytest.param(
            _get_response,
            r"meshtrace\.MeshTraceWSGI\(get_wsgi_application\(\)\)",
            id="Django's get_response",
        ),
        pytest.param(None, "needs an application, not NoneType", id="no application at all"),
    ],
)
def test_misuse_names_the_right_class(app: Any, says: str) -> None:  # noqa: ANN401 - wrong on purpose
    """What is no WSGI application is refused at once, and the error says what to use."""
    with pytest.raises(TypeError, match=says):
        MeshTraceWSGI(app)


def test_an_application_of_any_arguments_is_taken() -> None:
    """An application whose signature tells nothing is believed."""

    def app(*args: Any) -> list[bytes]:  # noqa: ANN401 - anything, on purpose
        ok(args[1])
        return [str(len(args)).encode()]

    assert [b"2"] == serve(MeshTraceWSGI(app), CAME).chunks


class _Unreadable(dict[str, Any]):
    """An environ that some server made, and whose headers cannot be read."""

    def get(self, key: str, default: object = None, /) -> Any:  # noqa: ANN401 - as in dict
        try:
            return self[key]
        except KeyError:
            return default

    def items(self) -> Any:  # noqa: ANN401 - as in dict
        raise RuntimeError

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - as in dict
        if key.startswith("HTTP_"):
            raise RuntimeError(key)
        return super().__getitem__(key)


def test_a_fault_of_ours_is_not_the_applications(caplog: pytest.LogCaptureFixture) -> None:
    """Where headers cannot be read the request is served without, and it is said once."""
    app = _Seen()
    wrapped = MeshTraceWSGI(app)
    for _ in range(2):
        assert [b"served"] == list(wrapped(_Unreadable(environ_of(CAME)), ignore_head))
    assert [{}, {}] == app.at_hand
    faults = [record for record in caplog.records if record.exc_info]
    assert [logging.WARNING] == [record.levelno for record in faults]


def test_what_is_on_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """At the first request, one line says with which settings meshtrace runs."""
    caplog.set_level(logging.INFO)
    wrapped = MeshTraceWSGI(_Seen(), incoming="ids")
    for _ in range(2):
        wrapped(environ_of(), ignore_head)
    assert ["meshtrace is on: incoming=ids; clients: none yet"] == [
        record.getMessage() for record in caplog.records
    ]


def test_the_missing_half_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """When ids came and nobody can send them, one warning says so, after the request."""
    warned: list[int] = []

    def app(_environ: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        warned.append(len(_warnings(caplog)))
        return []

    wrapped = MeshTraceWSGI(app)
    for headers in ({}, CAME, CAME):
        wrapped(environ_of(headers), ignore_head)
    assert [0, 0, 1] == warned
    assert 1 == len(_warnings(caplog))


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_head_may_be_given_by_name() -> None:
    """An application may name the arguments of start_response as PEP 3333 does."""

    def app(_environ: WSGIEnvironment, start_response: Any) -> list[bytes]:  # noqa: ANN401 - by name
        start_response(status="200 OK", response_headers=[("a", "b")])
        return []

    heads: list[list[tuple[str, str]]] = []

    def start_response(status: str, response_headers: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - write()
        heads.append([("status", status), *response_headers])

    wrapped = MeshTraceWSGI(app, response_header="x-request-id")
    wrapped({"HTTP_X_REQUEST_ID": "r"}, start_response)
    assert [[("status", "200 OK"), ("a", "b"), ("x-request-id", "r")]] == heads

"""The ASGI middleware's settings, what it says in the log, and what it refuses to wrap."""

import asyncio
import functools
import logging
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import requests
from flask import Flask
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint

import meshtrace
from meshtrace import ConfigurationError, MeshTrace, Settings
from meshtrace.settings import Options
from tests.inbound.asgi_server import (
    CAME,
    Recorder,
    http,
    receive,
    respond,
    send_nowhere,
    serve,
)

USER = {**CAME, "end-user": "jason"}
IDS = {name: value for name, value in CAME.items() if name != "sw8"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, CAME, id="by default user data stays behind"),
        pytest.param({"forward": "end-user"}, USER, id="user data that is named is taken"),
        pytest.param({"incoming": "trust"}, CAME, id="trust takes ids and vendor data"),
        pytest.param({"incoming": "ids", "forward": "end-user"}, IDS, id="ids takes ids alone"),
        pytest.param({"incoming": "ignore", "forward": "end-user"}, {}, id="ignore takes nothing"),
        pytest.param({"forward": "end-*"}, USER, id="a prefix takes what begins with it"),
        pytest.param({"trace_fields": "-sw8"}, IDS, id="a field that is removed stays behind"),
    ],
)
def test_options(options: Options, expected: dict[str, str]) -> None:
    """The options of the middleware decide what is taken from a request."""
    app = Recorder()
    serve(MeshTrace(app, **options), http(USER))
    assert [expected] == app.seen


def test_settings_made_elsewhere() -> None:
    """Settings can be given as an object, and single options over it."""
    app = Recorder()
    settings = Settings(incoming="ids", forward="end-user")
    serve(MeshTrace(app, settings=settings), http(USER))
    serve(MeshTrace(app, settings=settings, incoming="trust"), http(USER))
    assert [IDS, USER] == app.seen


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"incoming": "all"}, "'trust', 'ids', 'ignore'", id="a wrong value"),
        pytest.param({"incomming": "ids"}, "do you mean incoming", id="a wrong name"),
    ],
)
def test_wrong_options(options: Any, named: str) -> None:  # noqa: ANN401 - wrong on purpose
    """A wrong option is an error when the middleware is made, which names the right ones."""
    with pytest.raises(ConfigurationError, match=named):
        MeshTrace(Recorder(), **options)


def test_configured_later() -> None:
    """The process's settings are followed, also when they are made after the middleware."""
    app = Recorder()
    middleware = MeshTrace(app, forward="end-user")
    serve(middleware, http(USER))
    meshtrace.configure(incoming="ignore")
    serve(middleware, http(USER))
    meshtrace.configure(response_header="x-request-id")
    sent = serve(middleware, http(USER))
    assert [USER, {}, USER] == app.seen
    assert [(b"x-request-id", USER["x-request-id"].encode())] == sent[0]["headers"]


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON"])
def test_disabled(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``MESHTRACE_DISABLED`` makes the middleware a mere pass-through, whatever the code says."""
    monkeypatch.setenv("MESHTRACE_DISABLED", text)
    caplog.set_level(logging.DEBUG, "meshtrace")
    app = Recorder()
    scope = http(USER)
    before = dict(scope)
    middleware = MeshTrace(app, forward="end-user", response_header="x-request-id")
    asyncio.run(middleware(scope, receive, send_nowhere))
    [(scope_seen, receive_seen, send_seen)] = app.calls
    assert (before, receive, send_nowhere) == (scope_seen, receive_seen, send_seen)
    assert scope_seen is scope
    assert [{}] == app.seen
    assert [] == caplog.records


async def _silent(_scope: object, _receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
    await respond(send)


def _said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Give what was said, by level and first words."""
    return [(record.levelno, record.getMessage().partition(",")[0]) for record in caplog.records]


ON = (logging.INFO, "meshtrace is on: defaults; clients: none yet")
NO_CLIENT = (logging.WARNING, "meshtrace: trace headers came in")


def test_half_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """Where no client is ready: one line that it is on, and one warning once ids have come."""
    caplog.set_level(logging.INFO, "meshtrace")
    middleware = MeshTrace(_silent)
    serve(middleware, http())
    assert [ON] == _said(caplog)
    serve(middleware, http(CAME))
    assert [ON, NO_CLIENT] == _said(caplog)
    serve(middleware, http(CAME))
    serve(MeshTrace(MeshTrace(_silent)), http(CAME))
    assert [ON, NO_CLIENT] == _said(caplog)
    assert "meshtrace.patch()" in caplog.records[1].getMessage()
    assert CAME["x-request-id"] not in caplog.text


def test_nothing_came(caplog: pytest.LogCaptureFixture) -> None:
    """Where no ids come, a missing client is not missed."""
    caplog.set_level(logging.INFO, "meshtrace")
    middleware = MeshTrace(_silent)
    serve(middleware, http())
    serve(middleware, http({"end-user": "jason"}))
    assert [ON] == _said(caplog)


def test_client_is_there(caplog: pytest.LogCaptureFixture) -> None:
    """Where a client is ready, there is one line, which names it and the settings."""
    caplog.set_level(logging.INFO, "meshtrace")
    meshtrace.wrap(requests.Session())
    serve(MeshTrace(_silent, incoming="ids"), http(CAME))
    on = (logging.INFO, "meshtrace is on: incoming=ids; clients: requests")
    assert [on] == _said(caplog)


def test_headers_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """An application that asks for the headers is not told to wrap a client."""
    caplog.set_level(logging.INFO, "meshtrace")
    serve(MeshTrace(Recorder()), http(CAME))
    assert [ON] == _said(caplog)


def _get_response(request: object) -> object:
    return request


@pytest.mark.parametrize(
    ("app", "named"),
    [
        pytest.param(Flask("shop"), "meshtrace.MeshTraceWSGI", id="a Flask application"),
        pytest.param(Flask("shop").wsgi_app, "meshtrace.MeshTraceWSGI", id="a WSGI application"),
        pytest.param(_get_response, "get_asgi_application", id="Django's get_response"),
        pytest.param("shop:app", "not str", id="the name of an application"),
        pytest.param(None, "not NoneType", id="nothing"),
    ],
)
def test_refused(app: Any, named: str) -> None:  # noqa: ANN401 - wrong on purpose
    """What is no ASGI application is refused at once, naming what to use or what came."""
    with pytest.raises(TypeError, match=named):
        MeshTrace(app)


class _App:
    def __init__(self, scope: object, receive: object, send: object) -> None: ...


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(Starlette(), id="a Starlette application"),
        pytest.param(HTTPEndpoint, id="a class that is called with all three"),
        pytest.param(_App, id="a class of one's own"),
        pytest.param(lambda *_args: None, id="a function of any arguments"),
        pytest.param(functools.partial(_silent), id="a partial"),
        pytest.param(functools.partial(print, "a", "b"), id="a partial of a builtin"),
        pytest.param(Mock(), id="a mock"),
        pytest.param(AsyncMock(), id="an asynchronous mock"),
        pytest.param(type, id="something without a signature"),
    ],
)
def test_accepted(app: Any) -> None:  # noqa: ANN401 - anything that may be one
    """What may be an ASGI application is wrapped as it is."""
    assert app is MeshTrace(app).app

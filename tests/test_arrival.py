"""What the middlewares have in common: settings, notices, and naming obvious mistakes."""

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

import meshtrace
from meshtrace import ConfigurationError, Settings
from meshtrace.arrival import ASGI, WSGI, Arrivals, refuse_mistakes
from meshtrace.relay.snapshot import Snapshot
from meshtrace.settings import Options


def _request(arrivals: Arrivals, *fields: tuple[str, str]) -> Snapshot:
    return Snapshot(fields, arrivals.rules.value)


def test_options_over_settings_over_the_process() -> None:
    """Options stand over settings made elsewhere, and both over the process's, also later ones."""
    arrivals = Arrivals(Settings(forward="end-user", incoming="ids"), {"incoming": "trust"})
    meshtrace.configure(forward="x-canary", incoming="ignore", response_header="b3")
    settings = arrivals.rules.value.settings
    assert ("trust", ("end-user",), "b3") == (
        settings.incoming,
        settings.forward,
        settings.response_header,
    )


def test_wrong_option() -> None:
    """A wrong option is an error at once."""
    with pytest.raises(ConfigurationError, match="'trust', 'ids', 'ignore'"):
        Arrivals(None, {"incoming": "all"})  # type: ignore[typeddict-item]  # wrong on purpose


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("0", False), ("", False)])
def test_off(text: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """``MESHTRACE_DISABLED`` decides when the middleware is made."""
    monkeypatch.setenv("MESHTRACE_DISABLED", text)
    assert expected == Arrivals(None, {}).off


def test_unreadable_headers(caplog: pytest.LogCaptureFixture) -> None:
    """Headers that cannot be read are a request without any, with one warning that says why."""
    arrivals = Arrivals(None, {})
    scope: dict[str, object] = {}
    for _ in range(2):
        try:
            scope["headers"]
        except LookupError:
            assert not arrivals.empty().accepted.ids
    [record] = caplog.records
    assert logging.WARNING == record.levelno
    assert "KeyError: 'headers'" in caplog.text


def test_notices(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is noted until one has brought ids; if no client is ready then, it is said."""
    caplog.set_level(logging.INFO, "meshtrace")
    monkeypatch.delitem(sys.modules, "asgi_correlation_id", raising=False)
    arrivals = Arrivals(None, {"incoming": "ids"})
    noted = []
    for fields in ([], [("b3", "malformed")], [("b3", "0")], [("b3", "0")]):
        arrivals.begin()
        noted.append(arrivals.end(_request(arrivals, *fields)))
    assert [True, True, False, False] == noted
    assert [
        (logging.INFO, "meshtrace is on: incoming=ids; clients: none yet"),
        (logging.WARNING, "meshtrace: trace headers came in"),
    ] == [(record.levelno, record.getMessage().partition(",")[0]) for record in caplog.records]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, None, id="nothing was asked for"),
        pytest.param({"response_header": "b3"}, ("b3", "0"), id="what was asked for came"),
        pytest.param({"response_header": "sw8"}, None, id="what was asked for did not come"),
        pytest.param({"response_header": "traceparent"}, None, id="what came was malformed"),
    ],
)
def test_echoed(options: Options, expected: tuple[str, str] | None) -> None:
    """The field that was asked for is echoed if it came and is good."""
    arrivals = Arrivals(None, options)
    assert expected == arrivals.echoed(_request(arrivals, ("b3", "0"), ("traceparent", "?")))


def _asgi(scope: object, receive: object, send: object) -> None: ...


def _configured(scope: object, receive: object, send: object, *, debug: bool) -> None: ...


def _wsgi(environ: object, start_response: object) -> None: ...


def _get_response(request: object) -> None: ...


class _AsgiClass:
    def __init__(self, scope: object, receive: object, send: object) -> None: ...


class _WsgiClass:
    def __init__(self, environ: object, start_response: object) -> None: ...


class _AsgiObject:
    def __call__(self, scope: object, receive: object, send: object) -> None: ...


class _OldAsgiClass:
    def __init__(self, scope: object) -> None: ...


class _Unreadable:
    __signature__ = "none of inspect's"

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("app", "arguments"),
    [
        pytest.param(_asgi, ASGI, id="an ASGI function"),
        pytest.param(_AsgiClass, ASGI, id="an ASGI class"),
        pytest.param(_AsgiObject(), ASGI, id="an ASGI object"),
        pytest.param(functools.partial(_configured, debug=True), ASGI, id="a partial by keyword"),
        pytest.param(_OldAsgiClass, ASGI, id="a class that is called some other way"),
        pytest.param(_wsgi, WSGI, id="a WSGI function"),
        pytest.param(_WsgiClass, WSGI, id="a WSGI class"),
        pytest.param(functools.partial(_asgi, None), WSGI, id="a partial"),
        pytest.param(lambda *_: None, ASGI, id="a function of any arguments"),
        pytest.param(lambda *_, **__: None, WSGI, id="a function of any arguments at all"),
        pytest.param(lambda _one, _two=None, _three=None: None, ASGI, id="defaults"),
        pytest.param(Mock(), ASGI, id="a mock"),
        pytest.param(_Unreadable(), ASGI, id="an object whose signature cannot be read"),
        pytest.param(type, WSGI, id="a builtin without a signature"),
    ],
)
def test_accepted(app: Callable[..., Any], arguments: int) -> None:
    """What may speak the protocol is accepted: nothing is guessed from what it is."""
    refuse_mistakes("Middleware", app, arguments)


@pytest.mark.parametrize(
    ("app", "arguments", "message"),
    [
        pytest.param(
            _wsgi,
            ASGI,
            "Middleware was given a WSGI application: use meshtrace.MeshTraceWSGI",
            id="a WSGI function for ASGI",
        ),
        pytest.param(
            _WsgiClass,
            ASGI,
            "Middleware was given a WSGI application: use meshtrace.MeshTraceWSGI",
            id="a WSGI class for ASGI",
        ),
        pytest.param(
            _asgi,
            WSGI,
            "Middleware was given an ASGI application: use meshtrace.MeshTrace",
            id="an ASGI function for WSGI",
        ),
        pytest.param(
            _AsgiObject(),
            WSGI,
            "Middleware was given an ASGI application: use meshtrace.MeshTrace",
            id="an ASGI object for WSGI",
        ),
        pytest.param("shop:app", ASGI, "Middleware needs an application, not str", id="a text"),
        pytest.param(None, WSGI, "Middleware needs an application, not NoneType", id="nothing"),
    ],
)
def test_refused(app: Any, arguments: int, message: str) -> None:  # noqa: ANN401 - wrong on purpose
    """An application of the other protocol is refused, and the error names the right class."""
    with pytest.raises(TypeError) as caught:
        refuse_mistakes("Middleware", app, arguments)
    assert message == str(caught.value)


@pytest.mark.parametrize("arguments", [ASGI, WSGI])
def test_django_middleware(arguments: int) -> None:
    """Django's get_response is refused, and the error says how to wrap Django."""
    with pytest.raises(TypeError, match="no Django middleware") as caught:
        refuse_mistakes("Middleware", _get_response, arguments)
    assert "meshtrace.MeshTraceWSGI(get_wsgi_application())" in str(caught.value)
    assert "meshtrace.MeshTrace(get_asgi_application())" in str(caught.value)

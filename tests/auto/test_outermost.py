"""Putting the middleware around an application, and who of two has the last word."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

import meshtrace
from meshtrace import MeshTrace, MeshTraceWSGI
from meshtrace.auto.outermost import Outermost, OutermostWSGI, outermost
from tests.auto.apps.called import REQUEST_ID, by_asgi, by_wsgi

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def wsgi(_environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer with the current request's id."""
    start_response("200 OK", [])
    return [str(meshtrace.current().request_id).encode()]


async def asgi(_scope: dict[str, Any], _receive: Receive, send: Send) -> None:
    """Answer with the current request's id."""
    body = str(meshtrace.current().request_id).encode()
    await send({"type": "http.response.body", "body": body})


class _Asynchronous:
    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer."""
        await asgi(scope, receive, send)


class _Awaited:
    """An application that is made for each request."""

    def __init__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Do nothing yet."""


class _RSGI:
    def __rsgi__(self, scope: object, protocol: object) -> None:
        """Serve."""

    def __call__(self, scope: object, protocol: object) -> None:
        """Look like WSGI."""


class _Unreadable:
    def __call__(self, *_: object) -> None:
        """Serve."""

    @property
    def __signature__(self) -> object:
        raise RuntimeError("unreadable")


async def _rsgi(scope: object, protocol: object) -> None: ...


def _asgi2(scope: object) -> None: ...


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        pytest.param(wsgi, OutermostWSGI, id="a WSGI function"),
        pytest.param(asgi, Outermost, id="an ASGI function"),
        pytest.param(_Asynchronous(), Outermost, id="an object with an asynchronous __call__"),
        pytest.param(_Awaited, Outermost, id="an ASGI class"),
        pytest.param(lambda *_: [], OutermostWSGI, id="a function of anything"),
    ],
)
def test_what_is_covered(app: object, kind: type) -> None:
    """An application gets the middleware of its protocol."""
    assert kind is type(outermost(app))


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(None, id="nothing"),
        pytest.param("shop:app", id="a name"),
        pytest.param(_rsgi, id="an RSGI function"),
        pytest.param(_RSGI(), id="an RSGI object"),
        pytest.param(_asgi2, id="an ASGI 2 function"),
        pytest.param(MeshTrace(asgi, incoming="ids"), id="one that has the ASGI middleware"),
        pytest.param(MeshTraceWSGI(wsgi, incoming="ids"), id="one that has the WSGI middleware"),
    ],
)
def test_what_is_left_as_it_is(app: object) -> None:
    """What speaks no protocol of ours, or has the middleware around it, is not changed."""
    assert app is outermost(app)


def test_what_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """An application that cannot be looked at is served as it is; that is one line."""
    app = _Unreadable()
    assert [app, app] == [outermost(app), outermost(app)]
    assert [
        "meshtrace run: an application is served as it is: RuntimeError('unreadable')"
    ] == caplog.messages
    assert [logging.WARNING] == [record.levelno for record in caplog.records]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, REQUEST_ID, id="none: nothing is done twice"),
        pytest.param({"incoming": "ignore"}, "None", id="options in code beat what nobody wrote"),
    ],
)
def test_an_application_with_a_line_of_its_own(options: Any, expected: str) -> None:  # noqa: ANN401 - any options
    """An inner middleware of the application's own has the last word where it has options."""
    inner_wsgi, inner = MeshTraceWSGI(wsgi, **options), MeshTrace(asgi, **options)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return inner_wsgi(environ, start_response)

    async def asynchronous(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    assert expected.encode() == by_wsgi(outermost(app))
    assert expected.encode() == asyncio.run(by_asgi(outermost(asynchronous)))

"""The ASGI middleware's ``response_header``: a relayed field, echoed to whoever called."""

import asyncio
from typing import Any

import pytest

from meshtrace import MeshTrace
from meshtrace.inbound.asgi import Message, Receive, Scope, Send
from tests.inbound.asgi_server import (
    CAME,
    Recorder,
    http,
    receive,
    send_nowhere,
    serve,
    websocket,
)

REQUEST_ID = CAME["x-request-id"].encode()
ECHO = (b"x-request-id", REQUEST_ID)
TYPE = (b"content-type", b"text/plain")


def test_echoed_once() -> None:
    """The field that was asked for is the last header of the answer; the body is as it was."""
    app = Recorder([TYPE])
    sent = serve(MeshTrace(app, response_header="X-Request-Id"), http(CAME))
    assert [
        {"type": "http.response.start", "status": 200, "headers": [TYPE, ECHO]},
        {"type": "http.response.body", "body": b"served"},
    ] == sent


def test_not_asked_for() -> None:
    """Nothing is echoed by default."""
    sent = serve(MeshTrace(Recorder([TYPE])), http(CAME))
    assert [TYPE] == sent[0]["headers"]


def test_did_not_come() -> None:
    """A field that did not come is not made up, and the server's own send is called."""
    app = Recorder()
    middleware = MeshTrace(app, response_header="x-request-id")
    asyncio.run(middleware(http({"b3": "0"}), receive, send_nowhere))
    [(_, _, send)] = app.calls
    assert send is send_nowhere


def test_came_malformed() -> None:
    """A field that was dropped is not echoed."""
    app = Recorder()
    sent = serve(MeshTrace(app, response_header="b3"), http({"b3": "<script>"}))
    assert () == tuple(sent[0]["headers"])


@pytest.mark.parametrize("name", [b"x-request-id", b"X-Request-ID"])
def test_set_by_the_application(name: bytes) -> None:
    """What the application answers under the same name, in any case, stands alone."""
    own = (name, b"the application's")
    sent = serve(MeshTrace(Recorder([TYPE, own]), response_header="x-request-id"), http(CAME))
    assert [TYPE, own] == sent[0]["headers"]


@pytest.mark.parametrize(
    "start",
    [
        pytest.param({"type": "websocket.accept", "subprotocol": None}, id="a websocket accepted"),
        pytest.param(
            {"type": "websocket.http.response.start", "status": 403, "headers": []},
            id="a websocket refused with an answer",
        ),
    ],
)
def test_websocket(start: Message) -> None:
    """A websocket's handshake is answered with the field, too; later messages are as they were."""
    text = {"type": "websocket.send", "text": "hello"}

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start)
        await send(text)

    sent = serve(MeshTrace(app, response_header="x-request-id"), websocket(CAME))
    assert [{**start, "headers": [ECHO]}, text] == sent


def test_message_is_not_changed() -> None:
    """The application's own message, and the list in it, are as it made them."""
    headers = [TYPE]
    message = {"type": "http.response.start", "status": 200, "headers": headers}

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(message)
        await send(message)

    sent = serve(MeshTrace(app, response_header="x-request-id"), http(CAME))
    assert {"type": "http.response.start", "status": 200, "headers": headers} == message
    assert [TYPE] == headers
    assert [[TYPE, ECHO]] * 2 == [message["headers"] for message in sent]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param([TYPE], [TYPE, ECHO], id="without the field"),
        pytest.param([(b"x-request-id", b"own")], [(b"x-request-id", b"own")], id="with the field"),
    ],
)
def test_headers_that_can_be_read_once(
    own: list[tuple[bytes, bytes]], expected: list[tuple[bytes, bytes]]
) -> None:
    """Headers that are an iterator reach the server all the same."""
    sent = serve(MeshTrace(Recorder(iter(own)), response_header="x-request-id"), http(CAME))
    assert expected == list(sent[0]["headers"])


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": "http.response.start", "headers": None}, id="headers that are None"),
        pytest.param({"type": "http.response.start", "headers": [(b"a",)]}, id="half a pair"),
        pytest.param({"type": "http.response.start", "headers": [(1, 2)]}, id="a name of no bytes"),
        pytest.param({"type": []}, id="a type that is no text"),
        pytest.param({}, id="no type"),
        pytest.param(None, id="no message at all"),
    ],
)
def test_strange_message(message: Any) -> None:  # noqa: ANN401 - anything at all
    """A message that the server will not understand is left to the server."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(message)

    [sent] = serve(MeshTrace(app, response_header="x-request-id"), http(CAME))
    assert sent is message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("x-b3-traceid", CAME["x-b3-traceid"], id="an id"),
        pytest.param("sw8", CAME["sw8"], id="vendor data"),
        pytest.param("end-user", "jason", id="user data that is relayed"),
    ],
)
def test_any_relayed_field(field: str, value: str) -> None:
    """Whatever is relayed can be echoed."""
    middleware = MeshTrace(Recorder(), response_header=field, forward="end-user")
    sent = serve(middleware, http({**CAME, "end-user": "jason"}))
    assert [(field.encode(), value.encode())] == sent[0]["headers"]

"""The WSGI middleware around Flask, called by Werkzeug's client, which streams as a server does."""

import io
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wsgi import FileWrapper

import meshtrace
from meshtrace import MeshTraceWSGI
from tests.inbound.wsgi_server import CAME, at_hand


@pytest.fixture
def app() -> flask.Flask:
    """Give a Flask application with the middleware."""
    app = flask.Flask("shop")
    app.wsgi_app = MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # as Flask documents it
    return app


def test_every_part_of_a_request(app: flask.Flask) -> None:
    """The request is at hand in the view and in all that Flask calls around it."""
    noted: dict[str, dict[str, str]] = {}

    def note(where: str) -> None:
        noted[where] = at_hand()

    app.before_request(lambda: note("before"))
    app.teardown_request(lambda _: note("teardown"))

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        note("after")
        response.call_on_close(lambda: note("close"))
        return response

    @app.errorhandler(LookupError)
    def handle(_: LookupError) -> str:
        note("error handler")
        return "handled"

    @app.get("/")
    def view() -> str:
        note("view")
        raise LookupError

    with app.test_client().get("/", headers=CAME) as answer:
        assert "handled" == answer.get_data(as_text=True)
    parts = ("before", "view", "error handler", "after", "teardown", "close")
    assert dict.fromkeys(parts, CAME) == noted
    assert {} == at_hand()


@pytest.mark.parametrize("keep", [flask.stream_with_context, iter], ids=["with context", "without"])
def test_a_stream(app: flask.Flask, keep: Any) -> None:  # noqa: ANN401 - it takes and gives a generator
    """A streamed answer has its request in each step, with Flask's context and without."""
    outside: list[dict[str, str]] = []

    def lines() -> Iterator[str]:
        for _ in range(2):
            yield at_hand()["x-request-id"] + "\n"

    @app.get("/")
    def view() -> flask.Response:
        return flask.Response(keep(lines()))

    with app.test_client().get("/", headers=CAME, buffered=False) as response:
        chunks = []
        for chunk in response.iter_encoded():
            outside.append(at_hand())
            chunks.append(chunk)
    assert [CAME["x-request-id"].encode() + b"\n"] * 2 == chunks
    assert [{}, {}] == outside


def test_a_client_that_leaves(app: flask.Flask) -> None:
    """When a client leaves in the midst of a stream, the generator ends with its request."""
    ended: list[dict[str, str]] = []

    def lines() -> Iterator[str]:
        try:
            yield "first"
            yield "never sent"
        finally:
            ended.append(at_hand())

    app.add_url_rule("/", view_func=lambda: flask.Response(flask.stream_with_context(lines())))
    with app.test_client().get("/", headers=CAME, buffered=False) as response:
        assert b"first" == next(iter(response.iter_encoded()))
    assert [CAME] == ended


def test_the_request_object(app: flask.Flask) -> None:
    """Flask's request gives its context back where something else is current."""

    @app.get("/")
    def view() -> dict[str, str]:
        with meshtrace.detached(), meshtrace.use(flask.request):
            return at_hand()

    assert CAME == app.test_client().get("/", headers=CAME).json


def test_a_file(app: flask.Flask) -> None:
    """What Flask sends as a file is the server's file wrapper, untouched."""
    app.add_url_rule("/", view_func=lambda: flask.send_file(io.BytesIO(b"file"), "text/plain"))
    environ = app.test_client().get("/").request.environ
    body = app.wsgi_app({**environ, "wsgi.file_wrapper": FileWrapper}, lambda *_: print)
    assert FileWrapper is type(body)
    assert [b"file"] == list(body)


def test_mounted_applications(app: flask.Flask) -> None:
    """Several applications behind one middleware each see the request; a second is no more."""
    app.add_url_rule("/", view_func=at_hand)
    mounted = MeshTraceWSGI(DispatcherMiddleware(app.wsgi_app, {"/inner": app.wsgi_app}))
    client = Client(mounted)
    assert [CAME, CAME] == [client.get(path, headers=CAME).json for path in ("/", "/inner/")]
    assert {} == client.get("/inner/").json

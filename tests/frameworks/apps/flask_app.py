"""Flask: views of both kinds, streams, error handlers, blueprints."""

from collections.abc import Iterator

from flask import Blueprint, Flask, request, stream_with_context

import meshtrace
from tests.frameworks.apps.calls import call, call_async

app = Flask(__name__)
below = Blueprint("below", __name__, url_prefix="/mounted")


class WrongError(Exception):
    """What a handler of the application's is there for."""


@below.get("/sync")
@app.get("/sync")
def plain() -> str:
    """Call from a view."""
    return call(request.args["id"])


@app.get("/async")
async def asynchronous() -> str:
    """Call from an asynchronous view."""
    return await call_async(request.args["id"])


@app.get("/stream")
def stream() -> Iterator[str]:
    """Call while the body is sent."""

    def body() -> Iterator[str]:
        yield "a"
        yield call(request.args["id"])

    return stream_with_context(body())


@app.get("/wrong")
def wrong() -> str:
    """Fail with what the application has a handler for."""
    raise WrongError


@app.get("/crash")
def crash() -> str:
    """Fail with what nobody foresaw."""
    raise ZeroDivisionError


@app.errorhandler(WrongError)
def on_wrong(_error: WrongError) -> tuple[str, int]:
    """Call from an error handler."""
    return call(request.args["id"]), 400


@app.errorhandler(500)
def on_crash(_error: Exception) -> tuple[str, int]:
    """Call from the handler of errors 500."""
    return call(request.args["id"]), 500


app.register_blueprint(below)
app.wsgi_app = meshtrace.MeshTraceWSGI(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way

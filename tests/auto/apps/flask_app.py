"""Flask."""

from flask import Flask

from tests.auto.apps.calls import call

app = Flask(__name__)


@app.get("/")
def index() -> bytes:
    """Answer with what a call carries."""
    return call()

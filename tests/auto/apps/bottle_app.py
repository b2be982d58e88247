"""Bottle."""

import bottle

from tests.auto.apps.calls import call

app = bottle.Bottle()


@app.get("/")  # type: ignore[untyped-decorator]  # Bottle has no types
def index() -> bytes:
    """Answer with what a call carries."""
    return call()

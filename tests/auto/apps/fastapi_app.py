"""FastAPI, from a thread."""

from fastapi import FastAPI, Response

from tests.auto.apps.calls import call

app = FastAPI()


@app.get("/")
def index() -> Response:
    """Answer with what a call carries."""
    return Response(call())

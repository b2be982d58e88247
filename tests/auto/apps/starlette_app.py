"""Starlette."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.auto.apps.calls import call


async def index(_request: Request) -> Response:
    """Answer with what a call carries."""
    return Response(call())


app = Starlette(routes=[Route("/", index)])

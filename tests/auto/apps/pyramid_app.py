"""Pyramid."""

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from tests.auto.apps.calls import call


def index(_request: Request) -> Response:
    """Answer with what a call carries."""
    return Response(call())


with Configurator() as config:
    config.add_route("index", "/")
    config.add_view(index, route_name="index")
    app = config.make_wsgi_app()

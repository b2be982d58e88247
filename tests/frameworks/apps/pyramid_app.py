"""Pyramid."""

from collections.abc import Iterator
from typing import Any

from pyramid.config import Configurator
from pyramid.response import Response

import meshtrace
from tests.frameworks.apps.calls import call


class WrongError(Exception):
    """What a view of the application's is there for."""


def plain(request: Any) -> Response:  # noqa: ANN401 - Pyramid has no types
    """Call from a view."""
    return Response(call(request.GET["id"]))


def stream(request: Any) -> Response:  # noqa: ANN401 - Pyramid has no types
    """Call while the body is sent."""

    def body() -> Iterator[bytes]:
        yield b"a"
        yield call(request.GET["id"]).encode()

    return Response(app_iter=body())


def wrong(_request: Any) -> Response:  # noqa: ANN401 - Pyramid has no types
    """Fail with what the application has a view for."""
    raise WrongError


def on_wrong(_error: WrongError, request: Any) -> Response:  # noqa: ANN401 - Pyramid has no types
    """Call from an exception view."""
    return Response(call(request.GET["id"]), status=400)


with Configurator() as config:
    for name, view in (("sync", plain), ("stream", stream), ("wrong", wrong)):
        config.add_route(name, f"/{name}")
        config.add_view(view, route_name=name)
    config.add_exception_view(on_wrong, context=WrongError)
    app = meshtrace.MeshTraceWSGI(config.make_wsgi_app())

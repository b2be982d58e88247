"""Bottle."""

# mypy: disable-error-code="untyped-decorator"

from collections.abc import Iterator

import bottle

import meshtrace
from tests.frameworks.apps.calls import call

shop = bottle.Bottle()
below = bottle.Bottle()


@below.get("/sync")
@shop.get("/sync")
def plain() -> str:
    """Call from a view."""
    return call(bottle.request.query["id"])


@shop.get("/stream")
def stream() -> Iterator[str]:
    """Call while the body is sent."""
    yield "a"
    yield call(bottle.request.query["id"])


@shop.get("/crash")
def crash() -> str:
    """Fail with what nobody foresaw."""
    raise ZeroDivisionError


@shop.error(500)
def on_crash(_error: Exception) -> str:
    """Call from the handler of errors 500."""
    return call(bottle.request.query["id"])


shop.mount("/mounted/", below)
app = meshtrace.MeshTraceWSGI(shop)

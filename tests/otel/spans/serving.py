"""A request that is served, during which something is called."""

from collections.abc import Callable, Iterable
from typing import Any

from meshtrace import MeshTraceWSGI
from tests.formats.strategies import SPAN, TRACE

__all__ = ["CAME", "Call", "environ", "serve"]

CAME = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "x-b3-traceid": TRACE,
    "x-b3-spanid": SPAN,
    "x-b3-sampled": "1",
}
Call = Callable[[str], int]
"""Calls a URL, and gives the status."""


def environ(came: dict[str, str], **more: str) -> dict[str, Any]:
    """Give the environ of a request with these headers."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in came.items()}
    return {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"} | headers | more


def serve(call: Callable[[], object], came: dict[str, str] | None = None) -> None:
    """Serve a request, with a call while it is served."""

    def app(_: object, start_response: Callable[..., object]) -> Iterable[bytes]:
        call()
        start_response("200 OK", [])
        return [b""]

    MeshTraceWSGI(app)(environ(CAME if came is None else came), lambda *_: len)

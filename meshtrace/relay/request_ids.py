"""
Request ids of which a library of the application's has made its own.

Envoy keeps its sampling decision in ``x-request-id``, so an id of somebody else's making loses it.
"""

import logging
import re
import sys
from collections.abc import Iterator

from meshtrace import notices

__all__ = ["look_at_call", "look_at_request"]

_is_generated = re.compile("[0-9a-f]{32}").fullmatch
"""Such libraries make ids without dashes, and Envoy never does."""


def look_at_call(value: str, came: str) -> None:
    """
    Warn, once, if the id that a call carries is a library's, and not the one that came.

    Args:
        value: The id on the call, which its caller has set.
        came: The id that the request brought.

    >>> look_at_call("a", "b")
    """
    for library, held in _held():
        if value == held != came:
            notices.once(
                logging.WARNING,
                ("request id of a call", library),
                "meshtrace: a call carries an x-request-id that %s has made, and not Envoy's, "
                "which came: Envoy keeps its sampling decision there. "
                "Do not set it on calls: meshtrace adds the one that came.",
                library,
            )


def look_at_request(came: str | None) -> bool:
    """
    Warn, once, if the id that a request brings is a library's.

    Args:
        came: The id, as the middleware found it.

    Returns:
        Whether the next request is to be looked at, too.

    >>> look_at_request("a") == ("asgi_correlation_id" in sys.modules)
    True
    """
    if "asgi_correlation_id" not in sys.modules:
        return False
    if came is None or not _is_generated(came):
        return True
    for library, held in _held():
        if came == held:
            notices.once(
                logging.WARNING,
                ("request id", library),
                "meshtrace: x-request-id is %s's, which has replaced Envoy's before meshtrace saw "
                "it: Envoy keeps its sampling decision there. "
                "Put MeshTrace outside of it: app.add_middleware(MeshTrace) as the last one.",
                library,
            )
            return False
    return True


def _held() -> Iterator[tuple[str, object]]:
    """Give the libraries, and the id that each of them holds for this request."""
    try:
        correlation = sys.modules.get("asgi_correlation_id")
        if correlation is not None:
            yield "asgi-correlation-id", correlation.correlation_id.get()
        starlette_context = sys.modules.get("starlette_context")
        if starlette_context is not None and starlette_context.context.exists():
            yield "starlette-context", starlette_context.context.get("X-Request-ID")
    except Exception:  # noqa: BLE001 - the call must go on
        notices.fault("asking a library for its request id")

"""
What meshtrace says in the log: each thing once a process, and never a header's value.

This is also where the two halves of meshtrace, the middleware and the clients, learn of each other,
so that a missing half is said instead of being searched for.
"""

import logging
import sys

__all__ = [
    "client_ready",
    "client_sent_without_context",
    "fault",
    "is_news",
    "middleware_ready",
    "once",
    "ready",
    "request_came",
    "request_ended_with_ids",
    "reset",
    "unsupported",
]

logger = logging.getLogger("meshtrace")

_MOST = 500
"""A host name may come from outside: what was said is remembered, but not without end."""

_said: set[object] = set()
_clients: list[str] = []
_came = False
_middleware_ready = False


def once(level: int, key: object, message: str, *args: object) -> None:
    """
    Log *message* unless something with the same *key* was logged before.

    >>> once(logging.DEBUG, "example", "said %s", "once")
    """
    if is_news(key):
        _said.add(key)
        logger.log(level, message, *args)


def is_news(key: object) -> bool:
    """
    Tell whether `once` would log something with this *key*.

    >>> once(logging.DEBUG, "another example", "said")
    >>> is_news("another example")
    False
    """
    return key not in _said and len(_said) < _MOST


def unsupported(library: str, version: str, oldest: str) -> None:
    """
    Warn, once, that a library is older than what is supported, and is left as it is.

    Args:
        library: Its name.
        version: The version that is there.
        oldest: The oldest that is supported.
    """
    once(
        logging.WARNING,
        ("version", library),
        "meshtrace: %s %s is not supported, and works as without meshtrace; supported: %s or later",
        library,
        version,
        oldest,
    )


def fault(doing: str) -> None:
    """
    Log the exception being handled: a fault of meshtrace that must not become the application's.

    Args:
        doing: What failed.
    """
    if doing not in _said:
        _said.add(doing)
        logger.warning(
            "meshtrace: a fault while %s; going on without",
            doing,
            exc_info=sys.exception(),
        )


def client_ready(name: str) -> None:
    """Note that a client library was wrapped or patched, or that its headers were asked for."""
    if name not in _clients:
        _clients.append(name)


def ready() -> tuple[str, ...]:
    """Give what `client_ready` was told, in order."""
    return tuple(_clients)


def middleware_ready() -> None:
    """
    Note that a middleware will be there before the first request.

    A call before it, or in a process that serves none, is then no sign of a missing half.
    """
    global _middleware_ready  # noqa: PLW0603 - a process has one such fact
    _middleware_ready = True


def request_came(settings: object) -> None:
    """
    Note that a middleware runs; at the first request, say what is on.

    Args:
        settings: The settings; as text, they say what is on.
    """
    global _came  # noqa: PLW0603 - a process has one such fact
    _came = True
    if "on" not in _said:
        clients = ", ".join(_clients) or "none yet"
        once(logging.INFO, "on", "meshtrace is on: %s; clients: %s", settings, clients)


def request_ended_with_ids() -> None:
    """Note the end of a request that brought ids: half is missing if no client is ready."""
    if not _clients:
        once(
            logging.WARNING,
            "no client",
            "meshtrace: trace headers came in, but no HTTP client is wrapped or patched, "
            "so none go out. "
            "Call meshtrace.patch() at start-up, or meshtrace.wrap(session). "
            "(A service that calls no other may ignore this.)",
        )


def client_sent_without_context() -> None:
    """Note a call outside any request: half is missing if no middleware ever ran."""
    if not _came:
        once(
            logging.INFO if _middleware_ready else logging.WARNING,
            "no middleware",
            "meshtrace: a call went out without trace headers: no middleware ever ran here. "
            "Add app.add_middleware(MeshTrace), "
            "or wrap the application in MeshTrace or MeshTraceWSGI. "
            "(A process that serves no requests may ignore this.)",
        )


def reset() -> None:
    """Forget everything: as after a start. For tests."""
    global _came, _middleware_ready  # noqa: PLW0603 - a process has one of each
    _came = _middleware_ready = False
    _said.clear()
    _clients.clear()

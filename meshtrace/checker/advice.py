"""What to write into a service's command, so that it listens where the checker looks."""

from collections.abc import Iterable
from pathlib import PurePath

__all__ = ["where_to_listen"]

_PLACES = {
    "daphne": "-p {port}",
    "fastapi": "--port {port}",
    "flask": "--port {port}",
    "granian": "--port {port}",
    "gunicorn": "--bind 127.0.0.1:{port}",
    "hypercorn": "--bind 127.0.0.1:{port}",
    "manage.py": "127.0.0.1:{port}",
    "uvicorn": "--port {port}",
    "uwsgi": "--http 127.0.0.1:{port}",
    "waitress-serve": "--listen=127.0.0.1:{port}",
}


def where_to_listen(command: Iterable[str]) -> str:
    """
    Say how a command is told its port.

    Args:
        command: The words of it, as they were given.

    Returns:
        An empty text where no program in it is known.

    >>> where_to_listen(["meshtrace", "run", "flask", "run"])
    'if its port is the trouble, have a free one: add to the command of flask: --port {port}'
    """
    for name in (PurePath(word).name for word in command):
        if name in _PLACES:
            add = f"add to the command of {name}: {_PLACES[name]}"
            return f"if its port is the trouble, have a free one: {add}"
    return ""

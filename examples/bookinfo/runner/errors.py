"""What can go wrong in front of the user's eyes."""

from __future__ import annotations

from collections.abc import Sequence


class DemoError(Exception):
    """The demo cannot go on. Its text is one line; *output* is what the culprit said last."""

    def __init__(self, message: str, output: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.output = tuple(output)


class PortInUseError(DemoError):
    """Somebody else listens where we wanted to."""

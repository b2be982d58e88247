"""Why there is nothing to report."""

from collections.abc import Sequence

from meshtrace.errors import MeshTraceError

__all__ = ["CannotCheckError"]


class CannotCheckError(MeshTraceError):
    """
    The service could not be checked.

    Args:
        reason: Why, in a line.
        output: The last lines of what the service said.
        advice: What to write instead, where that is known.

    >>> CannotCheckError("port 8000 is in use").output
    ()
    """

    def __init__(self, reason: str, output: Sequence[str] = (), advice: str = "") -> None:
        super().__init__(reason)
        self.output = tuple(output)
        self.advice = advice

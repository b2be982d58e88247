"""
What the recorder answers: ``--answer [PATTERN=]FILE``.

    --answer ratings.json                      every call gets this body
    --answer 'ratings/*=ratings.json'          calls of ratings do
    --answer 'ratings/*=503'                   a status, without a body

A pattern is compared with host and path, with and without the port. Given again, a pattern's
answers are used in turn, and the last one from then on.
"""

import fnmatch
import mimetypes
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

__all__ = ["Answer", "Answers"]


class Answer(NamedTuple):
    """
    One answer.

    Attributes:
        status: The HTTP status.
        kind: The content type.
        body: The body.
    """

    status: int
    kind: str
    body: bytes


_DEFAULT = Answer(200, "application/json", b"{}")


class Answers:
    """
    Which call gets which answer.

    Args:
        given: The options' texts.

    Raises:
        OSError: A file cannot be read.
        ValueError: A status is none.

    >>> Answers(["ratings/*=503"]).to("ratings", 9080, "/ratings/0").status
    503
    >>> Answers([]).to("ratings", 9080, "/ratings/0").body
    b'{}'
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._turns: dict[str, list[Answer]] = {}
        for text in given:
            pattern, separator, what = text.rpartition("=")
            self._turns.setdefault(pattern if separator else "*", []).append(_read(what))

    def to(self, host: str, port: int, path: str) -> Answer:
        """Give the answer to a call."""
        path = path.partition("?")[0]
        for pattern, turns in self._turns.items():
            if any(
                fnmatch.fnmatchcase(where + path, pattern) for where in (host, f"{host}:{port}")
            ):
                return turns.pop(0) if len(turns) > 1 else turns[0]
        return _DEFAULT


def _read(what: str) -> Answer:
    if what.isdecimal() and not Path(what).exists():
        try:
            return Answer(HTTPStatus(int(what)).value, "text/plain", b"")
        except ValueError:
            raise ValueError(f"{what} is no HTTP status") from None
    kind = mimetypes.guess_type(what)[0] or "text/plain"
    return Answer(200, kind, Path(what).read_bytes())

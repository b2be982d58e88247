"""How the contract suite serves with an inbound room: through a driver, one for each way."""

import asyncio
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

import meshtrace

__all__ = ["PARTS", "REVIEWS", "Answer", "Driver", "Lines", "Meeting", "report"]

REVIEWS = "http://reviews:9080/reviews/0"
"""A call to a host of the mesh, which may have everything that came."""

PARTS = 3
"""The reports that ``/stream`` gives."""

_SECONDS = 30

Lines = Sequence[tuple[str, str]]
"""The header lines of a request."""


def report() -> str:
    """Say, in a line, what a call to a host of the mesh would have now."""
    return json.dumps(meshtrace.headers(REVIEWS)) + "\n"


@dataclass(frozen=True)
class Answer:
    """
    What a client gets.

    Attributes:
        status: The status; 500 also where the handler's exception reached the server.
        headers: The headers, names in lower case.
        seen: What each `report` in the body says, in order.
    """

    status: int
    headers: dict[str, str]
    seen: list[dict[str, str]]

    @classmethod
    def of(cls, status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Self:
        """Read an answer, in which no header comes twice."""
        pairs = [(name.lower(), value) for name, value in headers]
        assert sorted(dict(pairs)) == sorted(name for name, _ in pairs)
        reports = body.decode().splitlines() if status == 200 else []
        return cls(status, dict(pairs), [json.loads(line) for line in reports])


class Meeting:
    """
    Where handlers wait for each other, so that their requests are served at the same time.

    Args:
        expected: How many.
    """

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._lock = threading.Lock()
        self._complete = threading.Event()

    def wait(self) -> None:
        """Wait in a thread."""
        self._arrive()
        assert self._complete.wait(_SECONDS)

    async def wait_async(self) -> None:
        """Wait in a task; the tasks may be in event loops of their own."""
        self._arrive()
        deadline = time.monotonic() + _SECONDS
        while not self._complete.is_set():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)

    def _arrive(self) -> None:
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._complete.set()


class Driver(ABC):
    """
    Serves, with one room in one way, an application that has these paths.

    ``/`` gives a `report`. ``/user`` sets ``end-user`` to ``alice`` by `meshtrace.set_header`, and
    gives one. ``/stream`` gives a body of `PARTS` reports, made while it is sent. ``/error`` raises
    a `ZeroDivisionError`. ``/use`` gives a report made in ``meshtrace.use(request)``, under
    `meshtrace.detached`. ``/meet`` gives a report, waits at the `meeting`, and gives another.

    Args:
        nested: Whether the room is to be put around the application twice.
        options: The options of the room.

    Attributes:
        name: What it serves with, in words.
        meeting: Where the handlers of ``/meet`` wait.
    """

    name: ClassVar[str]

    def __init__(self, *, nested: bool = False, **options: Any) -> None:  # noqa: ANN401 - see `Settings`
        self.nested = nested
        self.options = options
        self.meeting = Meeting(0)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @abstractmethod
    def open(self, stack: ExitStack) -> None:
        """Make the application, with the room around it, and what serves it."""

    @abstractmethod
    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask, where the last request was served: on its connection, in its thread."""

    @abstractmethod
    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask so many times at once."""

    @abstractmethod
    def outside(self) -> dict[str, str]:
        """Give what is at hand, where the last request was served, when none is."""

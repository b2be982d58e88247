"""
What the checked processes say of themselves, over a connection of their own.

One JSON object a line. ``{"note": {...}}`` tells of a request that is about to be sent,
``{"where": ["ratings", 9080]}`` asks for the port of the recorder that stands for a place, and
``{"hello": {...}}`` says that the interpreter is watched at all.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from meshtrace.checker.calls import Call, Note
from meshtrace.checker.http1 import held

__all__ = ["Notes"]

_LIMIT = 1 << 20


class Notes:
    """
    The notes of one check.

    Args:
        place: Gives the recorder's port for a host and a port.

    Attributes:
        hellos: What each interpreter said when it started.
    """

    def __init__(self, place: Callable[[str, int], Awaitable[int]]) -> None:
        self.hellos: list[dict[str, Any]] = []
        self._place = place
        self._notes: dict[int, list[Note]] = defaultdict(list)
        self._places: dict[tuple[str, int], int] = {}
        self._lock = asyncio.Lock()

    async def listen(self) -> int:
        """Begin, and give the port."""
        self._server = await asyncio.start_server(held(self._serve), "127.0.0.1", 0, limit=_LIMIT)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """End."""
        self._server.close()

    def attach(self, calls: Iterable[Call]) -> None:
        """Give each call the note that was made of it."""
        for call in calls:
            port, number = call.line
            notes = self._notes[port]
            if number < len(notes):
                call.note = notes[number]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What is cut off is of a process that was ended while it spoke.
        while (line := await reader.readline()).endswith(b"\n"):
            said = json.loads(line)
            if "note" in said:
                note = said["note"]
                self._notes[note.pop("port")].append(_note(note))
            elif "where" in said:
                port = await self._where(*said["where"])
                writer.write(json.dumps({"port": port}).encode() + b"\n")
                await writer.drain()
            else:
                self.hellos.append(said["hello"])

    async def _where(self, host: str, port: int) -> int:
        async with self._lock:
            place = self._places.get((host, port)) or await self._place(host, port)
            self._places[host, port] = place
        return place


def _note(said: dict[str, Any]) -> Note:
    return Note(**{**said, "frames": tuple(said["frames"])})

"""What checked processes say of themselves."""

import asyncio
import json
from typing import Any

from meshtrace.checker.notes import Notes
from tests.checker.judging import FACTS, call


async def _say(port: int, *said: dict[str, Any]) -> list[Any]:
    """Say several things as one process, and give the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in said:
        writer.write(f"{json.dumps(each)}\n".encode())
    writer.write_eof()
    answers = [json.loads(line) async for line in reader]
    writer.close()
    return answers


def test_notes_find_their_calls() -> None:
    """The nth note of a connection is of the nth call on it."""
    note = {"frames": ["shop.py:7 in show"], "client": "httpx", "facts": FACTS}

    async def run() -> None:
        notes = Notes(_nowhere)
        port = await notes.listen()
        assert [] == await _say(
            port, {"hello": {"pid": 1}}, {"note": {**note, "port": 5000, "thread": "T"}}
        )
        first, second, other = call([]), call([]), call([])
        first.line, second.line, other.line = (5000, 0), (5000, 1), (5001, 0)
        notes.attach([first, second, other])
        notes.close()
        assert [{"pid": 1}] == notes.hellos
        assert (None, None) == (second.note, other.note)
        assert first.note is not None
        assert (("shop.py:7 in show",), "T") == (first.note.frames, first.note.thread)

    asyncio.run(run())


def test_places_are_asked_for_once() -> None:
    """All processes of a service are told the same port for the same place."""
    asked = []

    async def place(host: str, port: int) -> int:
        asked.append((host, port))
        return 7000 + len(asked)

    async def run() -> None:
        notes = Notes(place)
        port = await notes.listen()
        for _ in range(2):
            assert [{"port": 7001}, {"port": 7002}] == sorted(
                await _say(port, {"where": ["a", 80]}, {"where": ["b", 80]}), key=str
            )
        notes.close()

    asyncio.run(run())
    assert [("a", 80), ("b", 80)] == asked


def test_half_a_word() -> None:
    """What a process said when it was ended is left alone."""

    async def run() -> None:
        notes = Notes(_nowhere)
        port = await notes.listen()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"note": ')
        writer.write_eof()
        assert b"" == await reader.read()
        writer.close()
        notes.close()

    asyncio.run(run())


async def _nowhere(host: str, port: int) -> int:
    raise AssertionError((host, port))

"""All probes are sent, and the calls of each are waited for."""

import asyncio
import itertools

from meshtrace.checker.answers import Answers
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Request
from meshtrace.checker.recorder import Recorder
from meshtrace.checker.sending import Sender


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with_more = True
    while with_more:
        with_more = bool((await reader.read(1 << 16)).endswith(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 204\r\n\r\n")
    writer.close()


def test_what_cannot_be_learned_is_left() -> None:
    """A probe is sent again when something was in its way, but not for ever."""
    lessons = itertools.count()

    async def learn() -> bool:
        next(lessons)
        return True

    async def run() -> Sender:
        plan = Plan((Request(),), providers=("zipkin",))
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        async with Recorder(Answers([])) as recorder:
            sender = Sender(plan, recorder, lambda _: None, learn)
            port = server.sockets[0].getsockname()[1]
            await sender.send_all("127.0.0.1", port, lambda: None)
        server.close()
        return sender

    sender = asyncio.run(run())
    assert 15 == len(sender.outcomes)
    assert 3 * 8 == next(lessons)

"""The service that is checked: started, waited for, and ended with all that it has started."""

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from typing import Self

from meshtrace.checker import listening
from meshtrace.checker.errors import CannotCheckError

__all__ = ["Service"]

_LAST_LINES = 12
_POLL = 0.03
_GRACE = 3.0
_SETTLE = 0.1
_LOOPBACK = ("127.0.0.1", "::1")


class Service:
    """
    A command that runs, with its output kept.

    Leaving the block ends it, first politely.

    Args:
        command: The command and its arguments.
        environment: Its environment.
        mark: A variable in it that is this service's alone.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], mark: str) -> None:
        self._command = command
        self._environment = environment
        self._mark = f"{mark}={environment[mark]}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end of the block

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._output,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(self._environment),
                start_new_session=True,
            )
        except OSError as error:
            self._output.close()
            raise CannotCheckError(
                f"the command does not start: {self._command[0]}: {error.strerror}"
            ) from None
        return self

    async def __aexit__(self, *_error: object) -> None:
        try:
            await self._end()
        finally:
            self._output.close()

    def lines(self) -> list[str]:
        """Give the last lines of its output."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]

    def check(self) -> None:
        """
        Make sure that it is still there.

        Raises:
            CannotCheckError: It has ended.
        """
        status = self._process.returncode
        if status is not None:
            raise CannotCheckError(f"the command {_how(status)}: {self}", self.lines())

    async def listens(self, port: int | None, seconds: float) -> tuple[str, int]:
        """
        Wait until it takes connections.

        Args:
            port: Where it will; None means that it is to be found.
            seconds: The longest to wait.

        Returns:
            The loopback address and the port.

        Raises:
            CannotCheckError: It has ended, listens on several ports, or never listens.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            self.check()
            chosen = port or await self._found()
            if chosen:
                for host in _LOOPBACK:
                    with contextlib.suppress(OSError):
                        socket.create_connection((host, chosen), timeout=1).close()
                        return host, chosen
            await asyncio.sleep(_POLL)
        what = f"on port {port} " if port else ""
        raise CannotCheckError(
            f"the command did not listen {what}within {seconds:g} s: {self}", self.lines()
        )

    async def _found(self) -> int | None:
        if not listening.is_supported():
            raise CannotCheckError("this system does not tell where a process listens: say --port")
        if not listening.ports(self._mark):
            return None
        # It may be about to open another one.
        await asyncio.sleep(_SETTLE)
        found = listening.ports(self._mark)
        said = [port for port in found if any(str(port) in word for word in self._command)]
        if len(found) > 1 and len(said) != 1:
            ports = ", ".join(map(str, found))
            raise CannotCheckError(f"the command listens on several ports ({ports}): say --port")
        return next(iter(said or found), None)

    async def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone(), _GRACE)

    async def _gone(self) -> None:
        await self._process.wait()
        while self._left():  # noqa: ASYNC110 - the kernel has no event for it
            await asyncio.sleep(_POLL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        for pid in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _left(self) -> list[int]:
        """Give what is left of it: also what has gone into a session of its own."""
        return listening.marked(self._mark) if listening.is_supported() else []

    def __str__(self) -> str:
        return shlex.join(self._command)


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"

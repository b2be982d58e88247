"""
The guard: leads the process group that holds everything we start, and ends it when we are gone.

Its standard input is a pipe that only we hold open. Whatever way we end, Ctrl-C, a crash or
SIGKILL, the pipe closes, and the guard takes the group and its temporary directory away. It works
the same on Linux and on macOS, and nobody has to know what was running. It runs as a script, so
that it starts in no time: ``python guard.py DIRECTORY``.
"""

import os
import shutil
import signal
import sys
import time

GRACE = 2.0


def main() -> None:
    """Wait for the pipe to close, then end the group: politely first, then not."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    while sys.stdin.buffer.read(1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()

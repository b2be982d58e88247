"""
``meshtrace run COMMAND``: a service relays trace headers without a line of code.

The command takes the place of this process, so that its signals and its exit status are its own.
"""

import os
import sys

from meshtrace import pythonpath

__all__ = ["main"]

_USAGE = """\
usage: meshtrace run COMMAND [ARGUMENT...]

Runs COMMAND (uvicorn, gunicorn, python, flask, ...) with meshtrace's middleware around the
applications it serves, and its HTTP clients patched. Settings are MESHTRACE_* variables;
MESHTRACE_DISABLED=1 runs COMMAND as it is.

exit status: that of COMMAND; 127: not found; 126: cannot be run; 125: no COMMAND"""

_MISUSED = 125
_CANNOT_RUN = 126
_NOT_FOUND = 127
"""As env(1) and nohup(1) have them."""


def main(arguments: list[str]) -> int:
    """
    Become the command, with meshtrace in each Python that it starts.

    Args:
        arguments: The command and its arguments.

    Returns:
        The exit status, where there is no command to become.

    >>> main(["--help"])  # doctest: +ELLIPSIS
    usage: meshtrace run COMMAND [ARGUMENT...]
    ...
    0
    """
    option = arguments[0] if arguments and arguments[0].startswith("-") else None
    if option in ("-h", "--help"):
        sys.stdout.write(f"{_USAGE}\n")
        return 0
    command = arguments[1:] if option == "--" else arguments
    if option not in (None, "--"):
        return _refuse(_MISUSED, f"unknown option {option}; options of COMMAND come after it")
    if not command:
        return _refuse(_MISUSED, "no command: meshtrace run COMMAND [ARGUMENT...]")
    environment = {**os.environ, "PYTHONPATH": pythonpath.put_on(os.environ)}
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - that is what was asked for
    except (FileNotFoundError, NotADirectoryError):
        return _refuse(_NOT_FOUND, f"{command[0]}: not found")
    except OSError as error:
        hint = f" (python {command[0]}?)" if command[0].endswith(".py") else ""
        return _refuse(_CANNOT_RUN, f"{command[0]}: {error.strerror}{hint}")


def _refuse(status: int, reason: str) -> int:
    sys.stderr.write(f"meshtrace run: {reason}\n")
    return status

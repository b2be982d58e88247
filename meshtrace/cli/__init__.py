"""The command ``meshtrace``: what is asked for is loaded, and nothing else."""

import importlib
import sys

import meshtrace

__all__ = ["main"]

_COMMANDS = ("run", "check")

_USAGE = """\
usage: meshtrace run COMMAND [ARGUMENT...]    run a service, with trace headers relayed
       meshtrace check ...                    see which trace headers a service loses
       meshtrace COMMAND --help | --help | --version"""

_MISUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """
    Do what the command line says.

    Args:
        arguments: What follows ``meshtrace``; None means ``sys.argv``.

    Returns:
        The exit status.

    >>> main(["--version"]) == 0
    meshtrace 0.1.0
    True
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in _COMMANDS:
        status: int = importlib.import_module(f"meshtrace.cli.{command}").main(rest)
        return status
    if command in ("-h", "--help"):
        sys.stdout.write(f"{_USAGE}\n")
    elif command in ("-V", "--version"):
        sys.stdout.write(f"meshtrace {meshtrace.__version__}\n")
    else:
        unknown = f"meshtrace: {command!r} is not one of {', '.join(_COMMANDS)}\n"
        sys.stderr.write(f"{unknown if command else ''}{_USAGE}\n")
        return _MISUSED
    return 0

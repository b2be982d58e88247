"""
``meshtrace check -- COMMAND``: what a service, in any language, does to the trace headers.

Exit status: 0 everything that has to go on does, 1 something does not, 2 it could not be checked.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from meshtrace.checker import options, report, surroundings, ways
from meshtrace.checker.check import Checked, check
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.findings import find
from meshtrace.checker.isolation import namespace
from meshtrace.checker.plan import Plan

__all__ = ["main"]

_COULD_NOT = 2
_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """
    Check a service.

    Args:
        arguments: What follows ``meshtrace check``.

    Returns:
        The exit status.

    >>> main(["--path", "/product"])
    2
    """
    try:
        return _main(arguments)
    except SystemExit as exit_:
        return int(exit_.code or 0)


def _main(arguments: list[str]) -> int:
    given = options.parse(arguments)
    if given.env == [None]:
        sys.stdout.write(surroundings.as_text() + "\n")
        return 0
    try:
        plan = options.plan(given)
        outside = namespace.Outside(given.inside) if given.inside else None
        way = ways.choose(given.isolate, plan, inside=outside is not None)
        if way.flags:
            return namespace.enter(arguments, options.INSIDE, way.flags, _may_dial(plan))
        checked = asyncio.run(_run(plan, outside, _progress()))
    except CannotCheckError as error:
        return _cannot(error, as_json=given.json)
    except KeyboardInterrupt:
        return _INTERRUPTED
    findings = find(plan, checked)
    said = way.said(checked)
    if given.json:
        sys.stdout.write(json.dumps(report.as_json(plan, checked, findings, said), indent=2) + "\n")
    else:
        sys.stdout.write(report.as_text(plan, checked, findings, said) + "\n")
    return findings.status


async def _run(
    plan: Plan, outside: namespace.Outside | None, progress: Callable[[str], None]
) -> Checked:
    checking = asyncio.create_task(check(plan, outside, progress))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, checking.cancel)
    if outside is not None:
        outside.when_it_ends(checking.cancel)
    try:
        return await checking
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        progress("")


def _may_dial(plan: Plan) -> Callable[[str], bool]:
    allowed = plan.forward_to.partition(":")[0]
    return lambda host: bool(allowed) and host == allowed


def _progress() -> Callable[[str], None]:
    if not sys.stderr.isatty():
        return lambda _said: None

    def show(said: str) -> None:
        # Back to the beginning of the line, and nothing after it.
        sys.stderr.write(f"\r\x1b[K{said[:78]}")
        sys.stderr.flush()

    return show


def _cannot(error: CannotCheckError, *, as_json: bool) -> int:
    if as_json:
        said: dict[str, Any] = {"status": _COULD_NOT, "error": str(error), **vars(error)}
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
    sys.stderr.write(f"meshtrace check: {error}\n")
    for line in error.output:
        sys.stderr.write(f"  | {line}\n")
    if error.advice:
        sys.stderr.write(f"  {error.advice}\n")
    return _COULD_NOT

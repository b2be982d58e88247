"""
What ``meshtrace run`` puts in front of PYTHONPATH: every Python below it runs this at its start.

It may be any Python, older than meshtrace and without it; so this file is written for all of them,
and is silent where there is no meshtrace.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

import os
import sys

_THIS = sys.modules["sitecustomize"]  # Python 2 empties a module that nobody holds


def _run_the_next():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - the user's
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
        sys.modules["sitecustomize"] = _THIS


def _start():
    if sys.version_info < (3, 11):
        return
    try:
        from meshtrace.auto import start  # noqa: PLC0415 - there may be none

        start()
    except Exception as error:  # noqa: BLE001 - the application starts in any case
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing not in ("meshtrace", "meshtrace.auto"):
            sys.stderr.write("meshtrace: not started: %r\n" % (error,))


try:
    _run_the_next()
finally:
    _start()

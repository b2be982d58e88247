"""
Runs at the start of every Python that ``meshtrace check`` starts: its directory is on the path.

What is here runs in the checked service's interpreter, which may be another Python without
meshtrace: it uses the standard library alone, and a fault of its own must not become the service's.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys

_VARIABLE = "_MESHTRACE_CHECK"
_HERE = os.path.dirname(os.path.abspath(__file__))


def _begin() -> None:
    import meshtrace_control  # type: ignore[import-not-found]  # noqa: PLC0415 - beside this file

    settings = json.loads(os.environ[_VARIABLE])
    control = meshtrace_control.Control(settings["port"])
    if settings["redirect"]:
        import meshtrace_redirect  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

        meshtrace_redirect.install(control, settings["leave"])
    import meshtrace_watch  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    meshtrace_watch.install(control)
    control.tell({"hello": {"pid": os.getpid(), "redirect": settings["redirect"]}})


def _run_the_one_behind() -> None:
    """Run the ``sitecustomize`` that would have run without us."""
    elsewhere = [path for path in sys.path if os.path.abspath(path) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if _VARIABLE in os.environ:
    try:
        _begin()
    except Exception as error:  # noqa: BLE001 - the service must start
        sys.stderr.write(f"meshtrace check: this interpreter is not watched: {error!r}\n")
_run_the_one_behind()

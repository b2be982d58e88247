"""How an interpreter is told to start meshtrace: by a directory in front of its PYTHONPATH."""

import os
from collections.abc import Mapping

__all__ = ["BOOTSTRAP", "is_on", "put_on"]

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "auto", "bootstrap")  # noqa: PTH100, PTH118, PTH120 - pathlib takes longer to import than all of this
"""The directory of the ``sitecustomize`` that starts meshtrace."""


def put_on(environ: Mapping[str, str]) -> str:
    """
    Give the PYTHONPATH that starts meshtrace, and keeps what was there.

    >>> put_on({"PYTHONPATH": "src"}) == BOOTSTRAP + os.pathsep + "src"
    True
    """
    before = environ.get("PYTHONPATH", "")
    entries = before.split(os.pathsep) if before else []
    return os.pathsep.join([BOOTSTRAP, *(entry for entry in entries if entry != BOOTSTRAP)])


def is_on(environ: Mapping[str, str]) -> bool:
    """
    Tell whether ``meshtrace run`` is among those that started this interpreter.

    >>> is_on({"PYTHONPATH": put_on({})}), is_on({})
    (True, False)
    """
    return BOOTSTRAP in environ.get("PYTHONPATH", "").split(os.pathsep)

"""The house keeps its own rules: who imports whom, what an import does, what the files hold."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import meshtrace

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "meshtrace").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
UNINVITED = ("flask", "opentelemetry", "requests", "starlette", "urllib3", "werkzeug")

NOT_OURS = {"build", "dist", "__pycache__"}
TEXTS = sorted(
    path
    for path in ROOT.rglob("*")
    if path.is_file()
    and not any(
        part in NOT_OURS or (part.startswith(".") and part not in {".ci", ".gitignore"})
        for part in path.relative_to(ROOT).parts
    )
)


def _named(path: Path) -> str:
    """Name a file as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


def _fresh(code: str) -> list[object]:
    """Run *code* in an interpreter of its own, and give the JSON list that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    printed: list[object] = json.loads(done.stdout)
    return printed


def test_imports_point_down() -> None:
    """Every import obeys the contracts in pyproject.toml."""
    # In a process of its own: import-linter turns off the loggers that are there.
    linting = "import importlinter.cli, sys; sys.exit(importlinter.cli.lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", linting], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_module_holds_one_idea(path: Path) -> None:
    """No module has more than 300 lines."""
    lines = len(path.read_text().splitlines())
    assert lines <= 300


def test_import_brings_nothing_along() -> None:
    """Importing meshtrace imports neither OpenTelemetry nor any library that it works with."""
    loaded = _fresh("import meshtrace, sys, json; print(json.dumps(list(sys.modules)))")
    assert [] == sorted(set(UNINVITED).intersection(loaded))


def test_import_acts_on_nothing() -> None:
    """Importing meshtrace, and all it offers, patches, hooks, starts and logs nothing."""
    before, after = _fresh(
        """
import json, logging, sys, threading, warnings
import requests

def state():
    return [
        id(requests.Session.send), id(requests.Session.request), id(requests.Session.__init__),
        [id(finder) for finder in sys.meta_path], [id(hook) for hook in sys.path_hooks],
        [thread.name for thread in threading.enumerate()],
        [repr(handler) for handler in logging.getLogger().handlers],
        [repr(handler) for handler in logging.getLogger("meshtrace").handlers],
        logging.getLogger("meshtrace").level, len(warnings.filters),
    ]

before = state()
import meshtrace
for name in (*meshtrace.__all__, "Session"):
    getattr(meshtrace, name)
print(json.dumps([before, state()]))
"""
    )
    assert before == after


def test_the_front_door_is_exactly_this() -> None:
    """The public names are these, in order; a change of them is a decision, not an accident."""
    assert [
        "ConfigurationError",
        "Explanation",
        "Limits",
        "MalformedHeaderError",
        "MeshPropagator",
        "MeshTrace",
        "MeshTraceError",
        "MeshTraceWSGI",
        "Sampling",
        "Settings",
        "TraceContext",
        "capture",
        "carry",
        "configure",
        "current",
        "detached",
        "explain",
        "headers",
        "patch",
        "set_header",
        "unpatch",
        "use",
        "wrap",
    ] == list(meshtrace.__all__)


def test_the_front_door_opens() -> None:
    """Each public name is there, and dir() tells of it; of `Session`, too, where requests is."""
    assert [] == [name for name in meshtrace.__all__ if not hasattr(meshtrace, name)]
    assert {*meshtrace.__all__, "Session"} <= set(dir(meshtrace))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that meshtrace does not have is an AttributeError that says the name."""
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = meshtrace.no_such_name


@pytest.mark.parametrize("path", TESTS, ids=_named)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Every test function has a docstring."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert [] == silent


@pytest.mark.parametrize("path", [path for path in TEXTS if path != Path(__file__)], ids=_named)
def test_nothing_points_at_one_machine(path: Path) -> None:
    """No file names a path of somebody's machine, or the host of a package registry."""
    elsewhere = re.compile(
        rb"/root/|/home/\w+/|/Users/\w+/|/work/|/opt/(?:pypi|wheels)|pypi\.org|pythonhosted|npmjs"
    )
    assert [] == elsewhere.findall(path.read_bytes())

"""The bookshop's services without a line of meshtrace: a copy, and running it in its place."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from pathlib import Path

BOOKINFO = Path(__file__).parents[2] / "examples" / "bookinfo"
SERVICES = ("details", "productpage", "ratings", "reviews")

# What the services share, without the ids in their log.
SHARED = """
import logging
import os
import socket


def listening_socket():
    return socket.socket(fileno=int(os.environ["LISTEN_FD"]))


def export_spans():
    pass


def logger(workload):
    return logging.getLogger(f"bookinfo.{workload}")
"""


class _Removal(ast.NodeTransformer):
    """Takes out what names meshtrace, and leaves what it was put around."""

    def __init__(self) -> None:
        self.names = {"meshtrace"}

    def mentions(self, node: ast.AST) -> bool:
        """Tell whether anything in *node* is of meshtrace."""
        return any(isinstance(one, ast.Name) and one.id in self.names for one in ast.walk(node))

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        """Take out an import."""
        return None if node.names[0].name.startswith("meshtrace") else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Take out an import, and remember what it imports."""
        if (node.module or "").partition(".")[0] != "meshtrace":
            return node
        self.names.update(alias.asname or alias.name for alias in node.names)
        return None

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Leave what a middleware or `wrap` is put around."""
        if self.mentions(node.func) and node.args and not isinstance(node.args[0], ast.Constant):
            return self.visit(node.args[0])  # type: ignore[no-any-return]  # it is a node
        node.keywords = [keyword for keyword in node.keywords if not self.whole(keyword.value)]
        return self.generic_visit(node)

    def visit_List(self, node: ast.List) -> ast.AST:
        """Take out a member such as ``Middleware(MeshTrace)``."""
        node.elts = [element for element in node.elts if not self.mentions(element)]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Take out a statement that only calls meshtrace."""
        return ast.Pass() if self.whole(node.value) else self.generic_visit(node)

    def whole(self, node: ast.AST) -> bool:
        """Tell whether *node* is a call of meshtrace around nothing of the application's."""
        return isinstance(node, ast.Call) and self.mentions(node.func)


def copy_without_a_line(target: Path) -> None:
    """Copy the services to a directory, with nothing of meshtrace in them."""
    package = target / "examples" / "bookinfo"
    package.mkdir(parents=True)
    for directory in (package.parent, package):
        (directory / "__init__.py").touch()
    (package / "service.py").write_text(SHARED)
    for service in SERVICES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(BOOKINFO / service, package / service, ignore=ignored)
    for file in package.rglob("*.py"):
        file.write_text(ast.unparse(_without_docstrings(_Removal().visit(_parsed(file)))))
    for file in package.rglob("*.html"):
        kept = [line for line in file.read_text().splitlines() if "trace" not in line]
        file.write_text("\n".join(kept))


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value = ast.Constant("What it does is said elsewhere.")
    return ast.fix_missing_locations(module)


if __name__ == "__main__":
    # Where the demo says `python -m examples.bookinfo.details`, this says it for the copy.
    os.chdir(os.environ["WITHOUT_A_LINE"])
    python = [sys.executable, "-m", os.environ["MODULE"]]
    os.execv(sys.executable, [sys.executable, "-m", "meshtrace", "run", *python])  # noqa: S606 - our own

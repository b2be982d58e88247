"""The tables of docs/concurrency.md, which the tests write and check."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PAGE", "check"]

PAGE = Path(__file__).parents[2] / "docs" / "concurrency.md"


def check(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """
    Hold a table of the page against what was run; with ``WRITE_DOCS=1``, write it there first.

    Args:
        name: The name of the table's place in the page.
        heads: The heads of its columns.
        rows: Its rows.
    """
    begin, end = f"<!-- {name}: written by the tests -->\n", f"<!-- {name}: until here -->"
    lines = [heads, ["---"] * len(heads), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    before, rest = PAGE.read_text().split(begin)
    found, after = rest.split(end)
    if os.environ.get("WRITE_DOCS"):
        found = f"\n{table}\n\n"
        PAGE.write_text(before + begin + found + end + after)
    assert table == found.strip()

"""Where the context follows by itself, where it is lost, what to write: docs/concurrency.md."""

from __future__ import annotations

import pytest

from tests.concurrency.page import check
from tests.concurrency.running import run
from tests.concurrency.ways import CAME, TABLES, Way

WAYS = [pytest.param(way, id=way.code) for ways in TABLES.values() for way in ways]
PATCHED = [pytest.param(way, id=way.code) for ways in TABLES.values() for way in ways if way.patch]
WRITTEN = [pytest.param(way, id=way.write) for ways in TABLES.values() for way in ways if way.write]


@pytest.mark.parametrize("way", WAYS)
def test_by_itself(way: Way) -> None:
    """Without anything done for it, the context is there or not, as the table says."""
    expected = CAME if way.follows else {}
    assert [expected] == _once(run(way, way.code))


@pytest.mark.parametrize("way", PATCHED)
def test_patched(way: Way) -> None:
    """With the patch that the table names, it is there."""
    assert [CAME] == _once(run(way, way.code, way.patch))


@pytest.mark.parametrize("way", WRITTEN)
def test_written(way: Way) -> None:
    """Written as the table says, it is there without any patch."""
    assert [CAME] == _once(run(way, way.write))


def _once(found: list[dict[str, str]]) -> list[dict[str, str]]:
    """Give what was seen without what was seen again."""
    return [seen for number, seen in enumerate(found) if seen not in found[:number]]


def test_what_is_lost_can_be_had() -> None:
    """There is something to write wherever the context does not follow by itself."""
    assert [] == [
        way.code for ways in TABLES.values() for way in ways if way.follows is bool(way.write)
    ]


@pytest.mark.parametrize("name", TABLES)
def test_page(name: str) -> None:
    """The page has the tables that are run here; ``WRITE_DOCS=1`` writes them."""
    ways = TABLES[name]
    patches = any(way.patch for way in ways)
    rows = [
        [
            _code(way.code),
            "yes" if way.follows else "no",
            *[_code(f'"{way.patch}"' if way.patch else "")] * patches,
            _code(way.write),
        ]
        for way in ways
    ]
    heads = ["what runs the work", "follows", *["with `patch`"] * patches, "else write"]
    check(name, heads, rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""

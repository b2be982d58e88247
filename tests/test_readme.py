"""What the README, the other pages and the docstrings show is run, and does what they say."""

import doctest
import importlib
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from opentelemetry import trace
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.util._once import Once
from starlette.testclient import TestClient

from meshtrace import logs
from meshtrace.settings import Limits, Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [path for path in sorted((ROOT / "meshtrace").rglob("*.py")) if ">>>" in path.read_text()]

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def _named(path: Path) -> str:
    """Name a file as seen from the project's root."""
    return path.relative_to(ROOT).as_posix()


def _blocks(page: Path) -> list[str]:
    """Give a page's Python blocks, each at the line numbers that it has in the page."""
    text = page.read_text()
    return ["\n" * text.count("\n", 0, found.start(1)) + found[1] for found in BLOCK.finditer(text)]


def _run(page: Path, blocks: list[str]) -> dict[str, object]:
    """Run blocks one after another, as one module; give what it holds at the end."""
    module: dict[str, object] = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, page, "exec"), module)  # noqa: S102 - our own pages
    return module


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """Answer every request of requests without a network, and give the list of what was sent."""
    requests_sent = []

    def send(
        _: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **__: object
    ) -> requests.Response:
        requests_sent.append(request)
        response = requests.Response()
        response.status_code = 200
        response.url = request.url or ""
        response.request = request
        response.raw = io.BytesIO(b"[]")
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    return requests_sent


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take back what the page about logs sets up."""
    yield
    logs.uninstall()
    for name in ("shop", "shop.json"):
        logging.getLogger(name).handlers.clear()


@pytest.fixture(autouse=True)
def _opentelemetry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back the propagator and the provider that the page about spans sets."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    before = get_global_textmap()
    yield
    set_global_textmap(before)


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_a_page_runs(page: Path) -> None:
    """Every Python block of a page runs, after those above it."""
    _run(page, _blocks(page))


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_docstring_tells_the_truth(path: Path) -> None:
    """Every example in a docstring prints what it says."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    assert 0 == doctest.testmod(importlib.import_module(name)).failed


def test_the_first_screen_carries_what_came(sent: list[requests.PreparedRequest]) -> None:
    """The README's first block, behind a sidecar, sends on the headers that it got, unchanged."""
    came = {
        "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
        "x-b3-traceid": "f6362ff4f5fb4d6413a65c8b1859c79e",
        "x-b3-spanid": "51557e841d036995",
        "x-b3-parentspanid": "9165db47c9086566",
        "x-b3-sampled": "1",
    }
    readme = ROOT / "README.md"
    first = _run(readme, _blocks(readme)[:1])
    TestClient(first["app"]).get("/product", headers=came)  # type: ignore[arg-type]
    assert [came] == [
        {name: value for name, value in request.headers.items() if name in came} for request in sent
    ]


README = PAGES[0].read_text()
CALLED = re.findall(r"(meshtrace\.(?:inbound|outbound)\.\w+)\.\w+\(", README)


@pytest.mark.parametrize("module", sorted(set(CALLED)))
def test_what_the_readme_calls_is_imported(module: str) -> None:
    """Where the README calls something of a module of ours, the same line imports it."""
    calling = [line for line in README.splitlines() if re.search(rf"{module}\.\w+\(", line)]
    assert [] == [line for line in calling if f"`import {module}`" not in line]
    importlib.import_module(module)


@pytest.mark.parametrize("page", ["README.md", "docs/settings.md"])
def test_the_settings_are_all_told(page: str) -> None:
    """The table of settings has every setting, in the order of the code, and no other."""
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / page).read_text(), re.MULTILINE)
    assert [name for name in Settings.__annotations__ if name != "given"] == rows


def test_the_limits_are_told() -> None:
    """The page about settings has every limit, with its default."""
    told = re.findall(
        r"^\| `limits\.(\w+)` \| (\d+) \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    assert [(name, str(getattr(Limits(), name))) for name in Limits.__annotations__] == told

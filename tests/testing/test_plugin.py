"""The plugin, run as its users run it: by pytest, over suites that pass and suites that do not."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ONLY_OURS = ("-p", "meshtrace")

APP = """
import threading
import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import meshtrace

meshtrace.patch("requests")
URL = "http://reviews:9080/reviews/0"

def good(request):
    requests.get(URL)
    return PlainTextResponse("ok")

def in_a_thread(request):
    thread = threading.Thread(target=requests.get, args=(URL,))
    thread.start()
    thread.join()
    return PlainTextResponse("ok")

def by_hand(request):
    requests.get(URL, headers={"b3": "1"})
    return PlainTextResponse("ok")

def nothing(request):
    return PlainTextResponse("ok")

views = (good, in_a_thread, by_hand, nothing)
app = Starlette(routes=[Route(f"/{view.__name__}", view) for view in views])
bare = Starlette(routes=[Route("/good", good)])
app.add_middleware(meshtrace.MeshTrace)
"""

FIXTURES = """
import pytest, responses
from starlette.testclient import TestClient
from app import app, bare, URL

HEADERS = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44", "b3": "0"}

@pytest.fixture(autouse=True)
def answers():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as answers:
        answers.get(URL)
        yield

client = TestClient(app)
"""

JUDGED = f"""{FIXTURES}
def test_good(meshtrace):
    client.get("/good", headers=meshtrace.envoy())
    meshtrace.assert_propagated(to="reviews", times=1)

def test_nothing_called(meshtrace):
    client.get("/nothing", headers=meshtrace.envoy())
    meshtrace.assert_propagated(to="reviews")

def test_in_a_thread(meshtrace):
    client.get("/in_a_thread", headers=meshtrace.envoy())
    meshtrace.assert_propagated(to="reviews")

def test_without_the_middleware(meshtrace):
    TestClient(bare).get("/good", headers=meshtrace.envoy())
    meshtrace.assert_propagated(to="reviews")
"""

STRICT = f"""{FIXTURES}
def test_good():
    assert client.get("/good", headers=HEADERS).text == "ok"

def test_nothing_came():
    assert client.get("/good").text == "ok"

def test_nothing_called():
    assert client.get("/nothing", headers=HEADERS).text == "ok"

def test_in_a_thread():
    assert client.get("/in_a_thread", headers=HEADERS).text == "ok"

def test_by_hand():
    assert client.get("/by_hand", headers=HEADERS).text == "ok"

@pytest.mark.meshtrace(strict=False)
def test_let_be():
    assert client.get("/in_a_thread", headers=HEADERS).text == "ok"

@pytest.mark.meshtrace
def test_marked_without_a_word():
    assert client.get("/good", headers=HEADERS).text == "ok"

def test_that_fails_by_itself():
    assert client.get("/in_a_thread", headers=HEADERS).text == "its own failure"

def test_without_the_middleware(meshtrace):
    assert TestClient(bare).get("/good", headers=meshtrace.envoy()).text == "ok"

class TestClass:
    @pytest.mark.anyio
    async def test_in_a_loop(self, anyio_backend_name, meshtrace):
        import httpx
        with meshtrace.request():
            transport = httpx.MockTransport(lambda _: httpx.Response(200))
            async with httpx.AsyncClient(transport=transport) as plain:
                await plain.get(URL)
"""


def _pytest(suite: Path, *arguments: str, **files: str) -> tuple[dict[str, str], str]:
    """Run pytest in a process of its own; give the outcome of each test, and what was printed."""
    for name, text in files.items():
        (suite / f"{name}.py").write_text(text)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    if "-p" in arguments:
        # Only what is named is loaded: it takes a part of the time.
        environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: outcome for outcome, name in found}, done.stdout


def test_the_fixture_judges(tmp_path: Path) -> None:
    """The fixture passes what propagates and fails what does not, and says why."""
    outcomes, printed = _pytest(tmp_path, *ONLY_OURS, app=APP, test_app=JUDGED)
    assert {
        "test_good": "PASSED",
        "test_nothing_called": "FAILED",
        "test_in_a_thread": "FAILED",
        "test_without_the_middleware": "FAILED",
    } == outcomes
    assert "one call at least to reviews expected, 0 made; calls seen:" in printed
    assert "The call was made outside of the request's context" in printed
    assert "No middleware read the request" in printed


@pytest.mark.parametrize(
    "more",
    [["-p", "anyio"], ["-p", "anyio", "-p", "xdist", "-p", "randomly", "-n", "1"]],
    ids=["alone", "with xdist and randomly"],
)
def test_strict_judges_every_test(tmp_path: Path, more: list[str]) -> None:
    """With --meshtrace-strict, tests that know nothing of the plugin are judged as well."""
    arguments = ["--meshtrace-strict", *ONLY_OURS, *more]
    outcomes, printed = _pytest(tmp_path, *arguments, app=APP, test_app=STRICT)
    assert {
        "test_good": "PASSED",
        "test_nothing_came": "PASSED",
        "test_nothing_called": "PASSED",
        "test_in_a_thread": "FAILED",
        "test_by_hand": "FAILED",
        "test_let_be": "PASSED",
        "test_marked_without_a_word": "PASSED",
        "test_that_fails_by_itself": "FAILED",
        "test_without_the_middleware": "FAILED",
        "test_in_a_loop": "FAILED",
    } == outcomes
    assert "--meshtrace-strict: the hop to reviews:9080 did not pass on what came" in printed
    assert "httpx is neither wrapped nor patched" in printed
    assert "its own failure" in printed


def test_without_the_option_nobody_is_judged(tmp_path: Path) -> None:
    """A suite that does not ask for anything passes, and its marker is known."""
    quiet = STRICT.partition("def test_that_fails")[0]
    arguments = [*ONLY_OURS, "--strict-markers", "-W", "error"]
    outcomes, _ = _pytest(tmp_path, *arguments, app=APP, test_app=quiet)
    assert {"PASSED"} == set(outcomes.values())


def test_the_example_passes() -> None:
    """The tests of the example project pass, strictly, too."""
    outcomes, _ = _pytest(
        ROOT, "--meshtrace-strict", "-o", "addopts=--import-mode=importlib", "examples/shop"
    )
    assert {"PASSED"} == set(outcomes.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("app.add_middleware(meshtrace.MeshTrace)", "", id="without the middleware"),
        pytest.param("meshtrace.patch()", "", id="without patch()"),
    ],
)
def test_the_example_notices(tmp_path: Path, old: str, new: str) -> None:
    """With either of its two lines taken out, every test of the example fails."""
    app = (ROOT / "examples/shop/app.py").read_text()
    tests = (ROOT / "examples/shop/test_app.py").read_text()
    assert old in app
    outcomes, _ = _pytest(
        tmp_path,
        *ONLY_OURS,
        app=app.replace(old, new),
        test_app=tests.replace("examples.shop.app", "app"),
    )
    assert {"FAILED"} == set(outcomes.values())


def test_the_start_of_pytest_costs_nothing(tmp_path: Path) -> None:
    """Who never uses the plugin has no client library, and nothing else of it, loaded for it."""
    suite = """
import json, sys

def test_modules():
    ours = [name for name in sys.modules if name.startswith("meshtrace.testing.")]
    theirs = {"requests", "httpx", "httpx2", "aiohttp", "urllib3", "grpc", "opentelemetry"}
    print(json.dumps([ours, sorted(theirs & sys.modules.keys())]))
"""
    _, printed = _pytest(tmp_path, *ONLY_OURS, test_modules=suite)
    (line,) = re.findall(r"^\[\[.*\]\]$", printed, re.MULTILINE)
    assert [[], []] == json.loads(line)


def test_the_entry_point_is_declared() -> None:
    """Whoever installs meshtrace has the plugin, and needs no pytest for all the rest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"meshtrace": "meshtrace.testing"} == project["entry-points"]["pytest11"]
    assert [] == [name for name in project["dependencies"] if name.startswith("pytest")]

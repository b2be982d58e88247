"""In every client library, explain() tells of each attempt once."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import meshtrace
from tests.outbound.driving import Ability, Driver
from tests.outbound.recording import B3, Recorder, redirect

DRIVERS: list[type[Driver]] = [
    driver
    for path in sorted(Path(__file__).parent.glob("driver_*.py"))
    for driver in importlib.import_module(f"tests.outbound.{path.stem}").DRIVERS
]
REVIEWS = "http://reviews:9080/reviews/0"
RATINGS = "http://ratings:9080/ratings/0"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over the drivers that can do what it needs."""
    redirecting = "redirect" in metafunc.function.__name__
    drivers = [one for one in DRIVERS if not redirecting or Ability.REDIRECTS in one.abilities]
    names = [" ".join(filter(None, (one.name, one.way))) for one in drivers]
    metafunc.parametrize("driver", drivers, ids=names, indirect=True)


@pytest.fixture
def driver(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Driver]:
    """Give a driver, whose clients are closed in the end; calls are explained."""
    assert [] == recorder.received
    meshtrace.configure(explain=True, deny_hosts="bad.example")
    with request.param() as driver:
        yield driver


def _hosts(explanation: meshtrace.Explanation) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(call.client, call.host.partition(":")[0], call.sent) for call in explanation.calls]


def test_each_call_is_told_once(driver: Driver) -> None:
    """A call is noted with its library and its host, also where nothing is sent."""
    client = driver.wrapped()
    with meshtrace.use(B3):
        driver.call(client, REVIEWS)
        driver.call(client, "http://bad.example:9080/")
        explanation = meshtrace.explain()
    assert [(driver.name, "reviews", tuple(B3)), (driver.name, "bad.example", ())] == _hosts(
        explanation
    )
    assert dict.fromkeys(B3, "denied") == dict(explanation.calls[1].withheld)


def test_each_call_of_a_patched_library_is_told_once(driver: Driver) -> None:
    """A library that is patched, others that it calls patched as well, tells of a call once."""
    meshtrace.patch()
    client = driver.client()
    with meshtrace.use(B3):
        driver.call(client, REVIEWS, headers={"X-B3-Sampled": "1"})
        (call,) = meshtrace.explain().calls
    assert dict.fromkeys(B3, "already-set") == dict(call.withheld)


def test_a_call_outside_any_request_is_told_once(driver: Driver) -> None:
    """What has no context is noted for the process."""
    client = driver.wrapped()
    before = meshtrace.explain().number_of_calls
    driver.call(client, REVIEWS)
    after = meshtrace.explain()
    assert 1 == after.number_of_calls - before
    assert (("", "no-context"),) == after.calls[-1].withheld


def test_each_hop_of_a_redirect_is_told_once(driver: Driver, recorder: Recorder) -> None:
    """The hop after a redirect is a call of its own."""
    recorder.answers["/reviews/0"] = [redirect(RATINGS)]
    client = driver.wrapped()
    with meshtrace.use(B3):
        driver.call(client, REVIEWS)
        explanation = meshtrace.explain()
    assert [(driver.name, "reviews", tuple(B3)), (driver.name, "ratings", tuple(B3))] == _hosts(
        explanation
    )
    assert [False, True] == [call.redirected for call in explanation.calls]

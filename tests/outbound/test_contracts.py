"""The contract suite, over every driver that is here."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import meshtrace
from tests.contracts import Make, OutboundContract
from tests.outbound.driving import Driver

DRIVERS: list[type[Driver]] = [
    driver
    for path in sorted(Path(__file__).parent.glob("driver_*.py"))
    for driver in importlib.import_module(f"tests.outbound.{path.stem}").DRIVERS
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test over the drivers that can do what it needs."""
    needed = set(getattr(metafunc.function, "needs", ()))
    drivers = [driver for driver in DRIVERS if needed <= driver.abilities]
    names = [" ".join(filter(None, (driver.name, driver.way))) for driver in drivers]
    metafunc.parametrize("driver", drivers, ids=names, indirect=True)


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Give a driver, whose clients are closed in the end."""
    with request.param() as driver:
        yield driver


@pytest.fixture(params=["wrapped", "patched"])
def make(request: pytest.FixtureRequest, driver: Driver) -> Make:
    """Give what makes a client that relays."""

    def patched(**options: Any) -> Any:  # noqa: ANN401 - each library has its own
        meshtrace.configure(**options)
        meshtrace.patch(driver.name)
        return driver.client()

    return driver.wrapped if request.param == "wrapped" else patched


class TestContract(OutboundContract):
    """The suite."""

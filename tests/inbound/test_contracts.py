"""The contract suite, over every driver that is here."""

import importlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.inbound.contracts import InboundContract, Serve
from tests.inbound.driving import Driver

DRIVERS: list[type[Driver]] = [
    driver
    for path in sorted(Path(__file__).parent.glob("driver_*.py"))
    for driver in importlib.import_module(f"tests.inbound.{path.stem}").DRIVERS
]


@pytest.fixture(params=DRIVERS, ids=[driver.name for driver in DRIVERS])
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Give what starts to serve; all is stopped in the end."""
    with ExitStack() as stack:

        def start(*, nested: bool = False, **options: Any) -> Driver:  # noqa: ANN401 - see `Settings`
            driver: Driver = request.param(nested=nested, **options)
            return stack.enter_context(driver)

        yield start


class TestContract(InboundContract):
    """The suite."""

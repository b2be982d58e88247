"""
The pytest plugin, which tells whether a service passes on what a sidecar sent it.

    def test_the_page_calls_reviews(meshtrace):
        TestClient(app).get("/product", headers=meshtrace.envoy())
        meshtrace.assert_propagated(to="reviews", times=1)

``pytest --meshtrace-strict`` fails every test in which a call that was made within a request lost
or changed what the request brought.

At the start of pytest this module is imported, and nothing else.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtrace.testing.envoy import FakeEnvoy
    from meshtrace.testing.mesh import Mesh

__all__ = ["FakeEnvoy", "Mesh"]

_STRICT = "--meshtrace-strict"
_MARKER = (
    "meshtrace(strict=True): whether --meshtrace-strict judges this test; "
    "strict=False lets its calls lose the headers"
)


def __getattr__(name: str) -> object:
    if name == "FakeEnvoy":
        from meshtrace.testing.envoy import FakeEnvoy  # noqa: PLC0415 - for who asks

        return FakeEnvoy
    if name == "Mesh":
        from meshtrace.testing.mesh import Mesh  # noqa: PLC0415 - for who asks

        return Mesh
    raise AttributeError(f"module 'meshtrace.testing' has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("meshtrace").addoption(
        _STRICT,
        action="store_true",
        help="fail a test in which a call made within a request loses or changes its trace headers",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and judge every test where that was asked for."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption(_STRICT):
        from meshtrace.testing.strict import Strict  # noqa: PLC0415 - for who asks

        config.pluginmanager.register(Strict(), "meshtrace-strict")


@pytest.fixture(name="meshtrace")
def _meshtrace() -> "Iterator[Mesh]":
    """Headers as a sidecar makes them, a recorder of the calls made, and a verdict on them."""
    from meshtrace.testing.mesh import Mesh  # noqa: PLC0415 - for who asks

    with Mesh() as mesh:
        yield mesh

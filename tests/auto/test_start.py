"""Starting: once, of what is loaded or will be, and never stopping the application."""

import logging
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from meshtrace import auto, clients, imports
from meshtrace.pythonpath import BOOTSTRAP

NAME = "meshtrace_test_framework"


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """Let this process start, with one framework to adapt, and collect the calls of `patch`."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(auto, "_started", False)
    monkeypatch.setattr(clients, "patch", lambda *names: calls.append(names))
    yield calls
    imports.forget(NAME, waiter=None)


@pytest.fixture
def adapting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[ModuleType], None]], None]:
    """Give what sets the one adapter."""

    def adapting(adapt: Callable[[ModuleType], None]) -> None:
        monkeypatch.setattr(auto, "_ADAPTERS", ((NAME, adapt),))

    return adapting


@pytest.mark.usefixtures("patched")
def test_a_framework_that_is_loaded(
    adapting: Any,  # noqa: ANN401 - the fixture's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is imported already is adapted at once, and once."""
    module = ModuleType(NAME)
    monkeypatch.setitem(sys.modules, NAME, module)
    adapted: list[ModuleType] = []
    adapting(adapted.append)
    auto.start()
    auto.start()
    assert [module] == adapted


def test_the_clients(patched: list[tuple[str, ...]], adapting: Any) -> None:  # noqa: ANN401 - the fixture's
    """The clients are patched as `patch()` does, once."""
    adapting(lambda _: None)
    auto.start()
    auto.start()
    assert [()] == patched


def test_switched_off(
    patched: list[tuple[str, ...]],
    adapting: Any,  # noqa: ANN401 - the fixture's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under `MESHTRACE_DISABLED=1` nothing is done."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    monkeypatch.setitem(sys.modules, NAME, ModuleType(NAME))
    adapted: list[ModuleType] = []
    adapting(adapted.append)
    auto.start()
    assert ([], []) == (patched, adapted)


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("number", range(len(auto._ADAPTERS)))  # noqa: SLF001 - each of them
def test_a_version_that_is_not_known(
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A library that has not what an adapter looks for is left as it is, which is one line."""
    name, adapt = auto._ADAPTERS[number]  # noqa: SLF001 - each of them
    monkeypatch.setitem(sys.modules, name, ModuleType("empty"))
    monkeypatch.setattr(auto, "_ADAPTERS", ((name, adapt),))
    monkeypatch.setitem(sys.modules, "meshtrace.inbound.grpc", None)  # it cannot be imported
    monkeypatch.delattr("meshtrace.inbound.grpc", raising=False)
    auto.start()
    assert [(logging.WARNING, True)] == [
        (record.levelno, record.getMessage().startswith(f"meshtrace run: {name} of this version"))
        for record in caplog.records
    ]


@pytest.mark.parametrize(
    ("path", "started"),
    [pytest.param(BOOTSTRAP, [()], id="asked for"), pytest.param("", [], id="not asked for")],
)
def test_after_opentelemetry(
    path: str,
    started: list[tuple[str, ...]],
    patched: list[tuple[str, ...]],
    adapting: Any,  # noqa: ANN401 - the fixture's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where OpenTelemetry has started, meshtrace starts if `meshtrace run` has been there."""
    monkeypatch.setenv("PYTHONPATH", path)
    adapting(lambda _: None)
    auto.start_after_opentelemetry()
    assert started == patched

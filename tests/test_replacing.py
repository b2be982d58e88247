"""Replacing a function, and giving it back."""

import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

import pytest

from meshtrace.replacing import Replacement, subclass


class Base:
    """What somebody else wrote."""

    def greet(self) -> str:
        """Greet."""
        return "hello"


class Derived(Base):
    """It inherits."""


@pytest.fixture
def greeting() -> type[Base]:
    """Give a class that no other test changes."""
    return type("Greeting", (), {"greet": Base.greet})


def _louder(original: Callable[..., str]) -> Callable[..., str]:
    return lambda *args, **kwargs: original(*args, **kwargs) + "!"


def _wrapped(cls: Any, *, told: bool) -> None:  # noqa: ANN401 - a class whose method is replaced
    """Wrap the method as another library does, which tells what it wraps or does not."""
    inner = cls.greet

    def greet(self: Base) -> str:
        return f"<{inner(self)}>"

    cls.greet = functools.wraps(inner)(greet) if told else greet


def test_replaced(greeting: type[Base]) -> None:
    """Once put, it is called; given back, the original is there again, and no other."""
    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    assert "hello!" == greeting().greet()
    assert ("greet", "Greet.") == (greeting.greet.__name__, greeting.greet.__doc__)
    replacement.give_back()
    assert "hello" == greeting().greet()
    assert greeting.greet is Base.greet


def test_twice_is_once(greeting: type[Base]) -> None:
    """Putting it again changes nothing, and giving it back once or twice is enough."""
    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    replacement.put()
    assert "hello!" == greeting().greet()
    replacement.give_back()
    replacement.give_back()
    assert greeting.greet is Base.greet


def test_never_put(greeting: type[Base]) -> None:
    """What was never put cannot be given back, and nothing happens."""
    Replacement(greeting, "greet", _louder).give_back()
    assert greeting.greet is Base.greet


def test_inherited() -> None:
    """What a class inherits is replaced in that class only, and inherited again afterwards."""
    replacement = Replacement(Derived, "greet", _louder)
    replacement.put()
    assert ("hello!", "hello") == (Derived().greet(), Base().greet())
    replacement.give_back()
    assert "greet" not in vars(Derived)


@pytest.mark.parametrize("told", [True, False])
def test_wrapped_by_others(greeting: type[Base], *, told: bool) -> None:
    """What wraps ours stays; ours then does nothing, until it is put again."""
    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    _wrapped(greeting, told=told)
    replacement.give_back()
    assert "<hello>" == greeting().greet()


def test_put_again_under_others(greeting: type[Base]) -> None:
    """Ours is found under what wraps it, and not put a second time."""
    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    _wrapped(greeting, told=True)
    replacement.put()
    assert "<hello!>" == greeting().greet()
    replacement.give_back()
    replacement.put()
    assert "<hello!>" == greeting().greet()


def test_under_what_has_any_attribute(greeting: Any) -> None:  # noqa: ANN401 - a class whose method is replaced
    """Whether it is there can be told of anything that somebody has put in its place."""

    class Anything:
        def __getattr__(self, _: str) -> object:
            return self

    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    greeting.greet = Anything()
    assert not replacement.is_there()


def test_over_a_mock(greeting: type[Base]) -> None:
    """What a mock has put in the place of a method is called without the object, as before."""
    mock = Mock(return_value="mocked")
    greeting.greet = mock  # type: ignore[method-assign]  # that is what a mock does
    replacement = Replacement(greeting, "greet", _louder)
    replacement.put()
    assert "mocked!" == greeting().greet()
    mock.assert_called_once_with()
    replacement.give_back()
    assert "mocked" == greeting().greet()
    assert mock is greeting.greet


class Client:
    """What somebody else wrote, which is awaited."""

    async def send(self) -> str:
        """Send."""
        return "sent"


def test_a_coroutine_function_stays_one() -> None:
    """Who asks, as a mock does, still finds that the function is to be awaited."""
    replacement = Replacement(Client, "send", lambda original: original)
    replacement.put()
    with patch.object(Client, "send") as send:
        assert isinstance(send, AsyncMock)
    replacement.give_back()
    assert inspect.iscoroutinefunction(Client.send)


def test_a_class_that_asks_something_of_those_who_derive() -> None:
    """What a class asks of its subclasses, it does not ask of one that passes for it."""

    class Asking:
        asked: list[str] = []  # noqa: RUF012 - a test of one line

        def __init_subclass__(cls, *, service: str) -> None:
            cls.asked.append(service)

    class Asked(Asking, service="a"):
        pass

    made = subclass(Asked, Asked, extra=1)
    assert ("Asked", 1, ["a"]) == (made.__name__, made.extra, made.asked)
    assert made.__name__ == subclass(made, made).__name__


def test_two_that_are_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another thread has just replaced the function, it is not replaced twice."""
    owner = SimpleNamespace(work=len)
    replacement = Replacement(owner, "work", lambda original: original)
    answers = iter([False, True])
    monkeypatch.setattr(replacement, "is_there", lambda: next(answers))
    replacement.put()
    assert owner.work is len

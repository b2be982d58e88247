"""
Immutable values, compared and shown by what they hold.

They are what frozen data classes are; importing ``dataclasses`` takes longer than all of meshtrace.
"""

from typing import Any, NoReturn

__all__ = ["Value"]


class Value:
    """
    The base of a class whose ``__slots__`` are set once, by `hold` in its ``__init__``.

    >>> class Point(Value):
    ...     __slots__ = ("x",)
    ...
    ...     def __init__(self, x: int) -> None:
    ...         self.hold(x=x)
    >>> Point(1), Point(1) == Point(1)
    (Point(x=1), True)
    """

    __slots__ = ()

    def hold(self, **held: Any) -> None:  # noqa: ANN401 - whatever a subclass holds
        """Set the slots."""
        for name, value in held.items():
            object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        names: tuple[str, ...] = self.__slots__
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hold(**state)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash((type(self), *self.__getstate__().values()))

    def __repr__(self) -> str:
        held = ", ".join(f"{name}={value!r}" for name, value in self.__getstate__().items())
        return f"{type(self).__name__}({held})"

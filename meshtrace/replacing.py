"""Take the place of a library's functions and classes, and let it show as little as can be."""

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Replacement", "subclass"]

Function = Callable[..., Any]

_changing = threading.Lock()
"""Held while a function is replaced: two calls may be the first ones."""

_MISSING = object()
_DEEPEST = 100
_CO_COROUTINE = 0x80
"""As `inspect` has it."""


class Replacement:
    """
    One function, replaced for as long as `on`.

    Who replaces it after us keeps ours inside of theirs: it then stays in place, and does what the
    original does once it is off.

    Args:
        owner: The class or module that has the function.
        name: What the function is called there.
        around: Makes the replacement from the original.

    Attributes:
        on: Whether the replacement is to do its work.

    >>> import math
    >>> doubled = Replacement(math, "floor", lambda floor: lambda number: 2 * floor(number))
    >>> doubled.put()
    >>> math.floor(2.5)
    4
    >>> doubled.give_back()
    >>> math.floor(2.5)
    2
    """

    def __init__(self, owner: Any, name: str, around: Callable[[Function], Function]) -> None:  # noqa: ANN401 - a class or a module
        self.owner = owner
        self.name = name
        self.on = False
        self._around = around
        self._ours: Function | None = None
        self._own: object = _MISSING

    def put(self) -> None:
        """Replace the function, unless it is replaced."""
        self.on = True
        if self.is_there():
            return
        with _changing:
            if self.is_there():
                return
            self._own = vars(self.owner).get(self.name, _MISSING)
            self._ours = self._made(self._called_with_object(getattr(self.owner, self.name)))
            setattr(self.owner, self.name, self._ours)

    def give_back(self) -> None:
        """Undo it; where somebody has wrapped it since, it stays and does nothing."""
        self.on = False
        if self._ours is None or vars(self.owner).get(self.name) is not self._ours:
            return
        if self._own is _MISSING:
            # It was inherited.
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)
        # What it had of settings need not follow them any more.
        self._ours = None

    def is_there(self) -> bool:
        """Tell whether it is replaced: who wraps it after us keeps ours inside of theirs."""
        function = getattr(self.owner, self.name)
        for _ in range(_DEEPEST):
            if function is None or function is self._ours:
                return function is not None
            function = getattr(function, "__wrapped__", None)
        # A stand-in that has whatever it is asked for wraps something for ever.
        return False

    def _called_with_object(self, original: Function) -> Function:
        if hasattr(original, "__get__") or not isinstance(self.owner, type):
            return original

        # What a mock puts in the place of a method is called without the object.
        @functools.wraps(original, updated=())
        def method(_: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the original's own
            return original(*args, **kwargs)

        return method

    def _made(self, original: Function) -> Function:
        changed = self._around(original)

        # Without the original's attributes: another instrumentation's marks on it would be taken
        # for ours.
        @functools.wraps(original, updated=())
        def function(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the original's own
            return (changed if self.on else original)(*args, **kwargs)

        return _as_coroutine_function(function) if _is_coroutine_function(original) else function


def _is_coroutine_function(function: Function) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


def _as_coroutine_function(function: Function) -> Function:
    """
    Mark what gives a coroutine as what it is: mocks ask, for one.

    It is not made an ``async def``, because libraries count frames for their warnings.
    """
    # Loaded here: the first import of either may be what a replacement waits for.
    if sys.version_info >= (3, 12):
        import inspect  # noqa: PLC0415 - see above

        return inspect.markcoroutinefunction(function)
    import asyncio  # noqa: PLC0415 - see above

    function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 - as Python 3.11 has it
    return function


def subclass(kind: type, *bases: type, **members: object) -> Any:  # noqa: ANN401 - what the bases are
    """
    Make a class that passes for another.

    Args:
        kind: What it passes for.
        bases: What it derives from.
        members: What it has beside them.

    >>> class Session: ...
    >>> subclass(Session, Session, relaying=True).__qualname__
    'Session'
    """
    told = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    # What a class asks of those who derive from it, it is not to ask of ours. A new one each time:
    # else a class made from another one would have no order of bases.
    quiet = type("Quiet", (), {"__init_subclass__": lambda _, **__: None})
    return type(kind.__name__, (quiet, *bases), {**told, **members})

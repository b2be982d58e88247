"""
Do something when a module has been imported, which may be now, later, or never.

The finder and the loader here have no base class: ``importlib.abc`` takes longer to import than all
of meshtrace.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["forget", "when_imported"]

_waiting: dict[str, dict[object, Callable[[], None]]] = {}


def when_imported(module: str, then: Callable[[], None], *, waiter: object = None) -> None:
    """
    Call *then* now if *module* is loaded, else right after it is loaded for the first time.

    Nothing is imported here.

    Args:
        module: Its full name.
        then: What to do; it must not raise.
        waiter: Who waits; of one waiter the last call counts.

    >>> when_imported("sys", lambda: print("loaded"))
    loaded
    """
    if module in sys.modules:
        then()
        return
    _waiting.setdefault(module, {})[waiter] = then
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def forget(module: str, *, waiter: object = None) -> None:
    """Do not wait for *module* any longer."""
    _waiting.get(module, {}).pop(waiter, None)


class _Finder:
    """Finds the modules that are waited for, by asking the finders behind it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _waiting.get(fullname):
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # it acts as one
                return spec
        return None


class _Loader:
    """Loads as the module's own loader does, and then calls who waits."""

    def __init__(self, loader: "Loader") -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module is its own loader's, which is asked for its source and its data
        # files.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        waiters = _waiting.pop(module.__name__, {})
        package, _, name = module.__name__.rpartition(".")
        if waiters and package in sys.modules:
            # As Python does next: whoever waited may write `import package.name`.
            setattr(sys.modules[package], name, module)
        for then in waiters.values():
            then()

    def __getattr__(self, name: str) -> object:
        # Who looks for a module without loading it may ask for its source or its file.
        return getattr(self._loader, name)


_FINDER = _Finder()

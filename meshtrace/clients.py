"""The verbs for client libraries: a library's own file is loaded when the library is."""

import functools
import importlib
import sys
from types import ModuleType
from typing import TypeVar, Unpack

from meshtrace import imports, notices
from meshtrace.configuration import disabled, resolve
from meshtrace.errors import ConfigurationError
from meshtrace.options import PATCHABLE
from meshtrace.settings import Options, Settings

__all__ = ["patch", "unpatch", "wrap"]

C = TypeVar("C")


def wrap(client: C, *, settings: Settings | None = None, **options: Unpack[Options]) -> C:
    """
    Make one client add the current request's headers to every call.

    Args:
        client: A `requests.Session`.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Returns:
        *client* itself.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: *client* is of no library that can be wrapped.

    >>> import requests
    >>> session = wrap(requests.Session(), deny_hosts="api.example.com")
    """
    own = Settings.of(settings, options)
    for kind in type(client).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in PATCHABLE and isinstance(client, _room(library).CLIENT):
            if not disabled():
                _room(library).wrap(client, own)
            return client
    raise TypeError(
        f"cannot wrap {type(client).__name__}; "
        f"what can be wrapped: a client of {', '.join(PATCHABLE)}. "
        "For any other client: meshtrace.headers(url)"
    )


def patch(*names: str) -> None:
    """
    Make all clients of the named libraries add the current request's headers to every call.

    A library that is not loaded yet is patched when it is; nothing is imported here.

    Args:
        names: Libraries; none means all that meshtrace knows, changed by the setting ``patch``.

    Raises:
        ConfigurationError: A name is not one of them.

    >>> patch("requests")
    >>> unpatch("requests")
    """
    for name in _checked("patch", names) or _default():
        if not disabled():
            notices.client_ready(name)
            imports.when_imported(name, functools.partial(_patch_loaded, name))


def unpatch(*names: str) -> None:
    """
    Undo `patch`.

    Args:
        names: Libraries; none means all.

    Raises:
        ConfigurationError: A name is not one that can be patched.
    """
    for name in _checked("unpatch", names) or PATCHABLE:
        imports.forget(name)
        if f"meshtrace.outbound.{name}" in sys.modules:
            _room(name).unpatch()


def _patch_loaded(name: str) -> None:
    try:
        _room(name).patch()
    except Exception:  # noqa: BLE001 - a library that cannot be patched works as without meshtrace
        notices.fault(f"patching {name}")


def _room(name: str) -> ModuleType:
    return importlib.import_module(f"meshtrace.outbound.{name}")


def _checked(verb: str, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in PATCHABLE:
            raise ConfigurationError(f"{verb}({name!r}): not one of {', '.join(PATCHABLE)}")
    return names


def _default() -> tuple[str, ...]:
    changes = resolve(Settings()).patch
    removed = {name[1:] for name in changes if name[0] == "-"}
    return tuple(name for name in (*PATCHABLE, *changes) if name[0] != "-" and name not in removed)

"""The verbs, by name: what a name stands for is loaded when its library is."""

import functools
import importlib
import sys
from types import ModuleType
from typing import TypeVar, Unpack

from meshtrace import imports, notices
from meshtrace.configuration import disabled, resolve
from meshtrace.errors import ConfigurationError
from meshtrace.options import CLIENTS, DEFAULT_PATCHES, PATCHABLE
from meshtrace.settings import Options, Settings

__all__ = ["patch", "patched", "unpatch", "wrap"]

C = TypeVar("C")

_ROOMS = {
    **{name: f"outbound.{name.replace('.', '_')}" for name in CLIENTS},
    "concurrent.futures": "concurrency.futures",
    "threading": "concurrency.threads",
    "gevent": "concurrency.greenlets",
    "celery": "concurrency.celery",
}
_WAITING_FOR = {"urllib": "urllib.request"}
"""The module whose import makes a name's room useful, where it is not of that name."""

_patched: set[str] = set()


def wrap(client: C, *, settings: Settings | None = None, **options: Unpack[Options]) -> C:
    """
    Make one client add the current request's headers to every call.

    Args:
        client: A session of requests or aiohttp, a client of httpx or httpx2, a pool manager or a
            pool of urllib3, an opener of ``urllib.request``, a connection of ``http.client``, a
            channel of gRPC.
        settings: Settings made elsewhere.
        options: See `meshtrace.Settings`.

    Returns:
        *client* itself; for a channel of gRPC, which cannot be changed, one that goes through it.

    Raises:
        ConfigurationError: An option is not valid.
        TypeError: *client* is of no library that can be wrapped, or a channel of ``grpc.aio``,
            which takes its interceptors when it is made.

    >>> import requests
    >>> session = wrap(requests.Session(), deny_hosts="api.example.com")
    """
    own = Settings.of(settings, options, "on a client")
    for kind in type(client).__mro__:
        for name in CLIENTS:
            if _is_of(kind, name) and isinstance(client, _room(name).CLIENT):
                wrapped: C = client if disabled() else _room(name).wrap(client, own)
                return wrapped
    raise TypeError(
        f"cannot wrap {type(client).__name__}; "
        f"what can be wrapped: a client of {', '.join(CLIENTS)}. "
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
            _patched.add(name)
            if name in CLIENTS:
                notices.client_ready(name)
            imports.when_imported(
                _WAITING_FOR.get(name, name), functools.partial(_patch_loaded, name)
            )


def unpatch(*names: str) -> None:
    """
    Undo `patch`.

    Args:
        names: Libraries; none means all.

    Raises:
        ConfigurationError: A name is not one that can be patched.
    """
    for name in _checked("unpatch", names) or PATCHABLE:
        _patched.discard(name)
        imports.forget(_WAITING_FOR.get(name, name))
        if f"meshtrace.{_ROOMS[name]}" in sys.modules:
            _room(name).unpatch()
    if not _patched and (beside := sys.modules.get("meshtrace.otel.sentry")):
        beside.unpatch()


def patched() -> tuple[str, ...]:
    """
    Name what `patch` has patched, or will when it is loaded.

    >>> patched()
    ()
    """
    return tuple(name for name in PATCHABLE if name in _patched)


def _patch_loaded(name: str) -> None:
    try:
        _room(name).patch()
    except Exception:  # noqa: BLE001 - a library that cannot be patched works as without meshtrace
        notices.fault(f"patching {name}")


def _room(name: str) -> ModuleType:
    return importlib.import_module(f"meshtrace.{_ROOMS[name]}")


def _is_of(kind: type, name: str) -> bool:
    module = kind.__module__
    return module == name or module.startswith(f"{name}.")


def _checked(verb: str, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in PATCHABLE:
            raise ConfigurationError(f"{verb}({name!r}): not one of {', '.join(PATCHABLE)}")
    return names


def _default() -> tuple[str, ...]:
    changes = resolve(Settings()).patch
    removed = {name[1:] for name in changes if name[0] == "-"}
    wanted = (*DEFAULT_PATCHES, *changes)
    return tuple(name for name in wanted if name[0] != "-" and name not in removed)

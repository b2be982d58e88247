"""
Where settings come from.

``MESHTRACE_DISABLED`` beats everything; then the arguments of a middleware or of `wrap`; then
`configure`; then the environment; then the default. Deny lists add up. In code a wrong setting
raises at once; in the environment it is one warning, and the default is kept: a variable must not
stop an application.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, Unpack
from weakref import WeakValueDictionary

from meshtrace import notices
from meshtrace.errors import ConfigurationError
from meshtrace.options import nearest
from meshtrace.settings import DEFAULTS, Options, Settings

__all__ = [
    "Following",
    "authorization_wanted",
    "configure",
    "disabled",
    "join_by_default",
    "resolve",
    "sources",
]

T = TypeVar("T")

_PREFIX = "MESHTRACE_"
_CODE_ONLY = {"AUTHORIZATION_HOSTS", "PARENT", "LIMITS"}
_VARIABLES = {name.upper(): name for name in DEFAULTS if name.upper() not in _CODE_ONLY}
_KUBERNETES = ("PORT", "SERVICE_")
"""Kubernetes sets these in every pod beside a Service that is called meshtrace."""

_configured = Settings()
_authorization_wanted = False
_joining = False
_change = object()


def configure(**given: Unpack[Options]) -> None:
    """
    Set the process's settings; each call replaces what an earlier call set.

    May be called before or after the middlewares and clients are made: all follow.

    Args:
        given: See `Settings`.

    Raises:
        ConfigurationError: A name or a value is not valid.

    >>> configure(forward="end-user")
    >>> configure()
    """
    global _configured  # noqa: PLW0603 - a process has one configuration
    _configured = Settings(**given)
    _settings_changed()


def resolve(own: Settings, environ: Mapping[str, str] | None = None) -> Settings:
    """
    Fill in what *own* leaves open from `configure`, the environment and the defaults.

    Args:
        own: The settings given where they are used.
        environ: The variables; None means ``os.environ``.

    >>> resolve(Settings(), {"MESHTRACE_FORWARD": "end-user"}).forward
    ('end-user',)
    """
    global _authorization_wanted  # noqa: PLW0603 - a process has one configuration
    variables = os.environ if environ is None else environ
    resolved = own.over(_configured).over(_from_environment(variables))
    if (_joining or resolved.spans) and "own_spans" not in resolved.given:
        resolved = Settings(own_spans="join").over(resolved)
    if resolved.authorization_hosts and not _authorization_wanted:
        _authorization_wanted = True
        _settings_changed()
    return resolved


def sources(own: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """
    Tell where each setting comes from, as `resolve` fills it in.

    Args:
        own: The settings given where they are used.
        environ: The variables; None means ``os.environ``.

    >>> sources(Settings(), {"MESHTRACE_FORWARD": "end-user"})["forward"]
    'MESHTRACE_FORWARD'
    """
    variables = os.environ if environ is None else environ
    from_environment = _from_environment(variables)
    resolved = resolve(own, variables)
    found = {}
    for name, default in DEFAULTS.items():
        places = (
            (own, "code"),
            (_configured, "configure()"),
            (from_environment, _PREFIX + name.upper()),
        )
        where = [place for settings, place in places if name in settings.given]
        if not where:
            # One setting may imply another.
            where = ["default" if getattr(resolved, name) == default else "implied"]
        found[name] = " and ".join(where if name == "deny_hosts" else where[:1])
    return found


def join_by_default() -> None:
    """Let spans of one's own join where ``own_spans`` says nothing, from now on."""
    global _joining  # noqa: PLW0603 - a process has one configuration
    if not _joining:
        _joining = True
        _settings_changed()


def authorization_wanted() -> bool:
    """
    Tell whether any client was given ``authorization_hosts``.

    Only then a middleware keeps the caller's ``authorization``.
    """
    return _authorization_wanted


class Following(Generic[T]):
    """
    Something worked out from settings, worked out again after each `configure`.

    Args:
        make: Works it out from the settings given where they are used.
        own: Those settings.

    Attributes:
        value: What the settings of this moment say.

    >>> Following(resolve, Settings(incoming="ids")).value.incoming
    'ids'
    """

    __slots__ = ("__weakref__", "_make", "_own", "value")

    def __init__(self, make: Callable[[Settings], T], own: Settings) -> None:
        self._make = make
        self._own = own
        _following[id(self)] = self
        self.work_out()

    def work_out(self) -> None:
        """Work it out again."""
        seen = None
        while seen is not _change:
            # Another thread may change the settings meanwhile.
            seen = _change
            self.value = self._make(self._own)


_following: WeakValueDictionary[int, Following[Any]] = WeakValueDictionary()


def _settings_changed() -> None:
    global _change  # noqa: PLW0603 - a process has one configuration
    _change = object()
    # The references are copied in one step: other threads make and drop clients meanwhile.
    for reference in _following.valuerefs():
        following = reference()
        if following is not None:
            following.work_out()


def disabled(environ: Mapping[str, str] | None = None) -> bool:
    """
    Tell whether ``MESHTRACE_DISABLED`` is set; it beats code.

    >>> disabled({"MESHTRACE_DISABLED": "1"}), disabled({})
    (True, False)
    """
    text = (os.environ if environ is None else environ).get("MESHTRACE_DISABLED", "")
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "" | "0" | "false" | "no" | "off":
            return False
    _warn("MESHTRACE_DISABLED", "not 1 or 0; meshtrace stays on")
    return False


def _from_environment(environ: Mapping[str, str]) -> Settings:
    settings = Settings()
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        word = variable.removeprefix(_PREFIX)
        text = environ[variable].strip()
        if name := _VARIABLES.get(word):
            if text:
                settings = settings.over(_read(variable, name, text))
        elif word in _CODE_ONLY:
            _warn(variable, "set in code only; ignored")
        elif word != "DISABLED" and not word.startswith(_KUBERNETES):
            near = nearest(word, ("DISABLED", *_VARIABLES), prefix=_PREFIX)
            _warn(variable, f"unknown{near}; ignored")
    return settings


def _read(variable: str, name: str, text: str) -> Settings:
    options: dict[str, Any] = {name: text}
    try:
        return Settings(**options)
    except ConfigurationError as error:
        wrong = error
    several = "," in text
    read = Settings()
    if several and name == "deny_hosts":
        # A slip in one entry must not open the hosts that the others deny.
        for entry in text.split(","):
            read = read.over(_read(variable, name, entry))
    else:
        _warn(variable, f"{wrong}; {'the whole variable is ' if several else ''}ignored")
    return read


def _warn(variable: str, reason: str) -> None:
    notices.once(logging.WARNING, (variable, reason), "meshtrace: %s: %s", variable, reason)

"""The servers: what they were given to serve, they serve with the middleware around it."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from meshtrace.auto.outermost import outermost

__all__ = ["ADAPTERS"]


def _given(kind_name: str, method: str, parameter: str) -> Callable[[ModuleType], None]:
    """Give an adapter of a class that is given the application as one parameter of a method."""

    def adapt(module: ModuleType) -> None:
        import inspect  # noqa: PLC0415 - slow to import, and needed where a server starts only

        kind: Any = getattr(module, kind_name)
        original = getattr(kind, method)
        signature = inspect.signature(original)
        signature.bind_partial(**{parameter: None})

        @functools.wraps(original, updated=())
        def call(*args: object, **kwargs: object) -> object:
            arguments = signature.bind(*args, **kwargs)
            app = arguments.arguments.get(parameter)
            arguments.arguments[parameter] = outermost(app)
            return original(*arguments.args, **arguments.kwargs)

        setattr(kind, method, call)

    return adapt


def _uvicorn(module: ModuleType) -> None:
    original = module.Config.load

    @functools.wraps(original, updated=())
    def load(config: Any) -> None:  # noqa: ANN401 - a uvicorn.Config
        original(config)
        config.loaded_app = outermost(config.loaded_app)

    module.Config.load = load


def _gunicorn(module: ModuleType) -> None:
    original = module.BaseApplication.wsgi

    @functools.wraps(original, updated=())
    def wsgi(application: object) -> object:
        return outermost(original(application))

    module.BaseApplication.wsgi = wsgi


def _hypercorn(module: ModuleType) -> None:
    for kind in ("ASGIWrapper", "WSGIWrapper"):
        _given(kind, "__init__", "app")(module)


def _granian(module: ModuleType) -> None:
    # Its workers load the application by this function; there is no public place. One that pickles
    # as the original does: a spawned worker has it, too.
    original = module.load_target

    @functools.wraps(original, updated=())
    def load_target(*args: object, **kwargs: object) -> object:
        return outermost(original(*args, **kwargs))

    module.load_target = load_target  # type: ignore[attr-defined]  # it was there


ADAPTERS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (
    ("uvicorn.config", _uvicorn),
    # Its threads know nothing of the request that the ASGI middleware saw.
    ("uvicorn.middleware.wsgi", _given("WSGIMiddleware", "__init__", "app")),
    ("gunicorn.app.base", _gunicorn),
    ("granian._internal", _granian),
    ("hypercorn.app_wrappers", _hypercorn),
    ("waitress.server", _given("BaseWSGIServer", "__init__", "application")),
    ("werkzeug.serving", _given("BaseWSGIServer", "__init__", "app")),
    ("wsgiref.simple_server", _given("WSGIServer", "set_app", "application")),
    ("gevent.pywsgi", _given("WSGIServer", "__init__", "application")),
)
"""A module, and what to do with it when it was imported."""

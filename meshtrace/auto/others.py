"""The frameworks whose requests are neither ASGI nor WSGI: each has a room of its own."""

import functools
from types import ModuleType
from typing import Any

__all__ = ["ADAPTERS"]


def _aiohttp(module: ModuleType) -> None:
    original = module.Application.pre_freeze

    @functools.wraps(original, updated=())
    def pre_freeze(app: Any) -> None:  # noqa: ANN401 - an aiohttp.web.Application
        from meshtrace.inbound import aiohttp as room  # noqa: PLC0415 - aiohttp is loaded by now

        if not (app.pre_frozen or any(isinstance(one, room.Middleware) for one in app.middlewares)):
            room.setup(app)
        original(app)

    module.Application.pre_freeze = pre_freeze


def _grpc(_module: ModuleType) -> None:
    from meshtrace.inbound import grpc as room  # noqa: PLC0415 - gRPC is loaded by now

    room.patch_servers()


ADAPTERS = (("aiohttp.web_app", _aiohttp), ("grpc", _grpc))
"""A module, and what to do with it when it was imported."""

"""Django: blocking and asynchronous views, under WSGI and under ASGI, beside other middlewares."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, ClassVar

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

import meshtrace
from tests.inbound import driver_asgi, driver_wsgi
from tests.inbound.django_site import MIDDLEWARE, Site
from tests.inbound.driving import REVIEWS, Answer, Driver, Lines

__all__ = ["DRIVERS"]

SYNC_ONLY = "tests.inbound.django_site.sync_only"


class _Django(Driver):
    """
    A Django site.

    Attributes:
        views: Which kind of views the paths lead to.
        before: The middlewares around ours.
        after: Those inside it.
        stream: The view that streams as the server likes it.
    """

    views: ClassVar[str]
    before: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    stream = "stream"
    handler: ClassVar[Any]

    def open(self, stack: ExitStack) -> None:
        """Make the site's handler, of settings of its own."""
        middleware = [*self.before, *[MIDDLEWARE] * (1 + self.nested), *self.after]
        stack.enter_context(override_settings(MIDDLEWARE=middleware, MESHTRACE=self.options))
        self.app = self.handler()
        Site.driver = self

    def _path(self, path: str) -> str:
        return f"/{self.views}/{self.stream if path == '/stream' else path[1:]}"


class _UnderWsgi(_Django):
    handler = WSGIHandler

    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask in this thread."""
        return driver_wsgi.serve(self.app, self._path(path), lines)

    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask in threads."""
        with ThreadPoolExecutor(len(brought)) as pool:
            return list(pool.map(lambda lines: self.get(path, lines), brought))

    def outside(self) -> dict[str, str]:
        """Look in this thread."""
        return meshtrace.headers(REVIEWS)


class _UnderAsgi(_Django):
    handler = ASGIHandler
    stream = "stream_async"

    def open(self, stack: ExitStack) -> None:
        """Make the site's handler, and the event loop."""
        super().open(stack)
        self._runner = stack.enter_context(asyncio.Runner())

    def get(self, path: str, lines: Lines = ()) -> Answer:
        """Ask in the loop, in the context of the last request."""
        return self._runner.run(driver_asgi.serve(self.app, self._path(path), lines))

    def get_at_once(self, path: str, brought: Sequence[Lines]) -> list[Answer]:
        """Ask in tasks."""

        async def together() -> list[Answer]:
            path_ = self._path(path)
            return await asyncio.gather(
                *(driver_asgi.serve(self.app, path_, lines) for lines in brought)
            )

        return self._runner.run(together())

    def outside(self) -> dict[str, str]:
        """Look in the context of the last request."""

        async def look() -> dict[str, str]:
            return meshtrace.headers(REVIEWS)

        return self._runner.run(look())


class SyncUnderWsgi(_UnderWsgi):
    """Blocking views, as in most sites."""

    name = "Django, sync views under WSGI"
    views = "sync"


class AsyncUnderWsgi(_UnderWsgi):
    """Asynchronous views, each in an event loop of its own."""

    name = "Django, async views under WSGI"
    views = "async"


class AsyncUnderAsgi(_UnderAsgi):
    """Asynchronous views."""

    name = "Django, async views under ASGI"
    views = "async"


class SyncUnderAsgi(_UnderAsgi):
    """Blocking views, which Django runs in threads."""

    name = "Django, sync views under ASGI"
    views = "sync"


class BehindSync(AsyncUnderAsgi):
    """Ours inside a middleware that blocks."""

    name = "Django, behind a sync middleware under ASGI"
    before = (SYNC_ONLY,)


class AroundSync(AsyncUnderAsgi):
    """Ours around a middleware that blocks."""

    name = "Django, around a sync middleware under ASGI"
    after = (SYNC_ONLY,)


class BetweenOthers(SyncUnderWsgi):
    """Ours between Django's own."""

    name = "Django, between its own middlewares"
    before = (
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.security.SecurityMiddleware",
    )
    after = ("django.middleware.common.CommonMiddleware",)


DRIVERS = (
    SyncUnderWsgi,
    AsyncUnderWsgi,
    AsyncUnderAsgi,
    SyncUnderAsgi,
    BehindSync,
    AroundSync,
    BetweenOthers,
)

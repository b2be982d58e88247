"""A Django site: its settings, which a process has once, and the contract's paths as views."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, ClassVar

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

import meshtrace
from tests.inbound import driver_asgi, driver_wsgi
from tests.inbound.driving import PARTS, Answer, Driver, Lines, report

__all__ = ["MIDDLEWARE", "Site", "sync_only", "under_asgi", "under_wsgi", "urlpatterns", "urls"]

MIDDLEWARE = "meshtrace.inbound.django.Middleware"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEFAULT_CHARSET="utf-8",
        INSTALLED_APPS=[],
        LOGGING_CONFIG=None,
        MIDDLEWARE=[],
        ROOT_URLCONF="tests.inbound.django_site",
        USE_TZ=True,
    )
    django.setup()


class Site:
    """
    What the views find of the test.

    Attributes:
        driver: Who serves.
    """

    driver: ClassVar[Driver]


def sync_only(get_response: Any) -> Any:  # noqa: ANN401 - Django has no types
    """Be a middleware that knows nothing of asyncio."""

    def middleware(request: HttpRequest) -> Any:  # noqa: ANN401 - Django has no types
        return get_response(request)

    return middleware


def urls(view: Callable[[HttpRequest], Any], **more: Any) -> AbstractContextManager[None]:  # noqa: ANN401 - what a module of URLs has
    """Have one view at ``/``, and more of what a module of URLs has."""
    module = ModuleType("urls")
    vars(module).update(urlpatterns=[path("", view)], **more)
    overriding: AbstractContextManager[None] = override_settings(ROOT_URLCONF=module)
    return overriding


def under_wsgi(view: Callable[[HttpRequest], Any], lines: Lines, **more: Any) -> Answer:  # noqa: ANN401 - as above
    """Ask one view under WSGI."""
    with urls(view, **more):
        return driver_wsgi.serve(WSGIHandler(), "/", lines)


def under_asgi(view: Callable[[HttpRequest], Any], lines: Lines, **more: Any) -> Answer:  # noqa: ANN401 - as above
    """Ask one view under ASGI."""
    with urls(view, **more):
        return asyncio.run(driver_asgi.serve(ASGIHandler(), "/", lines))


def _index(_: HttpRequest) -> HttpResponse:
    return HttpResponse(report())


async def _index_async(_: HttpRequest) -> HttpResponse:
    return HttpResponse(report())


def _user(_: HttpRequest) -> HttpResponse:
    meshtrace.set_header("end-user", "alice")
    return HttpResponse(report())


async def _user_async(_: HttpRequest) -> HttpResponse:
    meshtrace.set_header("end-user", "alice")
    return HttpResponse(report())


def _error(_: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


async def _error_async(_: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def _use(request: HttpRequest) -> HttpResponse:
    with meshtrace.detached(), meshtrace.use(request):
        return HttpResponse(report())


async def _use_async(request: HttpRequest) -> HttpResponse:
    with meshtrace.detached(), meshtrace.use(request):
        return HttpResponse(report())


def _meet(_: HttpRequest) -> HttpResponse:
    first = report()
    Site.driver.meeting.wait()
    return HttpResponse(first + report())


async def _meet_async(_: HttpRequest) -> HttpResponse:
    first = report()
    await Site.driver.meeting.wait_async()
    return HttpResponse(first + report())


def _parts() -> Iterator[str]:
    for _ in range(PARTS):
        yield report()


async def _parts_async() -> AsyncIterator[str]:
    for _ in range(PARTS):
        yield report()


def _stream(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts())


async def _stream_async(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts_async())


def _stream_sync_under_asgi(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts_async())


async def _stream_async_under_wsgi(_: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_parts())


urlpatterns = [
    path("sync/", _index),
    path("sync/user", _user),
    path("sync/error", _error),
    path("sync/use", _use),
    path("sync/meet", _meet),
    path("sync/stream", _stream),
    path("sync/stream_async", _stream_sync_under_asgi),
    path("async/", _index_async),
    path("async/user", _user_async),
    path("async/error", _error_async),
    path("async/use", _use_async),
    path("async/meet", _meet_async),
    path("async/stream", _stream_async_under_wsgi),
    path("async/stream_async", _stream_async),
]

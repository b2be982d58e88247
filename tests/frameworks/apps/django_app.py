"""Django: views of both kinds, streams, error handlers; served as ASGI and as WSGI."""

from collections.abc import AsyncIterator, Callable, Iterator

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path

from tests.frameworks.apps.calls import call, call_async

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[
        "meshtrace.inbound.django.Middleware",
        "django.middleware.common.CommonMiddleware",
        "tests.frameworks.apps.django_app.Calling",
    ],
    ROOT_URLCONF="tests.frameworks.apps.django_app",
    SECRET_KEY="not one",  # noqa: S106 - nothing is signed here
)
django.setup(set_prefix=False)


class WrongError(Exception):
    """What the middleware's exception handler is there for."""


class Calling:
    """A middleware of the application's, that calls when a view fails."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass a request on, and call on one path."""
        if request.path == "/middleware":
            return HttpResponse(call(request.GET["id"]))
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Call from an exception handler."""
        if isinstance(error, WrongError):
            return HttpResponse(call(request.GET["id"]), status=400)
        return None


def plain(request: HttpRequest) -> HttpResponse:
    """Call from a view."""
    return HttpResponse(call(request.GET["id"]))


async def asynchronous(request: HttpRequest) -> HttpResponse:
    """Call from an asynchronous view."""
    return HttpResponse(await call_async(request.GET["id"]))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Call while the body is sent."""

    def body() -> Iterator[str]:
        yield "a"
        yield call(request.GET["id"])

    return StreamingHttpResponse(body())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """Call while an asynchronous body is sent."""

    async def body() -> AsyncIterator[str]:
        yield "a"
        yield await call_async(request.GET["id"])

    return StreamingHttpResponse(body())


def wrong(_request: HttpRequest) -> HttpResponse:
    """Fail with what the middleware has a handler for."""
    raise WrongError


def crash(_request: HttpRequest) -> HttpResponse:
    """Fail with what nobody foresaw."""
    raise ZeroDivisionError


def handler500(request: HttpRequest) -> HttpResponse:
    """Call from the handler of errors 500."""
    return HttpResponse(call(request.GET["id"]), status=500)


urlpatterns = [
    path("sync", plain),
    path("async", asynchronous),
    path("stream", stream),
    path("stream-async", stream_async),
    path("wrong", wrong),
    path("crash", crash),
    path("mounted/", include([path("sync", plain)])),
]

asgi = get_asgi_application()
wsgi = get_wsgi_application()

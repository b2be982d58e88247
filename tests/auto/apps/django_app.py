"""Django, both kinds."""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.auto.apps.calls import call

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",  # noqa: S106 - nothing is signed here
)


def index(_request: HttpRequest) -> HttpResponse:
    """Answer with what a call carries."""
    return HttpResponse(call())


urlpatterns = [path("", index)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()

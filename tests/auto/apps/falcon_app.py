"""Falcon, both kinds."""

import falcon
import falcon.asgi

from tests.auto.apps.calls import call


class Index:
    """Answers with what a call carries."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        """Answer under WSGI."""
        response.data = call()


class AsyncIndex:
    """Answers with what a call carries."""

    async def on_get(self, _request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        """Answer under ASGI."""
        response.data = call()


wsgi = falcon.App()
wsgi.add_route("/", Index())
asgi = falcon.asgi.App()
asgi.add_route("/", AsyncIndex())

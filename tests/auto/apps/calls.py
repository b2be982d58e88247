"""A call as every application here makes it, and what it would have carried."""

import json

import requests

_OF_REQUESTS = {"user-agent", "accept-encoding", "accept", "connection"}


class _Nowhere(requests.adapters.BaseAdapter):
    """Answers with the headers that would have been sent."""

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        sent = {name.lower(): value for name, value in request.headers.items()}
        response = requests.Response()
        response.status_code = 200
        response.request = request
        response._content = json.dumps(  # noqa: SLF001 - as adapters set it
            {name: value for name, value in sent.items() if name not in _OF_REQUESTS}
        ).encode()
        return response

    def close(self) -> None:
        """Hold nothing."""


_session = requests.Session()
_session.mount("http://", _Nowhere())


def call() -> bytes:
    """Call another service, and give the headers that the call had, as JSON."""
    return _session.get("http://reviews:9080/reviews/0").content

"""What is known of a fault, and what is made of it."""

import re
from typing import NamedTuple

from meshtrace.checker.judged import Judged

__all__ = ["Diagnosis", "Evidence", "client_of"]

_clients: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        ("python-requests/", "requests"),
        ("python-httpx2/", "httpx2"),
        ("python-httpx/", "httpx"),
        ("aiohttp/", "aiohttp"),
        ("python-urllib3/", "urllib3"),
        ("python-urllib/", "urllib.request"),
        ("node-fetch", "node-fetch"),
        ("^node$|undici", "Node's fetch"),
        ("axios/", "axios"),
        ("go-http-client/", "Go's net/http"),
        ("^java/|java-http-client/", "Java's HTTP client"),
        ("okhttp/", "OkHttp"),
        ("curl/", "curl"),
    )
)
_PYTHON = {"requests", "httpx", "httpx2", "aiohttp", "urllib3", "urllib.request", "http.client"}
_TRACERS = {
    "sentry-trace": "Sentry",
    "newrelic": "New Relic",
    "elastic-apm-traceparent": "Elastic APM",
    "uber-trace-id": "Jaeger's client",
    "x-datadog-trace-id": "Datadog",
}


class Diagnosis(NamedTuple):
    """
    A likely cause.

    Attributes:
        name: A word that stays the same.
        cause: The cause.
        fix: What to do; empty when nothing need be done.
    """

    name: str
    cause: str
    fix: str = ""


class Evidence(NamedTuple):
    """
    What is known of a fault.

    Attributes:
        code: What happens to the trace: an `Effect`'s.
        names: The headers that do it.
        example: A call that shows it.
        rest_is_kept: Whether the same call is right for some probe.
        others_are_kept: Whether other calls of the service are right.
        runs_already: Whether the service runs elsewhere, and others may stand between.
        command: The service's command, as a shell reads it; empty when it is not known.
        kept: The headers that the same call keeps for some probe.
    """

    code: str
    names: tuple[str, ...]
    example: Judged
    rest_is_kept: bool
    others_are_kept: bool
    runs_already: bool
    command: str = ""
    kept: tuple[str, ...] = ()

    @property
    def client(self) -> str:
        """The client library; empty when it is not known."""
        note = self.example.call.note
        return (note.client if note else "") or client_of(self.example.call.header("user-agent"))

    @property
    def is_python(self) -> bool:
        """Whether the service is known to be written in Python."""
        return self.example.call.note is not None or self.client in _PYTHON

    @property
    def tracers(self) -> list[str]:
        """Other tracers that were seen in the process, or by the headers that they add."""
        note = self.example.call.note
        loaded: list[str] = [*note.facts.get("tracers", ())] if note else []
        came = {name for name, _ in self.example.probe.fields}
        added = {name.lower() for name, _ in self.example.call.headers} - came
        return [*loaded, *(_TRACERS[name] for name in sorted(added & _TRACERS.keys()))]


def client_of(user_agent: str) -> str:
    """
    Name the client library by its ``user-agent``.

    >>> client_of("python-requests/2.32.0"), client_of("Python/3.11 aiohttp/3.9.1")
    ('requests', 'aiohttp')
    """
    return next((name for pattern, name in _clients if pattern.search(user_agent)), "")

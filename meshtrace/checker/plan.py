"""What is to be checked, and how."""

from dataclasses import dataclass, field
from typing import Literal

from meshtrace.checker.answers import Answers
from meshtrace.checker.prober import Request

__all__ = ["Isolate", "Plan"]

Isolate = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Plan:
    """
    What a check is told.

    Attributes:
        command: The service's command; empty when it runs already.
        application: An application to serve instead: ``module:name``.
        requests: What is asked of it.
        providers: The tracing providers whose headers are tried.
        odd: Whether to try what is seldom seen, too.
        environment: Variables to set for the service.
        port: Where it listens; None is to be found.
        timeout: The longest to wait for each answer, in seconds.
        start_timeout: The longest to wait for the service to listen, in seconds.
        answers: What its calls are answered with.
        forward_to: The host that calls are passed on to; empty answers them.
        ignored: Hosts whose calls are not judged.
        leaf: Whether it is right that no call is made.
        listen: Where the recorder listens for a service that runs already.
        url: That service's address: host and port.
    """

    requests: tuple[Request, ...]
    command: tuple[str, ...] = ()
    application: str = ""
    providers: tuple[str, ...] = ("zipkin", "opentelemetry")
    odd: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    timeout: float = 10.0
    start_timeout: float = 30.0
    answers: Answers = field(default_factory=lambda: Answers([]))
    forward_to: str = ""
    ignored: frozenset[str] = frozenset()
    leaf: bool = False
    listen: tuple[str, int] | None = None
    url: tuple[str, int] = ("", 0)

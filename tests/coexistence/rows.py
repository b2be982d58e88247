"""What is run: each other tracer, in both orders of installation, and without meshtrace."""

from dataclasses import dataclass, field
from importlib.metadata import version

__all__ = ["ALONE", "ROWS", "Row"]

JOIN = {"MESHTRACE_OWN_SPANS": "join"}
SPANS = {"MESHTRACE_SPANS": "1"}
REPLACE = {"MESHTRACE_ON_CONFLICT": "replace"}
OPENTELEMETRY_MODE = {"DD_TRACE_OTEL_ENABLED": "1"}

TITLES = {
    "opentelemetry": ("OpenTelemetry's instrumentations", "opentelemetry-instrumentation"),
    "opentelemetry-instrument": ("`opentelemetry-instrument`", "opentelemetry-distro"),
    "vendor": ("an SDK for another backend, with a provider of its own", "opentelemetry-sdk"),
    "ddtrace": ("ddtrace", "ddtrace"),
    "sentry": ("sentry-sdk", "sentry-sdk"),
}
"""What a tracer is called in the page, and its distribution."""

RUNNERS = {"opentelemetry-instrument": "opentelemetry-instrument", "ddtrace": "ddtrace-run"}

Warnings = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """
    One process with another tracer in it.

    Attributes:
        tracer: Its name.
        first: Which is installed first, ``ours`` or ``theirs``.
        reported: Whether its spans are exported.
        environment: Settings.
        warns: Of what meshtrace warns.
        clients: How many CLIENT spans there are for each request.
        servers: How many SERVER spans there are for each request.
        twice: The frameworks for which the tracer by itself makes two SERVER spans.
        runner: Whether it is started by the tracer's own command, if there is one.
        unread: Those of Envoy's tracers whose format it does not read.
    """

    tracer: str
    first: str = "theirs"
    reported: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    warns: Warnings = ()
    clients: int = 12
    servers: int = 1
    twice: tuple[str, ...] = ()
    runner: bool = True
    unread: tuple[str, ...] = ()

    def __str__(self) -> str:
        order = {"ours": "after meshtrace", "theirs": "before meshtrace"}[self.first]
        return ", ".join(filter(None, (self.tracer, order, self.remark)))

    @property
    def command(self) -> str | None:
        """The command that starts it, if it has one."""
        return RUNNERS.get(self.tracer) if self.runner else None

    @property
    def joins(self) -> bool:
        """Whether its spans are to be in the mesh's trace."""
        return self._has(JOIN) or (self._has(SPANS) and self.shares)

    @property
    def has_own(self) -> bool:
        """Whether there are spans that meshtrace makes, or leaves to an instrumentation."""
        return self._has(SPANS) and not self._has(OPENTELEMETRY_MODE)

    @property
    def shares(self) -> bool:
        """Whether its provider is the one that is set, with which meshtrace makes spans."""
        return self.tracer.startswith("opentelemetry") or self._has(OPENTELEMETRY_MODE)

    @property
    def title(self) -> str:
        """What the tracer is called in the page."""
        name, distribution = TITLES[self.tracer]
        return f"{name} ({distribution} {version(distribution)})"

    @property
    def order(self) -> str:
        """When it is installed, as the page says it."""
        if self.command is not None:
            return f"by `{self.command}`"
        return {"ours": "after meshtrace", "theirs": "before meshtrace"}[self.first]

    @property
    def remark(self) -> str:
        """What else there is to say of it."""
        ours = {key: self.environment[key] for key in self.environment if "MESHTRACE" in key}
        theirs = {key: self.environment[key] for key in self.environment if key not in ours}
        silent = "" if self.reported else "nothing exported"
        return ", ".join(filter(None, (_said(theirs), _said(ours), silent)))

    def _has(self, settings: dict[str, str]) -> bool:
        return settings.items() <= self.environment.items()


def _said(settings: dict[str, str]) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in settings.items())


NO_PROCESSOR = ("no span processor",)
B3 = ("zipkin",)

ROWS = (
    Row("opentelemetry", "ours"),
    Row("opentelemetry"),
    Row("opentelemetry", "ours", reported=False),
    Row("opentelemetry", reported=False),
    Row("opentelemetry", environment=REPLACE),
    Row("opentelemetry", "ours", environment=JOIN),
    Row("opentelemetry", environment=JOIN),
    Row("opentelemetry", reported=False, environment=JOIN, warns=NO_PROCESSOR),
    Row("opentelemetry", "ours", environment=SPANS, unread=B3),
    Row("opentelemetry", environment=SPANS, unread=B3),
    Row("opentelemetry-instrument"),
    Row("opentelemetry-instrument", environment=JOIN),
    Row("opentelemetry-instrument", environment=SPANS, unread=B3),
    Row("vendor", "ours", clients=11, servers=0),
    Row("vendor", clients=11, servers=0),
    Row("vendor", "ours", environment=SPANS, clients=6, servers=0),
    Row("vendor", environment=SPANS, clients=4, servers=0),
    Row("ddtrace", "ours", runner=False, clients=15, twice=("wsgi",)),
    Row("ddtrace", clients=15, twice=("wsgi",)),
    Row("ddtrace", environment=REPLACE, clients=15, twice=("wsgi",)),
    Row("ddtrace", environment=JOIN, clients=15, twice=("wsgi",)),
    Row("ddtrace", environment=SPANS, clients=15, twice=("wsgi",)),
    Row("ddtrace", environment=OPENTELEMETRY_MODE, clients=15, twice=("wsgi", "fastapi")),
    Row(
        "ddtrace",
        environment={**OPENTELEMETRY_MODE, **JOIN},
        clients=15,
        twice=("wsgi", "fastapi"),
    ),
    Row(
        "ddtrace",
        environment={**OPENTELEMETRY_MODE, **SPANS},
        clients=15,
        twice=("wsgi", "fastapi"),
    ),
    Row("sentry", "ours", clients=10),
    Row("sentry", clients=10),
    Row("sentry", reported=False),
    Row("sentry", environment=SPANS, clients=10),
)

NO_ID = "x-request-id is not what came"
NOTHING = "nothing that this tracer reads"
OTHER = "another trace than the mesh's"
ORPHAN = "an orphan"

_UNREAD_B3 = (OTHER, NOTHING, NO_ID)
_INSTEAD = (ORPHAN, NO_ID)
_MOSTLY = (ORPHAN, NOTHING, NO_ID)
_LOST = (OTHER, ORPHAN, NOTHING, NO_ID)
_NOTHING = (NOTHING, NO_ID)

ALONE: dict[str, dict[str, tuple[str, ...]]] = {
    tracer: dict(zip(("zipkin", "zipkin-w3c", "opentelemetry", "datadog"), columns, strict=True))
    for tracer, columns in {
        "opentelemetry": (_UNREAD_B3, *[_INSTEAD] * 3),
        "opentelemetry-instrument": (_UNREAD_B3, *[_INSTEAD] * 3),
        "vendor": (_UNREAD_B3, *[_LOST] * 3),
        "ddtrace": (_UNREAD_B3, *[_MOSTLY] * 3),
        "sentry": [_NOTHING] * 4,
    }.items()
}
"""What is wrong with the calls of a process that has the tracer and not meshtrace."""

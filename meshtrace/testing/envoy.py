"""Headers as an Envoy sidecar makes them, for each tracing provider of a mesh."""

from collections.abc import Mapping

from meshtrace.checker.probes import ODD, PROVIDERS, make
from meshtrace.errors import ConfigurationError

__all__ = ["FakeEnvoy"]

_DEFERRED = {"zipkin": "zipkin, not decided yet"}


class FakeEnvoy:
    """
    A sidecar that sends requests to the application under test.

    Names, their order and the mark of the sampling decision in ``x-request-id`` are those of
    requests captured behind a real Envoy 1.40; the ids are new each time.

    Args:
        provider: The mesh's tracing provider: ``zipkin``, ``opentelemetry``, ``zipkin-w3c``,
            ``datadog`` or ``skywalking``; or what is seldom seen, by a name of `ODD`, such as
            ``"zipkin, 64 bit"``.
        sampled: Whether Envoy records the trace; None leaves it open, as zipkin can.

    Raises:
        ConfigurationError: There is no such provider, or it has no such decision.

    >>> [*FakeEnvoy("opentelemetry").headers()][1:]
    ['x-request-id', 'x-envoy-expected-rq-timeout-ms', 'traceparent', 'tracestate']
    """

    ODD = tuple(ODD)

    def __init__(self, provider: str = "zipkin", *, sampled: bool | None = True) -> None:
        if provider not in (*PROVIDERS, *ODD):
            known = ", ".join(map(repr, (*PROVIDERS, *ODD)))
            raise ConfigurationError(f"provider={provider!r}: not one of {known}")
        if provider == "skywalking" and sampled is False:
            raise ConfigurationError("sampled=False: without sampling, SkyWalking sends no header")
        if sampled is None and provider not in _DEFERRED:
            raise ConfigurationError(f"sampled=None: {provider} always decides")
        self.provider = provider
        self.sampled = sampled

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """
        Make the headers of one request, with new ids.

        Args:
            more: Headers beside those of the sidecar, such as ``{"end-user": "jason"}``; they win.

        >>> FakeEnvoy().headers({"end-user": "jason"})["end-user"]
        'jason'
        """
        name = _DEFERRED[self.provider] if self.sampled is None else self.provider
        probe = ODD[name]() if name in ODD else make([name])[0 if self.sampled else 1]
        made = dict(probe.headers("unused"))
        for by_the_client in ("host", "user-agent", "accept"):
            del made[by_the_client]
        return {**made, **(more or {})}

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """
        Make the headers of one request as WSGI spells them.

        >>> [*FakeEnvoy("b3, do not sample, without ids").environ()][-1]
        'HTTP_B3'
        """
        made = self.headers(more).items()
        return {"HTTP_" + name.upper().replace("-", "_"): value for name, value in made}

"""FakeEnvoy makes what a real Envoy sends."""

import json
from pathlib import Path

import pytest

from meshtrace.errors import ConfigurationError
from meshtrace.relay.judge import judge
from meshtrace.relay.rules import InboundRules
from meshtrace.testing import FakeEnvoy

CAPTURES = json.loads((Path(__file__).parent.parent / "data/envoy-1.40.0.json").read_text())
PROVIDERS = ("zipkin", "opentelemetry", "zipkin-w3c", "datadog", "skywalking")
MALFORMED = ("opentelemetry, malformed", "zipkin, malformed")


def _captured(tracer: str, sampling: int) -> list[str]:
    """Give the names that a real Envoy made behind a gateway, where a client sent none."""
    (found, *_) = (
        capture["inbound"]
        for capture in CAPTURES
        if (capture["tracer"], capture["case"]) == (tracer, "no-headers")
        and (capture["entry"], capture["random_sampling"]) == ("gateway", sampling)
    )
    of_the_gateway = {
        "host",
        "x-forwarded-for",
        "x-envoy-external-address",
        "x-envoy-attempt-count",
    }
    return [name for name, _ in found if name not in of_the_gateway]


@pytest.mark.parametrize(
    ("provider", "tracer", "sampled"),
    [
        pytest.param("zipkin", "zipkin", True, id="zipkin, sampled"),
        pytest.param("zipkin", "zipkin", False, id="zipkin, not sampled"),
        pytest.param("opentelemetry", "otel-grpc", True, id="opentelemetry, sampled"),
        pytest.param("opentelemetry", "otel-grpc", False, id="opentelemetry, not sampled"),
        pytest.param("zipkin-w3c", "zipkin-w3c", True, id="zipkin-w3c, sampled"),
        pytest.param("zipkin-w3c", "zipkin-w3c", False, id="zipkin-w3c, not sampled"),
        pytest.param("datadog", "datadog", True, id="datadog, sampled"),
        pytest.param("datadog", "datadog", False, id="datadog, not sampled"),
        pytest.param("skywalking", "skywalking", True, id="skywalking"),
    ],
)
def test_the_names_are_those_of_a_real_envoy(provider: str, tracer: str, *, sampled: bool) -> None:
    """Behind a gateway to which a client sent nothing, Envoy makes these headers, in this order."""
    real = _captured(tracer, 100 if sampled else 0)
    assert real == [*FakeEnvoy(provider, sampled=sampled).headers()]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_everything_is_relayed(provider: str) -> None:
    """All that a provider sends is good."""
    made = FakeEnvoy(provider).headers()
    accepted = judge(
        [(name, value) for name, value in made.items() if name in InboundRules.of().names],
        InboundRules.of(),
    )
    assert {} == accepted.dropped
    assert {"x-request-id"} <= accepted.ids.keys()


def test_ids_are_new_each_time() -> None:
    """No two requests have an id in common."""
    envoy = FakeEnvoy("zipkin-w3c")
    first, second = envoy.headers(), envoy.headers()
    same = {name for name in first if first[name] == second[name]}
    assert {"x-forwarded-proto", "x-envoy-expected-rq-timeout-ms", "x-b3-sampled"} == same


@pytest.mark.parametrize(
    ("sampled", "decision", "mark"),
    [
        pytest.param(True, "1", "9", id="sampled"),
        pytest.param(False, "0", "4", id="not sampled"),
        pytest.param(None, None, "9", id="left open"),
    ],
)
def test_the_decision(sampled: bool | None, decision: str | None, mark: str) -> None:  # noqa: FBT001 - a parameter of the test
    """The decision is in its field, and in the 15th character of the request id."""
    made = FakeEnvoy(sampled=sampled).headers()
    assert (decision, mark) == (made.get("x-b3-sampled"), made["x-request-id"][14])


def test_what_is_seldom_seen_can_be_had_by_name() -> None:
    """The odd cases that `meshtrace check --all` tries are there, too."""
    assert "0" == FakeEnvoy("b3, do not sample, without ids").headers()["b3"]
    assert set(MALFORMED) <= set(FakeEnvoy.ODD)


def test_more_headers() -> None:
    """The caller's headers come along, and win."""
    made = FakeEnvoy().headers({"end-user": "jason", "x-b3-sampled": "0"})
    assert ("jason", "0") == (made["end-user"], made["x-b3-sampled"])


def test_as_wsgi_spells_them() -> None:
    """A WSGI environ has the same, under its own names."""
    environ = FakeEnvoy().environ({"end-user": "jason"})
    assert "jason" == environ["HTTP_END_USER"]
    assert "HTTP_X_B3_TRACEID" in environ


@pytest.mark.parametrize(
    ("provider", "sampled", "message"),
    [
        pytest.param("jaeger", True, "provider='jaeger': not one of 'zipkin'", id="unknown"),
        pytest.param("skywalking", False, "sends no header", id="not sampled"),
        pytest.param("datadog", None, "datadog always decides", id="not decided"),
    ],
)
def test_what_no_envoy_sends(provider: str, sampled: bool | None, message: str) -> None:  # noqa: FBT001 - a parameter of the test
    """A provider that there is not, or that does not decide so, is refused."""
    with pytest.raises(ConfigurationError, match=message):
        FakeEnvoy(provider, sampled=sampled)

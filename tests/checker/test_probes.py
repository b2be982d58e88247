"""The probes look like what a real Envoy sends."""

import json
import re
from pathlib import Path

import pytest

from meshtrace.checker.probes import BURST, ODD, PROVIDERS, burst, make
from meshtrace.relay.judge import judge
from meshtrace.relay.rules import InboundRules
from tests.checker.judging import probe

CAPTURES = json.loads((Path(__file__).parent.parent / "data" / "envoy-1.40.0.json").read_text())
TRACERS = {"opentelemetry": "otel-http"}


def _captured(provider: str, sampling: int) -> list[list[str]]:
    tracer = TRACERS.get(provider, provider)
    [found] = [
        capture["inbound"]
        for capture in CAPTURES
        if (capture["tracer"], capture["case"], capture["entry"], capture["random_sampling"])
        == (tracer, "no-headers", "gateway", sampling)
    ]
    return [pair for pair in found if not pair[0].startswith(("host", "x-forwarded", "x-envoy"))]


def _shape(value: str) -> str:
    return re.sub(r"[0-9]{4,}", "9", re.sub(r"[0-9a-f]{8,}", "f", value))


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "skywalking"])
@pytest.mark.parametrize(("kind", "sampling"), [("sampled", 100), ("unsampled", 0)])
def test_the_headers_are_those_of_a_capture(provider: str, kind: str, sampling: int) -> None:
    """Names, order and the form of the values are those that Envoy 1.40 was seen to send."""
    captured = _captured(provider, sampling)
    made = probe(f"{provider}, {kind}").fields
    assert [name for name, _ in captured] == [name for name, _ in made]
    for (_, there), (name, here) in zip(captured, made, strict=True):
        if name not in {"x-request-id", "tracestate", "x-datadog-tags"}:
            assert len(_shape(there)) == len(_shape(here)), name


@pytest.mark.parametrize(("kind", "mark"), [("sampled", "9"), ("unsampled", "4")])
def test_the_request_id_is_marked(kind: str, mark: str) -> None:
    """The 15th character of the request id says whether the request is sampled."""
    assert mark == dict(probe(f"zipkin, {kind}").fields)["x-request-id"][14]


def test_skywalking() -> None:
    """SkyWalking's tracer sends sw8 when it samples, and nothing when it does not."""
    names = [each.name for each in make(["skywalking"])]
    assert ["skywalking, sampled", "no trace headers"] == names
    captured = dict(_captured("skywalking", 100))["sw8"]
    assert captured.count("-") == dict(probe("skywalking, sampled").fields)["sw8"].count("-")


@pytest.mark.parametrize("name", ODD)
def test_the_odd_ones_are_what_they_say(name: str) -> None:
    """What is called malformed is dropped by meshtrace, and all but what is stale is not."""
    made = ODD[name]()
    dropped = judge(list(made.fields), InboundRules.of()).dropped
    kept_back = {field for field in dropped if field not in made.stale}
    assert made.malformed == kept_back


def test_so_many_at_once() -> None:
    """Twelve probes at once have ids of their own, and take the providers in turn."""
    made = burst(["zipkin", "datadog"])
    assert BURST == len({each.ids for each in made})
    assert 6 == sum(each.name == "datadog, sampled" for each in made)


def test_all_of_them() -> None:
    """With what is seldom seen, the last one is still the one without headers."""
    names = [each.name for each in make(PROVIDERS, odd=True)]
    assert len(names) == len({*names})
    assert "no trace headers" == names[-1]

"""
Small services, each broken in one way, and the correct twin of each.

A check has to find exactly what was planted, and nothing in the twin.
"""

import pytest

from tests.checker.checking import check, command, needs_namespace, needs_node, on_one_python

REVIEWS = "GET http://reviews:9080/reviews/0"
DETAILS = "GET http://details:9080/details/0"

FAULTS = [
    pytest.param(
        *("flask_sessions.py", "broken", DETAILS, "client-not-wrapped"),
        id="Flask, one of two sessions is not wrapped",
    ),
    pytest.param(
        *("starlette_middlewares.py", "broken", "GET http://users:8080/me", "no-context"),
        id="Starlette, another middleware is outside of meshtrace's",
    ),
    pytest.param(
        *("copied_by_hand.py", "no-request-id", REVIEWS, "forgotten"),
        id="copied by hand, without x-request-id",
    ),
    pytest.param(
        *("copied_by_hand.py", "no-decision", REVIEWS, "forgotten"),
        id="copied by hand, without x-b3-sampled",
    ),
    pytest.param(
        *("copied_by_hand.py", "no-w3c", REVIEWS, "b3-only"), id="copied by hand, B3 alone"
    ),
    pytest.param(
        *("copied_by_hand.py", "no-b3", REVIEWS, "w3c-only"), id="copied by hand, W3C alone"
    ),
    pytest.param(*("copied_by_hand.py", "nothing", REVIEWS, "not-carried"), id="nothing is copied"),
    pytest.param(
        *("opentelemetry_b3.py", "broken", REVIEWS, "no-exporter"),
        id="OpenTelemetry with B3, no exporter",
    ),
    pytest.param(*("thread_pool.py", "broken", REVIEWS, "executor"), id="a thread pool"),
    pytest.param(*("module_global.py", "broken", DETAILS, "leak"), id="a global of the module"),
    pytest.param(
        *("node_http.js", "broken", DETAILS, "this-call-only"),
        id="Node's http, one call without headers",
        marks=needs_node,
    ),
    pytest.param(
        *("node_fetch.js", "broken", DETAILS, "leak"),
        id="Node's fetch, a variable that requests share",
        marks=needs_node,
    ),
]
TWINS = [
    "flask_sessions.py",
    "starlette_middlewares.py",
    "copied_by_hand.py",
    "opentelemetry_b3.py",
    "thread_pool.py",
    "module_global.py",
    pytest.param("node_http.js", marks=needs_node),
    pytest.param("node_fetch.js", marks=needs_node),
]
LINES = {
    "flask_sessions.py": "in product",
    "thread_pool.py": "in fetch",
    "starlette_middlewares.py": "in call",
}


@on_one_python
@needs_namespace
@pytest.mark.parametrize(("service", "variant", "call", "diagnosis"), FAULTS)
def test_exactly_the_planted_fault_is_found(
    service: str, variant: str, call: str, diagnosis: str
) -> None:
    """A broken service has one finding: the planted fault, of the call that it is in."""
    said = check("--json", "--path", "/product", *command(service, variant))
    assert (1, {(call, diagnosis)}) == (said.status, said.faults)
    [finding] = said.report["findings"]
    assert finding["where"].endswith(LINES.get(service, ""))


@on_one_python
@needs_namespace
@pytest.mark.parametrize("service", TWINS)
def test_the_correct_twin_passes(service: str) -> None:
    """The same service without the fault has no finding."""
    said = check("--json", "--path", "/product", *command(service, "correct"))
    assert (0, []) == (said.status, said.report["findings"])


@on_one_python
@pytest.mark.parametrize(
    ("service", "call", "diagnosis"),
    [
        ("flask_sessions.py", DETAILS, "client-not-wrapped"),
        ("starlette_middlewares.py", "GET http://users:8080/me", "no-context"),
        ("thread_pool.py", REVIEWS, "executor"),
    ],
)
def test_redirecting_python_finds_the_same(service: str, call: str, diagnosis: str) -> None:
    """Without a namespace, a Python service is caught inside its interpreter."""
    said = check("--isolate=never", "--json", "--path=/product", *command(service, "broken"))
    assert (1, {(call, diagnosis)}) == (said.status, said.faults)
    assert "redirecting" in said.report["way"][1]

"""The Envoy files, with their blanks filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.bookinfo.runner.services import BOOKINFO
from examples.bookinfo.runner.sidecars import DIRECTORY, TRACERS, render

PORTS = {f"{service.workload.replace('-', '_')}_port": 1 for service in BOOKINFO}


def _rendered(name: str, tracer: str = "zipkin", **values: object) -> Any:  # noqa: ANN401
    everything = {
        "tracer": TRACERS[tracer],
        "sampling": 20,
        "spawn_upstream_span": "false",
        "workload": "details",
        "log_name": "details-sidecar",
        "headers_log": "details-sidecar.headers",
        "service": "details",
        "app_port": 2,
        "inbound_port": 3,
        "outbound_port": 4,
        "gateway_port": 5,
        "collector_port": 6,
        **PORTS,
    }
    return yaml.safe_load(render(name, {**everything, **values}, {}))


def _managers(bootstrap: Any) -> list[Any]:  # noqa: ANN401
    return [
        listener["filter_chains"][0]["filters"][0]["typed_config"]
        for listener in bootstrap["static_resources"]["listeners"]
    ]


@pytest.mark.parametrize("tracer", sorted(TRACERS))
def test_every_listener_traces_as_istio_sets_it_up(tracer: str) -> None:
    """All clients' requests, the mesh's share of the others, and no span of its own for a call."""
    for manager in _managers(_rendered("sidecar.yaml", tracer)):
        tracing = manager["tracing"]
        assert 20 == float(tracing["random_sampling"]["value"])
        assert 100 == tracing["client_sampling"]["value"] == tracing["overall_sampling"]["value"]
        assert tracing["spawn_upstream_span"] is False
        assert manager["use_remote_address"] is False


def test_only_the_gateway_trusts_nobody_and_has_a_span_for_its_call() -> None:
    """The edge makes a new x-request-id, and two spans."""
    (manager,) = _managers(_rendered("gateway.yaml", spawn_upstream_span="true"))
    assert manager["use_remote_address"] is True
    assert manager["tracing"]["spawn_upstream_span"] is True


def test_a_sidecar_has_an_inbound_and_an_outbound_listener() -> None:
    """One for the requests that come, one for the calls that leave."""
    listeners = _rendered("sidecar.yaml")["static_resources"]["listeners"]
    assert [("INBOUND", "3"), ("OUTBOUND", "4")] == [
        (
            listener["traffic_direction"],
            listener["address"]["socket_address"]["port_value"],
        )
        for listener in listeners
    ]


def test_a_sidecar_logs_what_its_service_logs() -> None:
    """A line for each request that came, with the ids; none for the calls that leave."""
    inbound, outbound = _managers(_rendered("sidecar.yaml"))
    log, _headers = inbound["access_log"]
    line = log["typed_config"]["log_format"]["text_format_source"]["inline_string"]
    assert line.startswith("details-sidecar %REQ(:METHOD)% ")
    assert line.endswith(" trace_id=%TRACE_ID% request_id=%REQ(X-REQUEST-ID)%\n")
    assert ["envoy.access_loggers.file"] == [log["name"] for log in outbound["access_log"]]


def test_every_envoy_notes_the_headers_when_a_request_comes_and_when_it_ends() -> None:
    """In a file of its own, for the trace page."""
    sidecar, gateway = _rendered("sidecar.yaml"), _rendered("gateway.yaml")
    for manager in [*_managers(sidecar), *_managers(gateway)]:
        log = manager["access_log"][-1]["typed_config"]
        assert "details-sidecar.headers" == log["path"]
        assert "%REQ(X-B3-TRACEID)%" == log["log_format"]["json_format"]["headers"]["x-b3-traceid"]
        assert {"flush_access_log_on_new_request": True} == manager["access_log_options"]


def test_every_route_leads_to_a_cluster_that_is_there() -> None:
    """No route points into the void."""
    text = (DIRECTORY / "routes.yaml").read_text()
    clusters = {cluster["name"] for cluster in _rendered("clusters.yaml")}
    named = set(re.findall(r"(?:cluster|name): (outbound\|[^,}\s]+)", text))
    assert 6 == len(named | {"outbound|9080||productpage"})
    assert set() == named - clusters


def test_a_file_can_be_replaced(tmp_path: Path) -> None:
    """As the tests of faults do with the routes."""
    (tmp_path / "other.yaml").write_text("node: ${workload}")
    values = {"workload": "details"}
    replaced = {"sidecar.yaml": tmp_path / "other.yaml"}
    assert "node: details\n" == render("sidecar.yaml", values, replaced)

"""The product page passes on what its sidecar sent, whichever tracer the mesh has."""

import pytest
import responses
from starlette.testclient import TestClient

from examples.shop.app import app
from meshtrace.testing import Mesh


@pytest.mark.parametrize("provider", ["zipkin", "opentelemetry", "datadog"])
@responses.activate
def test_the_trace_goes_on_to_reviews(meshtrace: Mesh, provider: str) -> None:
    """The call for the reviews carries the trace of the request that it is made for."""
    responses.get("http://reviews:9080/reviews/1", json=[])
    TestClient(app).get("/products/1", headers=meshtrace.envoy(provider))
    meshtrace.assert_propagated(to="reviews", times=1)


@responses.activate
def test_two_requests_are_not_mixed_up(meshtrace: Mesh) -> None:
    """Each call carries the headers of its own request."""
    responses.get("http://reviews:9080/reviews/1", json=[])
    responses.get("http://reviews:9080/reviews/2", json=[])
    client = TestClient(app)
    client.get("/products/1", headers=meshtrace.envoy())
    client.get("/products/2", headers=meshtrace.envoy(sampled=False))
    meshtrace.assert_propagated(to="reviews", times=2)

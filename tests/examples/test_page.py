"""What the collector answers to a browser: the page's files, and traces as JSON."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.page import FILES
from tests.examples.recorded_runs import Recorded, feed

JSON = {"content-type": "application/json"}


def _ask(
    runs: Recorded, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(urlsplit(runs.address).netloc, timeout=5)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _traces(runs: Recorded) -> Any:  # noqa: ANN401 - JSON
    return json.loads(_ask(runs, "/api/traces")[2])


def _detail(runs: Recorded, collector: Collector) -> Any:  # noqa: ANN401 - JSON
    (trace,) = collector.traces()
    return json.loads(_ask(runs, f"/api/trace/{trace.trace_id}")[2])


@pytest.mark.parametrize("name", ["", *sorted(file.name for file in FILES.iterdir())])
def test_the_files_of_the_page_are_served(runs: Recorded, name: str) -> None:
    """Each with its type, and with a policy that lets nothing in from outside."""
    status, headers, body = _ask(runs, f"/{name}")
    assert HTTPStatus.OK == status
    assert (FILES / (name or "index.html")).read_bytes() == body
    kinds = {"": "text/html", "html": "text/html", "css": "text/css", "js": "text/javascript"}
    assert f"{kinds[name.rpartition('.')[2]]}; charset=utf-8" == headers["content-type"]
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")


@pytest.mark.parametrize(
    "path", ["/nothing", "/../runner/page.py", "/%2e%2e/runner/page.py", "/api/nothing"]
)
def test_nothing_else_is_served(runs: Recorded, path: str) -> None:
    """No path leads out of the page's own files."""
    assert HTTPStatus.NOT_FOUND == _ask(runs, path)[0]


def test_a_collector_without_a_page_answers_nothing() -> None:
    """The collector of the twin mesh takes spans, and that is all."""
    with Collector() as collector:
        assert None is collector.page_address
        connection = HTTPConnection("127.0.0.1", collector.port, timeout=5)
        connection.request("GET", "/")
        assert HTTPStatus.NOT_FOUND == connection.getresponse().status
        connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"host": "evil.example"}, id="a name that leads to this machine"),
        pytest.param({"origin": "http://evil.example"}, id="a page from elsewhere"),
    ],
)
def test_other_sites_get_nothing(runs: Recorded, headers: dict[str, str]) -> None:
    """Neither the traces nor a comparison."""
    assert HTTPStatus.FORBIDDEN == _ask(runs, "/api/traces", **headers)[0]
    posted = _ask(runs, "/api/compare", "POST", '{"user": null}', **JSON, **headers)
    assert HTTPStatus.FORBIDDEN == posted[0]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        pytest.param("/api/compare", '{"user": null}', {}, HTTPStatus.FORBIDDEN, id="a form"),
        pytest.param("/api/compare", "[]", JSON, HTTPStatus.BAD_REQUEST, id="not what we ask"),
        pytest.param("/api/compare", "{", JSON, HTTPStatus.BAD_REQUEST, id="no JSON"),
        pytest.param("/api/other", "{}", JSON, HTTPStatus.NOT_FOUND, id="another path"),
    ],
)
def test_only_the_page_can_start_a_comparison(
    runs: Recorded, path: str, body: str, headers: dict[str, str], status: HTTPStatus
) -> None:
    """What is not asked the way that the page asks is refused."""
    assert status == _ask(runs, path, "POST", body, **headers)[0]
    assert [] == runs.asked


def test_a_whole_trace_is_listed(runs: Recorded) -> None:
    """With its services, its length, and what was unusual."""
    feed(runs.collector, "with")
    (trace,) = _traces(runs)["traces"]
    services = ["gateway", "productpage", "details", "reviews-v2", "ratings"]
    assert services == trace["services"]
    assert ("whole", [], 9) == (trace["state"], trace["problems"], trace["spans"])
    assert ("GET /productpage", ["fault: delayed"]) == (trace["request"], trace["notes"])
    assert trace["duration"] > 500_000


def test_pieces_are_listed_as_broken(runs: Recorded) -> None:
    """Each with what is wrong with it, the newest first."""
    feed(runs.other, "without")
    found = _traces(runs)["traces"]
    assert [
        ("GET /ratings/0", ["begins at reviews-v2, not at the gateway"]),
        (
            "GET /reviews/0",
            [
                "begins at productpage, not at the gateway",
                "reviews-v2's call of ratings is missing",
            ],
        ),
        ("GET /details/0", ["begins at productpage, not at the gateway"]),
        ("GET /productpage", ["productpage's call of details and reviews is missing"]),
    ] == [(trace["request"], trace["problems"]) for trace in found]
    assert {("broken", True)} == {(trace["state"], trace["without"]) for trace in found}


def test_what_was_seen_is_not_sent_again(runs: Recorded) -> None:
    """Who names the version that there is gets no body."""
    version = _traces(runs)["version"]
    assert HTTPStatus.NO_CONTENT == _ask(runs, f"/api/traces?seen={version}")[0]
    feed(runs.collector, "with")
    assert HTTPStatus.OK == _ask(runs, f"/api/traces?seen={version}")[0]


def test_a_trace_has_its_tree_and_its_log(runs: Recorded) -> None:
    """Spans in the order in which they hang from one another, and the lines with the trace id."""
    feed(runs.collector, "with")
    trace = _detail(runs, runs.collector)
    assert [
        (0, "gateway", "SERVER"),
        (1, "gateway", "CLIENT"),
        (2, "productpage", "SERVER"),
        (3, "productpage", "CLIENT"),
        (4, "details", "SERVER"),
        (3, "productpage", "CLIENT"),
        (4, "reviews-v2", "SERVER"),
        (5, "reviews-v2", "CLIENT"),
        (6, "ratings", "SERVER"),
    ] == [(span["depth"], span["workload"], span["kind"]) for span in trace["tree"]]
    assert {"envoy"} == {span["by"] for span in trace["tree"]}
    assert 8 == len(trace["log"])


def test_a_span_has_the_headers_that_its_envoy_saw(runs: Recorded) -> None:
    """As the service sent them, and as the sidecar passed them on: with its own span's id."""
    feed(runs.collector, "with")
    given, sent = [
        span for span in _detail(runs, runs.collector)["tree"] if span["workload"] == "reviews-v2"
    ]
    assert given["id"] == given["went"]["x-b3-spanid"] == sent["came"]["x-b3-spanid"]
    assert sent["id"] == sent["went"]["x-b3-spanid"]
    assert "jason" == given["went"]["end-user"] == sent["came"]["end-user"]


def test_an_unknown_trace_is_said(runs: Recorded) -> None:
    """In words and not as an error: its spans may be on their way."""
    status, _headers, body = _ask(runs, "/api/trace/abc")
    assert (HTTPStatus.OK, {"error": "no such trace"}) == (status, json.loads(body))


def test_a_comparison_is_asked_for_and_told(runs: Recorded) -> None:
    """As jason or as a guest; what came of it names the traces of both sides."""
    asked = _ask(runs, "/api/compare", "POST", '{"user": "jason"}', **JSON)
    feed(runs.collector, "with")
    state = json.loads(_ask(runs, "/api/compare")[2])
    assert (HTTPStatus.ACCEPTED, ["jason"]) == (asked[0], runs.asked)
    assert [(False, 1), (True, 4)] == [
        (side["without"], len(side["traces"])) for side in state["sides"]
    ]

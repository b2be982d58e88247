"""The trace page about a real mesh, in a real Chromium."""

from __future__ import annotations

import pytest

from examples.bookinfo.runner.collector import Collector
from examples.bookinfo.runner.comparison import Comparison
from examples.bookinfo.runner.export import OTLP, ZIPKIN, Export
from examples.bookinfo.runner.mesh import Mesh
from examples.bookinfo.runner.page import Page
from examples.bookinfo.runner.visitor import Visitor
from tests.examples.browser import chromium

pytestmark = pytest.mark.envoy

TRACE_ID_HEADERS = {"zipkin": "x-b3-traceid", "opentelemetry": "traceparent"}
# The way that its Envoys do not send them.
OTHER_WAYS = {"zipkin": OTLP, "opentelemetry": ZIPKIN}
FACTS = {"envoy": "?", "sampling": 100, "without": False}


@pytest.mark.parametrize("tracer", sorted(TRACE_ID_HEADERS))
def test_what_a_person_would_click(tracer: str) -> None:
    """From the list to a span and its headers; the same without meshtrace; and all is exported."""
    with (
        chromium() as browser,
        Collector() as theirs,
        Export(f"http://127.0.0.1:{theirs.port}{OTHER_WAYS[tracer]}", pytest.fail) as export,
        Mesh(tracer=tracer, export=export) as mesh,
        Comparison(mesh, lambda up: Mesh(tracer=tracer, without=True, on_progress=up)) as both,
        Visitor(mesh.address) as jason,
    ):
        shop = f"{mesh.address}/productpage"
        mesh.collector.page = Page({**FACTS, "tracer": tracer, "shop": shop}, both)
        browser.open(str(mesh.collector.page_address))
        browser.wait_for_text("main", "No trace yet.")

        jason.sign_in("jason")
        jason.look()
        browser.wait_for("document.querySelectorAll('.verdict.whole').length === 2")
        assert ["GET /productpage", "POST /login"] == browser.texts(".traces strong")

        browser.click(".traces a")
        browser.wait_for("document.querySelectorAll('.span').length === 9")
        assert ["fault: delayed"] == browser.texts(".waterfall .chip")
        browser.click("li:nth-child(8) > .span")
        name = TRACE_ID_HEADERS[tracer]
        browser.wait_for_text(".panel:not([hidden]) .headers", name)
        assert "end-user" in browser.text(".panel:not([hidden]) .headers")
        browser.wait_for("document.querySelectorAll('.hops table').length === 2")
        assert "✗" not in browser.text(".hops")

        browser.click("nav a[data-page=compare]")
        browser.click(".buttons button")
        browser.wait_for("document.querySelectorAll('.side').length === 2", seconds=60)
        with_it, without = browser.texts(".side > p strong")
        assert "1 trace" == with_it
        assert without in {"3 traces", "4 traces"}
        assert "✗ not sent" in browser.text(".side:last-child .hops")
        assert "✗" not in browser.text(".side:first-child .hops")

        browser.click("nav a[data-page=list]")
        browser.wait_for_text(".traces", "without meshtrace")
        assert [] == browser.errors

        ours = {span.span_id: span for span in mesh.collector.wait_until_quiet()}
        arrived = theirs.wait_for(lambda spans: len(spans) >= len(ours))
        assert ours == {span.span_id: span for span in arrived}

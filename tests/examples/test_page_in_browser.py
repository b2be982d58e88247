"""The trace page in a real Chromium, fed with what a real demo left behind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from examples.bookinfo.runner.spans import APPLICATION, Span, Trace, from_zipkin
from tests.examples.browser import Browser, chromium
from tests.examples.recorded_runs import Recorded, feed, spans

NEW_FOR_EACH_CALL = {"host", "user-agent", "x-envoy-attempt-count"}


@pytest.fixture(scope="module")
def a_chromium() -> Iterator[Browser]:
    """Give the one browser of these tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(a_chromium: Browser, runs: Recorded) -> Iterator[Browser]:
    """Give a browser in which nothing may go wrong, and which may ask nobody but the page."""
    a_chromium.errors.clear()
    a_chromium.requested.clear()
    yield a_chromium
    a_chromium.run("0")  # what went wrong comes before the answer to this
    assert [] == a_chromium.errors
    asked = {urlsplit(url).netloc for url in a_chromium.requested if url.startswith("http")}
    assert {urlsplit(runs.address).netloc} == asked


def _trace(runs: Recorded) -> Trace:
    (trace,) = runs.collector.traces()
    return trace


def _span(trace: Trace, workload: str, kind: str) -> Span:
    return next(span for span in trace.spans if (span.workload, span.kind) == (workload, kind))


def test_an_empty_list_fills_by_itself(browser: Browser, runs: Recorded) -> None:
    """Before the first trace it says what to do; a trace shows up without a reload."""
    browser.open(runs.address)
    browser.wait_for_text("main", "No trace yet.")
    feed(runs.collector, "with")
    browser.wait_for_text(".traces", "GET /productpage")
    assert "✓ whole" == browser.text(".traces .verdict")
    assert "5 services · 9 spans" == browser.text(".traces .counts")
    assert ["fault: delayed"] == browser.texts(".traces .chip")
    assert "1 trace, none broken" == browser.text(".top p")
    assert "Envoy 1.40.0 · zipkin · sampling 100 % · meshtrace on" == browser.text("#facts")


def test_the_broken_ones_alone(browser: Browser, runs: Recorded) -> None:
    """A tick leaves out the whole traces, and another brings them back."""
    feed(runs.collector, "with")
    feed(runs.other, "without")
    browser.open(runs.address)
    browser.wait_for("document.querySelectorAll('.traces li').length === 5")
    browser.click(".filter input")
    browser.wait_for("document.querySelectorAll('.traces li').length === 4")
    assert {"✗ broken"} == set(browser.texts(".traces .verdict"))
    browser.click(".filter input")
    browser.wait_for("document.querySelectorAll('.traces li').length === 5")


@pytest.mark.parametrize("width", [1280, 390], ids=["on a desktop", "on a phone"])
def test_from_the_list_to_the_headers_of_a_span(
    browser: Browser, runs: Recorded, width: int
) -> None:
    """Two clicks, and the address leads back there; nothing is wider than the window."""
    feed(runs.collector, "with")
    trace = _trace(runs)
    called = _span(trace, "reviews-v2", "CLIENT")
    browser.open(runs.address, width=width)
    browser.click(".traces a")
    browser.click(f"[data-at='{trace.trace_id}-{called.span_id}']")
    browser.wait_for_text(".panel:not([hidden]) .headers", "x-b3-traceid")
    rows = browser.texts(".panel:not([hidden]) .headers tbody tr")
    assert any("end-user" in row and "jason" in row for row in rows)
    assert any("x-b3-spanid" in row and called.span_id in row for row in rows)
    fragment = f"#trace={trace.trace_id}&span={called.span_id}"
    assert fragment == browser.run("location.hash")
    assert browser.run("document.documentElement.scrollWidth") <= browser.run("innerWidth")
    browser.open(runs.address + fragment, width=width)
    browser.wait_for_text(".panel:not([hidden]) .ids", called.span_id)


def test_the_spans_stand_where_they_belong(browser: Browser, runs: Recorded) -> None:
    """Nested by who called whom, each beginning within the one above it."""
    feed(runs.collector, "with")
    browser.open(f"{runs.address}#trace={_trace(runs).trace_id}")
    browser.wait_for_element(".waterfall")
    depths = browser.run(
        "[...document.querySelectorAll('.name')].map((e) => +e.style.getPropertyValue('--depth'))"
    )
    assert [0, 1, 2, 3, 4, 3, 4, 5, 6] == depths
    left = browser.run(
        "[...document.querySelectorAll('.track .bar')].map((e) => e.getBoundingClientRect().x)"
    )
    assert sorted(left[:5]) == left[:5]
    assert sorted(left[5:]) == left[5:]
    assert ["fault: delayed"] == browser.texts(".waterfall .chip")


def test_what_a_service_did_with_the_headers(browser: Browser, runs: Recorded) -> None:
    """The service productpage sent on all that it was given, and said who asks."""
    feed(runs.collector, "with")
    browser.open(f"{runs.address}#trace={_trace(runs).trace_id}")
    browser.wait_for_text(".hops caption", "productpage")
    cells = browser.texts(".hops table:first-of-type tbody td")
    assert 5 * 2 == cells[: 6 * 3].count("✓ same")
    assert 2 == cells[: 6 * 3].count("+ jason")


def test_an_id_is_copied_with_one_click(browser: Browser, runs: Recorded) -> None:
    """The button says that it did, and the id is in the clipboard."""
    feed(runs.collector, "with")
    trace = _trace(runs)
    browser.allow_clipboard(runs.address.rstrip("/"))
    browser.open(f"{runs.address}#trace={trace.trace_id}")
    browser.click(".ids .copy")
    browser.wait_for_text(".ids .copy", "Copied")
    assert trace.trace_id == browser.run("navigator.clipboard.readText()")
    assert "Copied trace id" == browser.text("#said")


def test_the_keys_are_enough(browser: Browser, runs: Recorded) -> None:
    """Enter opens a trace and a span, the arrows go from span to span, and focus can be seen."""
    feed(runs.collector, "with")
    browser.open(runs.address)
    browser.wait_for_element(".traces a")
    browser.run("document.querySelector('.traces a').focus()")
    browser.press("Enter")
    browser.wait_for("document.activeElement.id === 'main' && location.hash.length > 9")
    browser.run("document.querySelector('.span').focus()")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    browser.press("ArrowUp")
    browser.press("Enter")
    assert ["false", "true", "false"] == browser.run(
        "[...document.querySelectorAll('.span')].slice(0, 3)"
        ".map((span) => span.getAttribute('aria-expanded'))"
    )
    assert "solid" == browser.run("getComputedStyle(document.activeElement).outlineStyle")


def test_what_is_open_stays_open_when_more_arrives(browser: Browser, runs: Recorded) -> None:
    """A late span is drawn in, and who reads another is not disturbed."""
    first, *rest = from_zipkin(json.dumps(spans("with")).encode())
    runs.collector.add(rest)
    browser.open(f"{runs.address}#trace={first.trace_id}&span={rest[0].span_id}")
    browser.wait_for_element(".panel:not([hidden])")
    browser.run("document.querySelector('[aria-expanded=true]').focus()")
    runs.collector.add([first])
    browser.wait_for("document.querySelectorAll('.span').length === 9")
    assert browser.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert rest[0].span_id in browser.text(".panel:not([hidden]) .ids")


def test_the_applications_own_spans_look_different(browser: Browser, runs: Recorded) -> None:
    """They say so, their bars are full, and the legend explains it."""
    feed(runs.collector, "with")
    trace = _trace(runs)
    above = _span(trace, "ratings", "SERVER")
    own = Span(
        trace.trace_id, "00000000000000aa", above.span_id, "ratings", "SELECT stars", "INTERNAL",
        above.start + 500, 900, {}, APPLICATION,
    )  # fmt: skip
    runs.collector.add([own])
    browser.open(f"{runs.address}#trace={trace.trace_id}")
    browser.wait_for_text(".legend", "the application's own")
    assert ["ratings app SELECT stars 0.9 ms"] == [
        " ".join(text.split()) for text in browser.texts(".span.application")
    ]
    colours = browser.run(
        "['.envoy', '.application'].map((kind) => getComputedStyle("
        "document.querySelector(`.span${kind} .bar`)).backgroundColor.startsWith('rgb('))"
    )
    assert [False, True] == colours


def test_orphans_and_retries_are_marked(browser: Browser, runs: Recorded) -> None:
    """A span that hangs from nobody says so, and so does a call that was made twice."""
    all_spans = from_zipkin(json.dumps(spans("with")).encode())
    trace = Trace("", tuple(all_spans))
    once = _span(trace, "ratings", "SERVER")
    gone = _span(trace, "gateway", "SERVER")
    twice = Span(
        once.trace_id, "00000000000000bb", once.parent_id, "ratings", once.operation, "SERVER",
        once.start - 900, 400, {"component": "proxy", "http.status_code": "503"},
    )  # fmt: skip
    runs.collector.add([span for span in all_spans if span is not gone] + [twice])
    browser.open(f"{runs.address}#trace={once.trace_id}")
    browser.wait_for_element(".waterfall")
    assert [
        f"orphan: nobody reported {gone.span_id}",
        "fault: delayed",
        "2 attempts",
        "attempt 1",
        "status 503",
        "attempt 2",
    ] == browser.texts(".waterfall .chip")
    assert ["1 orphan"] == browser.texts(".top .problems li")


def test_with_and_without_side_by_side(browser: Browser, runs: Recorded) -> None:
    """A click asks for both; one side is one trace, the other is in pieces."""
    feed(runs.collector, "with")
    browser.open(f"{runs.address}#compare")
    browser.click(".buttons button")
    browser.wait_for("document.querySelectorAll('.side').length === 2")
    assert ["jason"] == runs.asked
    assert ["With meshtrace", "Without meshtrace"] == browser.texts(".side > h2")
    assert ["1 trace", "4 traces"] == browser.texts(".side > p strong")
    assert [1, 4] == browser.run(
        "[...document.querySelectorAll('.side')].map((e) => e.querySelectorAll('.piece').length)"
    )
    assert "✗ not sent" in browser.text(".side:last-child .hops")
    assert "✗" not in browser.text(".side:first-child .hops")


def test_an_unknown_trace_is_no_error(browser: Browser, runs: Recorded) -> None:
    """An old link says what may be the matter, and shows the trace should it arrive."""
    (wanted,) = {span["traceId"] for span in spans("with")}
    browser.open(f"{runs.address}#trace={wanted}")
    browser.wait_for_text("main", "It may be on its way")
    feed(runs.collector, "with")
    browser.wait_for_element(".waterfall")


def test_names_are_text_whatever_is_in_them(browser: Browser, runs: Recorded) -> None:
    """Markup in a span's name or tags is shown, and does nothing."""
    evil = "<img src=x onerror=alert(1)>"
    span = Span("e" * 32, "e" * 16, None, evil, evil, evil, time.time_ns() // 1000, 1, {evil: evil})
    runs.collector.add([span])
    browser.open(f"{runs.address}#trace={span.trace_id}&span={span.span_id}")
    browser.click(".panel:not([hidden]) summary")
    assert 0 == browser.run("document.querySelectorAll('main img').length")
    assert evil in browser.text(".panel:not([hidden]) details table")


def test_in_the_dark_it_is_dark(browser: Browser, runs: Recorded) -> None:
    """The colours follow what the reader's system says."""
    browser.open(runs.address, dark=True)
    browser.wait_for_text("main", "No trace yet.")
    dark = browser.run("getComputedStyle(document.body).backgroundColor")
    browser.open(runs.address)
    browser.wait_for_text("main", "No trace yet.")
    light = browser.run("getComputedStyle(document.body).backgroundColor")
    assert ("rgb(16, 20, 27)", "rgb(246, 247, 249)") == (dark, light)


def test_a_collector_that_is_gone_is_said(a_chromium: Browser, runs: Recorded) -> None:
    """What was there stays, under a line that says that nobody answers, until somebody does."""
    feed(runs.collector, "with")
    a_chromium.open(runs.address)
    a_chromium.wait_for_element(".traces a")
    a_chromium.offline(yes=True)
    a_chromium.wait_for_text("#gone", "The collector does not answer: the demo has ended.")
    assert "GET /productpage" in a_chromium.text(".traces")
    a_chromium.offline(yes=False)
    a_chromium.wait_for("document.getElementById('gone').hidden")

"""
W3C Trace Context, levels 1 and 2, as it can be seen from outside of a service with spans on.

Sources: https://www.w3.org/TR/trace-context-1/ and https://www.w3.org/TR/trace-context-2/.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest

import meshtrace
from tests.otel.spans.conftest import Spans
from tests.otel.spans.w3c_service import CLIENTS, SERVERS, post
from tests.outbound.recording import Recorder

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"
FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch

Lines = list[tuple[str, str]]
Ask = Callable[..., list[dict[str, str]]]
"""Asks a service for a number of calls, and gives the headers of each."""


@pytest.fixture(scope="module", params=[*SERVERS])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Give the port of a service of each kind."""
    with SERVERS[request.param]() as port:
        yield port


@pytest.fixture(params=[*CLIENTS])
def ask(request: pytest.FixtureRequest, port: int, recorder: Recorder, spans: Spans) -> Ask:
    """Give a service that calls with each client library."""
    assert [] == spans.all
    meshtrace.patch("requests", "httpx", "aiohttp")

    def asking(*lines: tuple[str, str], calls: int = 1) -> list[dict[str, str]]:
        recorder.received.clear()
        wanted = [{"url": f"http://127.0.0.1:{recorder.port}/", "arguments": []}] * calls
        post(port, request.param, list(lines), json.dumps(wanted))
        for received in recorder.received:
            names = [name.lower() for name, _ in received.lines]
            assert names.count("traceparent") == 1
            assert names.count("tracestate") <= 1
        return [received.headers for received in recorder.received]

    return asking


def _ids(headers: dict[str, str]) -> tuple[str, str, str]:
    assert FORM(headers["traceparent"])
    _, trace_id, parent_id, flags = headers["traceparent"].split("-")
    return trace_id, parent_id, flags


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="none"),
        pytest.param([("traceparent", ""), ("tracestate", "")], id="empty"),
        pytest.param([("traceparent", GOOD), ("traceparent", GOOD.replace("4b", "4c"))], id="two"),
        pytest.param([("trace-parent", GOOD)], id="a wrong name"),
        pytest.param([("trace.parent", GOOD)], id="another wrong name"),
        *(
            pytest.param([("traceparent", text)], id=text)
            for text in (
                f"{GOOD}.",
                f"{GOOD}-what-the-future-brings",
                f"ff{GOOD[2:]}",
                f"cc{GOOD[2:]}.what-the-future-brings",
                f".0{GOOD[2:]}",
                f"0.{GOOD[2:]}",
                f"0{GOOD}",
                GOOD[1:],
                f"00-{'0' * 32}-{PARENT}-01",
                f"00-.{TRACE[1:]}-{PARENT}-01",
                f"00-{TRACE[:-1]}.-{PARENT}-01",
                f"00-{TRACE}1-{PARENT}-01",
                f"00-{TRACE[1:]}-{PARENT}-01",
                f"00-{TRACE}-{'0' * 16}-01",
                f"00-{TRACE}-.{PARENT[1:]}-01",
                f"00-{TRACE}-{PARENT}1-01",
                f"00-{TRACE}-{PARENT[1:]}-01",
                f"00-{TRACE}-{PARENT}-.0",
                f"00-{TRACE}-{PARENT}-0.",
                f"00-{TRACE}-{PARENT}-001",
                f"00-{TRACE}-{PARENT}-1",
                f"00-{TRACE}-{PARENT}",
            )
        ),
    ],
)
def test_a_new_trace(ask: Ask, lines: Lines) -> None:
    """What is not good is not sent on: a trace of random ids begins here, for all calls."""
    found = [_ids(headers) for headers in ask(*lines, ("tracestate", "foo=1"), calls=2)]
    assert {TRACE} != {trace_id for trace_id, _, _ in found}
    assert 1 == len({trace_id for trace_id, _, _ in found})
    assert 2 == len({parent_id for _, parent_id, _ in found})
    assert {"03"} == {flags for _, _, flags in found}


@pytest.mark.parametrize("lines", [[("traceparent", "?")], []], ids=["a bad traceparent", "none"])
def test_a_tracestate_stays_with_its_traceparent(ask: Ask, lines: Lines) -> None:
    """Without a good traceparent, nothing of the list goes on."""
    (headers,) = ask(*lines, ("tracestate", "foo=1"))
    assert "tracestate" not in headers


@pytest.mark.parametrize(
    ("lines", "flags"),
    [
        *(
            pytest.param([(name, GOOD)], "01", id=name)
            for name in ("traceparent", "TraceParent", "TrAcEpArEnT", "TRACEPARENT")
        ),
        *(
            pytest.param([("traceparent", text)], "01", id=repr(text.replace(GOOD, "...")))
            for text in (f" {GOOD}", f"\t{GOOD}", f"{GOOD} ", f"{GOOD}\t", f"\t {GOOD} \t")
        ),
        pytest.param([("traceparent", f"cc{GOOD[2:]}")], "01", id="a future version"),
        pytest.param(
            [("traceparent", f"cc{GOOD[2:]}-what-the-future-brings")], "01", id="a longer one"
        ),
        pytest.param([("traceparent", f"cc{GOOD[2:]}-")], "01", id="one with nothing behind"),
        *(
            pytest.param([("traceparent", f"00-{TRACE}-{PARENT}-{came}")], went, id=came)
            for came, went in (("01", "01"), ("03", "03"), ("05", "01"), ("ff", "03"), ("09", "01"))
        ),
    ],
)
def test_a_trace_goes_on(ask: Ask, lines: Lines, flags: str) -> None:
    """The trace id stays, each call has a parent id of its own, flags without a name are zero."""
    found = [_ids(headers) for headers in ask(*lines, calls=3)]
    assert [TRACE] * 3 == [trace_id for trace_id, _, _ in found]
    assert 4 == len({PARENT, *(parent_id for _, parent_id, _ in found)})
    assert [flags] * 3 == [found_flags for _, _, found_flags in found]


@pytest.mark.parametrize("flags", ["00", "02"])
def test_a_trace_that_is_not_sampled_goes_on(ask: Ask, flags: str) -> None:
    """The decision stands, and so does the random flag: all is relayed."""
    came = f"00-{TRACE}-{PARENT}-{flags}"
    assert [came] == [headers["traceparent"] for headers in ask(("traceparent", came))]


LONG = ",".join(f"k{number:02}={'v' * 60}" for number in range(32))


@pytest.mark.parametrize("flags", ["00", "01"], ids=["not sampled", "sampled"])
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        *(
            pytest.param([(name, "foo=1,bar=2")], ["foo=1", "bar=2"], id=name)
            for name in ("tracestate", "TraceState", "TRACESTATE")
        ),
        pytest.param([("trace-state", "foo=1")], [], id="a wrong name"),
        pytest.param([("tracestate", "")], [], id="empty"),
        pytest.param([("tracestate", "foo=1"), ("tracestate", "")], ["foo=1"], id="empty behind"),
        pytest.param([("tracestate", ""), ("tracestate", "foo=1")], ["foo=1"], id="empty before"),
        pytest.param(
            [("tracestate", "foo=1,bar=2"), ("tracestate", "rojo=1"), ("tracestate", "baz=3")],
            ["foo=1", "bar=2", "rojo=1", "baz=3"],
            id="several lines, in their order",
        ),
        pytest.param([("tracestate", "foo=1 \t , \t bar=2")], ["foo=1", "bar=2"], id="blanks"),
        pytest.param([("tracestate", "\t foo=1 \t")], ["foo=1"], id="blanks around"),
        pytest.param([("tracestate", LONG)], LONG.split(","), id="32 members, 2000 characters"),
        pytest.param([("tracestate", f"{LONG},one=more")], [], id="33 members"),
        pytest.param([("tracestate", f"{'z' * 256}=1")], [f"{'z' * 256}=1"], id="a key of 256"),
        pytest.param([("tracestate", f"foo=1,{'z' * 257}=1")], [], id="a key of 257"),
        pytest.param([("tracestate", "0=1,9@v=2")], ["0=1", "9@v=2"], id="level 2: digits first"),
        pytest.param([("tracestate", "a@b@c=1")], ["a@b@c=1"], id="level 2: more than one @"),
        pytest.param([("tracestate", "foo-_*/@=1")], ["foo-_*/@=1"], id="all kinds of characters"),
        *(
            pytest.param([("tracestate", text)], [], id=text)
            for text in ("foo =1", "FOO=1", "foo.bar=1", "@foo=1,bar=2", "foo=a=b", "foo=,bar=3")
        ),
        pytest.param(
            [("tracestate", f"foo={''.join(map(chr, [*range(0x20, 0x2C), *range(0x2D, 0x3D)]))}~")],
            [f"foo={''.join(map(chr, [*range(0x20, 0x2C), *range(0x2D, 0x3D)]))}~"],
            id="every character of a value",
        ),
        pytest.param([("tracestate", "foo=1,foo=2")], ["foo=1", "foo=2"], id="a key twice"),
    ],
)
def test_tracestate(ask: Ask, flags: str, lines: Lines, expected: list[str]) -> None:
    """A good list goes on, members and order kept; a bad one is left out, and the trace goes on."""
    (headers,) = ask(("traceparent", f"{GOOD[:-2]}{flags}"), *lines)
    members = [member.strip(" \t") for member in headers.get("tracestate", "").split(",")]
    assert expected == [member for member in members if member]
    assert TRACE == _ids(headers)[0]

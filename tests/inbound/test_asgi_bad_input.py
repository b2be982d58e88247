"""Whatever stands in the headers: the request is served, and what is good of them goes on."""

import asyncio
import logging
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshtrace
from meshtrace import MeshTrace
from meshtrace.inbound.asgi import Receive, Scope, Send
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Options
from tests.inbound.asgi_server import (
    CAME,
    REVIEWS,
    Recorder,
    http,
    pairs,
    receive,
    send_nowhere,
    serve,
)

REQUEST_ID = CAME["x-request-id"]
TRACEPARENT = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01"
B3 = {name: value for name, value in CAME.items() if name.startswith("x-b3-")}
SINGLE = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"

EVERYTHING: Options = {"forward": "end-user,x-route-*,baggage", "trace_fields": "+uber-trace-id"}
NAMES = sorted(InboundRules.of(**EVERYTHING).asgi_names)

names = st.sampled_from(NAMES) | st.binary(max_size=20)
values = (
    st.sampled_from([value.encode() for value in (*CAME.values(), TRACEPARENT, SINGLE, "0", "")])
    | st.binary(max_size=80)
    | st.text(max_size=80).map(str.encode)
)
headers = st.lists(st.tuples(names, values), max_size=15)
junk = st.recursive(
    st.none() | st.integers() | st.binary() | st.text() | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.binary(), inner)
    ),
    max_leaves=12,
)
options: st.SearchStrategy[Options] = st.sampled_from(
    [{}, EVERYTHING, {"incoming": "ids"}, {"incoming": "ignore"}]
)


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Use all that can be used, and answer with what the server gave."""
    meshtrace.headers(REVIEWS)
    meshtrace.headers("https://api.example.com/")
    meshtrace.current()
    with meshtrace.use(meshtrace.capture()), meshtrace.use(scope):
        meshtrace.set_header("end-user", "jason")
    request = await receive()
    told = repr((scope.get("headers"), scope["path"], request)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": scope.get("headers")})
    await send({"type": "http.response.body", "body": told})


@given(headers, options)
def test_any_bytes(came: list[tuple[bytes, bytes]], options: Options) -> None:
    """Whatever bytes come, the answer is the one that is given without the middleware."""
    scope = {**http(), "headers": came}
    without = serve(telling, {**scope, "headers": [*came]})
    assert without == serve(MeshTrace(telling, **options), scope)


@given(junk, options)
def test_any_object_for_headers(came: object, options: Options) -> None:
    """Whatever object stands for the headers, the answer is the one without the middleware."""
    scope = {**http(), "headers": came}
    without = serve(telling, {**scope})
    assert without == serve(MeshTrace(telling, **options), scope)


@given(headers)
def test_good_ones_go_on(came: list[tuple[bytes, bytes]]) -> None:
    """Whatever else comes, a good request id goes on as it came, and nothing goes on unasked."""
    app = Recorder()
    others = [(name, value) for name, value in came if name != b"x-request-id"]
    good = (b"x-request-id", REQUEST_ID.encode())
    serve(MeshTrace(app, **EVERYTHING), {**http(), "headers": [*others, good]})
    [relayed] = app.seen
    assert REQUEST_ID == relayed["x-request-id"]
    asked_for = {name.decode() for name in NAMES}
    assert set() == {name for name in relayed.keys() - asked_for if not name.startswith("x-route-")}
    assert [] == [value for value in relayed.values() if not (value and value.isascii())]


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        pytest.param({"traceparent": "00-zz"}, {}, id="a bad traceparent"),
        pytest.param({"traceparent": TRACEPARENT + "\n"}, {}, id="a traceparent and a line break"),
        pytest.param({"tracestate": "a=1"}, {}, id="a tracestate without a traceparent"),
        pytest.param(
            {"traceparent": TRACEPARENT, "tracestate": "a"},
            {"traceparent": TRACEPARENT},
            id="a good traceparent with a bad tracestate",
        ),
        pytest.param({"b3": "x"}, {}, id="a bad b3"),
        pytest.param({"b3": ""}, {}, id="an empty b3"),
        pytest.param({**B3, "x-b3-spanid": "short"}, {}, id="x-b3-* with a bad span id"),
        pytest.param({**B3, "x-b3-parentspanid": "?"}, B3, id="x-b3-* with a bad parent"),
        pytest.param({**B3, "b3": "garbage"}, B3, id="a bad b3 beside good x-b3-*"),
        pytest.param(
            {**B3, "x-b3-traceid": "0" * 32, "traceparent": TRACEPARENT},
            {"traceparent": TRACEPARENT},
            id="bad x-b3-* beside a good traceparent",
        ),
        pytest.param({"x-datadog-trace-id": "\xff"}, {}, id="a byte that is no ASCII"),
        pytest.param({"sw8": "a\r\nset-cookie: b"}, {}, id="a line break inside"),
        pytest.param({"x-amzn-trace-id": "a" * 5000}, {}, id="a value that is too long"),
    ],
)
def test_bad_formats(came: dict[str, str], expected: dict[str, str]) -> None:
    """A bad format is dropped whole, and what else came goes on as it is."""
    app = Recorder()
    serve(MeshTrace(app), http({**came, "x-request-id": REQUEST_ID}))
    assert [{**expected, "x-request-id": REQUEST_ID}] == app.seen


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([b"0", b"1"], {}, id="lines that differ are dropped"),
        pytest.param([b"0", b"0"], {"b3": "0"}, id="lines that are the same are one"),
        pytest.param([b"0", b"0", b"d"], {}, id="lines of which one differs are dropped"),
    ],
)
def test_repeated_field(lines: list[bytes], expected: dict[str, str]) -> None:
    """A field that came several times goes on at most once."""
    app = Recorder()
    serve(MeshTrace(app), {**http(), "headers": [(b"b3", line) for line in lines]})
    assert [expected] == app.seen


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param({"type": "http"}, id="no headers"),
        pytest.param({"type": "websocket"}, id="no headers, for a websocket"),
        pytest.param({"type": "http", "headers": None}, id="headers that are None"),
        pytest.param({"type": "http", "headers": 5}, id="headers that are a number"),
        pytest.param({"type": "http", "headers": b"b3: 0"}, id="headers in one piece"),
        pytest.param({"type": "http", "headers": {b"b3": b"0"}}, id="headers that are a dict"),
        pytest.param({"type": "http", "headers": [(b"b3",)]}, id="half a pair"),
        pytest.param({"type": "http", "headers": [(b"b3", b"0", b"")]}, id="more than a pair"),
        pytest.param({"type": "http", "headers": [("b3", "0")]}, id="pairs of text"),
        pytest.param({"type": "http", "headers": [(b"b3", "0")]}, id="a value that is text"),
        pytest.param({"type": "http", "headers": [(b"b3", None)]}, id="a value that is None"),
        pytest.param({"type": "http", "headers": [([], b"0")]}, id="a name that is a list"),
    ],
)
def test_malformed_scopes(scope: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A scope that no server should make is served without a context, with one warning at most."""
    app = Recorder()
    middleware = MeshTrace(app, forward="x-route-*")
    with meshtrace.use(CAME):
        asyncio.run(middleware(scope, receive, send_nowhere))
        asyncio.run(middleware({**scope}, receive, send_nowhere))
    [(scope_seen, _, _), _] = app.calls
    assert scope_seen is scope
    assert [{}, {}] == app.seen
    assert [record.levelno for record in caplog.records] in ([], [logging.WARNING])


def test_scope_that_cannot_be_written_to() -> None:
    """A scope that takes no new entry is served."""
    app = Recorder()
    scope: Any = MappingProxyType({**http(), "headers": pairs(CAME)})
    serve(MeshTrace(app), scope)
    assert [{}] == app.seen

"""How a context gets where it does not go by itself: `use`, `capture`."""

import json
import logging
from collections.abc import Callable, Iterable
from http.client import HTTPMessage
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from flask import Flask
from flask import Request as FlaskRequest
from flask import request as flask_request
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.websockets import WebSocket
from werkzeug.datastructures import Headers as WerkzeugHeaders

import meshtrace
from meshtrace import MeshTrace, MeshTraceWSGI, Sampling, TraceContext
from meshtrace.ambient import CURRENT
from meshtrace.inbound.asgi import Scope
from tests.inbound.asgi_server import http, pairs, receive, send_nowhere, serve, websocket
from tests.inbound.wsgi_server import environ_of
from tests.inbound.wsgi_server import serve as serve_wsgi

REVIEWS = "http://reviews:9080/reviews/0"

CAME = {
    "x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44",
    "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
    "x-b3-spanid": "e457b5a2e4d86bd1",
    "sw8": "1-a-b-3-c-d-e-f",
}
OTHER = {"b3": "1"}


def seen() -> dict[str, str]:
    """Give what a call to a host of the mesh would carry here."""
    return meshtrace.headers(REVIEWS)


def _used(source: object) -> dict[str, str]:
    with meshtrace.use(source):
        return seen()


def _message() -> HTTPMessage:
    message = HTTPMessage()
    message["Host"] = "shop"
    for name, value in CAME.items():
        message[name.title()] = value
    return message


class _Pairs:
    """Headers that can be iterated over, and no more."""

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator of pairs
        """Give the pairs."""
        return iter(CAME.items())


class _MappingRequest(dict[str, object]):
    """A request object that is a mapping itself, of what the application keeps in it."""

    headers = CaseInsensitiveDict(CAME)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(CAME, id="a mapping"),
        pytest.param({name.upper(): CAME[name] for name in CAME}, id="a mapping in capitals"),
        pytest.param({name.title(): CAME[name] for name in CAME}, id="a mapping in title case"),
        pytest.param(dict(pairs(CAME)), id="a mapping of bytes"),
        pytest.param({**CAME, "x-b3-sampled": None}, id="a mapping in which a value is missing"),
        pytest.param({**CAME, "type": "http", "headers": "none"}, id="headers of scope-like names"),
        pytest.param({**CAME, "meshtrace": "mine", "environ": "x"}, id="headers of our own names"),
        pytest.param({**CAME, "headers": ["none"]}, id="a mapping that has headers, and no type"),
        pytest.param(CaseInsensitiveDict(CAME), id="requests' headers"),
        pytest.param(Headers(CAME), id="Starlette's headers"),
        pytest.param(WerkzeugHeaders(CAME), id="Werkzeug's headers"),
        pytest.param(_message(), id="the standard library's headers"),
        pytest.param(list(CAME.items()), id="pairs"),
        pytest.param(pairs(CAME), id="pairs of bytes"),
        pytest.param(_Pairs(), id="an iterable of pairs"),
        pytest.param(SimpleNamespace(headers=CAME), id="a request with headers"),
        pytest.param(SimpleNamespace(headers=_message()), id="http.server's request"),
        pytest.param(SimpleNamespace(headers=pairs(CAME)), id="a request with pairs for headers"),
        pytest.param(_MappingRequest(user="jason"), id="a request that is a mapping itself"),
        pytest.param(http(CAME), id="an ASGI scope"),
        pytest.param(websocket(CAME), id="a websocket's scope"),
        pytest.param(Request(http(CAME)), id="a Starlette request"),
        pytest.param(WebSocket(websocket(CAME), receive, send_nowhere), id="a Starlette websocket"),
        pytest.param(environ_of(CAME), id="a WSGI environ"),
        pytest.param(SimpleNamespace(META=environ_of(CAME)), id="a Django request"),
        pytest.param(SimpleNamespace(environ=environ_of(CAME)), id="a Werkzeug request"),
    ],
)
def test_use(source: Any) -> None:  # noqa: ANN401 - any of them
    """Inside, what the source has is current; after it, what was before is."""
    with meshtrace.use(OTHER):
        assert CAME == _used(source)
        assert OTHER == seen()


@pytest.mark.parametrize("mark", [{"REQUEST_METHOD": "GET"}, {"wsgi.version": (1, 0)}], ids=str)
def test_use_part_of_an_environ(mark: dict[str, Any]) -> None:
    """An environ need not be whole to be known for one."""
    assert {"b3": "0"} == _used({**mark, "HTTP_B3": "0", "b3": "1"})


def test_use_iterator() -> None:
    """Pairs that can be read once are enough."""
    assert CAME == _used(iter(CAME.items()))


def test_use_flask_request() -> None:
    """Flask's request, which is a proxy, is as good as any."""
    with Flask("shop").test_request_context(headers=CAME):
        assert CAME == _used(flask_request)


def test_use_nothing() -> None:
    """None is no request, and nothing is current."""
    with meshtrace.use(CAME):
        assert {} == _used(None)
        assert CAME == seen()


def test_use_what_is_current() -> None:
    """What is current can be used elsewhere, as it is."""
    with meshtrace.use(CAME):
        meshtrace.set_header("end-user", "jason")
        current = CURRENT.get()
    assert {**CAME, "end-user": "jason"} == _used(current)


def _seen_by_asgi() -> Scope:
    scope = http({**CAME, "end-user": "guest"})

    async def app(scope: Scope, *_: object) -> None:
        scope["headers"].clear()
        meshtrace.set_header("x-canary", "yes")

    serve(MeshTrace(app, forward="end-user"), scope)
    return scope


def _seen_by_wsgi() -> dict[str, Any]:
    environ: dict[str, Any] = {}

    def app(given: dict[str, Any], _start_response: object) -> list[bytes]:
        meshtrace.set_header("x-canary", "yes")
        environ.update(given)
        environ.pop("HTTP_SW8")
        return []

    serve_wsgi(MeshTraceWSGI(app, forward="end-user"), {**CAME, "end-user": "guest"})
    return environ


@pytest.mark.parametrize(
    "source_of",
    [
        pytest.param(_seen_by_asgi, id="a scope"),
        pytest.param(lambda: Request(_seen_by_asgi()), id="a Starlette request"),
        pytest.param(_seen_by_wsgi, id="an environ"),
        pytest.param(lambda: FlaskRequest(_seen_by_wsgi()), id="a Flask request"),
        pytest.param(lambda: SimpleNamespace(META=_seen_by_wsgi()), id="a Django request"),
    ],
)
def test_use_what_a_middleware_saw(source_of: Callable[[], object]) -> None:
    """What a middleware saw gives its own context back: its settings, and what was set since."""
    assert {**CAME, "end-user": "guest", "x-canary": "yes"} == _used(source_of())


IDS: dict[str, Any] = {
    "trace_id": "80f198ee56343ba864fe8b2a57d3eff7",
    "span_id": "e457b5a2e4d86bd1",
}
B3 = {"x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7", "x-b3-spanid": "e457b5a2e4d86bd1"}
W3C = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1"


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        pytest.param(TraceContext(), {}, id="nothing"),
        pytest.param(TraceContext(request_id="id"), {"x-request-id": "id"}, id="a request id"),
        pytest.param(TraceContext(**IDS), B3, id="no decision, which W3C cannot say"),
        pytest.param(
            TraceContext(**IDS, sampling=Sampling.ACCEPT),
            {"traceparent": f"{W3C}-01", **B3, "x-b3-sampled": "1"},
            id="a trace that is recorded",
        ),
        pytest.param(
            TraceContext(**IDS, sampling=Sampling.DENY, parent_span_id="a" * 16),
            {
                "traceparent": f"{W3C}-00",
                **B3,
                "x-b3-parentspanid": "a" * 16,
                "x-b3-sampled": "0",
            },
            id="a trace that is not recorded",
        ),
        pytest.param(
            TraceContext(sampling=Sampling.DEBUG), {"x-b3-flags": "1"}, id="a decision alone"
        ),
    ],
)
def test_use_trace_context(context: TraceContext, expected: dict[str, str]) -> None:
    """A `TraceContext` is written as B3 and, where it can be said, as W3C."""
    with meshtrace.use(context):
        assert expected == seen()
        assert context == meshtrace.current()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(5, id="a number"),
        pytest.param(False, id="a truth value"),
        pytest.param("b3: 0", id="a text"),
        pytest.param("", id="an empty text"),
        pytest.param(b"b3: 0", id="bytes"),
        pytest.param(object(), id="an object"),
        pytest.param(SimpleNamespace(headers=None), id="a request without headers"),
        pytest.param(Mock(), id="a mock"),
        pytest.param(len, id="a function"),
    ],
)
def test_use_refuses(source: object) -> None:
    """What has no headers is refused, and the error says what can be given."""
    with pytest.raises(TypeError, match=rf"use\({type(source).__name__}\): give a request object"):
        meshtrace.use(source)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param([1, 2], id="no pairs"),
        pytest.param([("b3",)], id="half a pair"),
        pytest.param({"b3": object()}, id="a value that is no text"),
        pytest.param({"x-request-id": ["id"]}, id="a list of values"),
        pytest.param({"x-request-id": None}, id="a value that is missing"),
        pytest.param({None: "0", 7: "0"}, id="names that are no text"),
        pytest.param({"type": "http"}, id="a scope without headers"),
        pytest.param({"type": "http", "headers": None}, id="a scope of which the headers are None"),
        pytest.param({"type": "http", "headers": [("b3", "0")]}, id="a scope with text for bytes"),
        pytest.param({"REQUEST_METHOD": "GET", 7: 8}, id="an environ with a strange key"),
        pytest.param({"REQUEST_METHOD": "GET", "HTTP_B3": 0}, id="an environ with a number"),
    ],
)
def test_use_strange_headers(source: object, caplog: pytest.LogCaptureFixture) -> None:
    """What looks like headers and is not is no error: nothing is current, one warning at most."""
    meshtrace.configure(forward="x-route-*")
    with meshtrace.use(OTHER):
        assert {} == _used(source)
        assert {} == _used(source)
    assert [record.levelno for record in caplog.records] in ([], [logging.WARNING])


known = ["b3", "type", "headers", "meshtrace", "meshtrace:user", "REQUEST_METHOD", "HTTP_B3", "sw8"]
scalars = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
pairs_of_anything = st.lists(st.tuples(st.sampled_from(known) | scalars, junk), max_size=8)


@given(pairs_of_anything)
def test_use_anything(source: list[tuple[Any, Any]]) -> None:
    """Whatever stands in headers, using them is no error, and what comes out can be sent."""
    fields = [*_used(source).values(), *_used(dict(source)).values()]
    assert [] == [value for value in fields if not (value and value.isascii())]


def test_use_follows_the_settings() -> None:
    """What is used is a request that arrives: the process's settings decide what of it is taken."""
    source = {**CAME, "end-user": "jason"}
    assert CAME == _used(source)
    meshtrace.configure(forward="end-user")
    assert source == _used(source)
    meshtrace.configure(incoming="ignore")
    assert {} == _used(source)


def test_use_when_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, nothing is current, nothing is captured, and mistakes are still mistakes."""
    monkeypatch.setenv("MESHTRACE_DISABLED", "1")
    with meshtrace.use(CAME):
        assert {} == seen()
        assert {} == meshtrace.capture()
        assert TraceContext() == meshtrace.current()
    with pytest.raises(TypeError):
        meshtrace.use(5)


def _through_a_queue(**options: Any) -> dict[str, str]:  # noqa: ANN401 - settings
    """Capture, as JSON, what one request carries, and give what a worker with *options* sees."""
    message = json.dumps({"order": 7, "trace": meshtrace.capture()})
    with meshtrace.detached():
        meshtrace.configure(**options)
        return _used(json.loads(message)["trace"])


def test_capture_outside_any_request() -> None:
    """Outside any request there is nothing to capture, and nothing is current in the worker."""
    assert {} == meshtrace.capture()
    assert {} == _through_a_queue()


def test_capture_keeps_all() -> None:
    """What came, what was set and what was taken away, is the same in a worker."""
    meshtrace.configure(forward="end-user,baggage.tenant,x-route-*")
    came = {"end-user": "guest", "baggage": "tenant=a,user=b", "x-route-to": "blue"}
    with meshtrace.use({**CAME, **came}):
        meshtrace.set_header("end-user", "jason")
        meshtrace.set_header("x-canary", "yes")
        meshtrace.set_header("x-route-to", "")
        expected = {**CAME, "end-user": "jason", "x-canary": "yes", "baggage": "tenant=a"}
        assert expected == seen()
        assert expected == _through_a_queue()


@pytest.mark.parametrize("incoming", ["ids", "ignore"])
def test_capture_is_no_arrival(incoming: str) -> None:
    """A worker's setting for what comes from outside does not touch what was captured inside."""
    with meshtrace.use(CAME):
        meshtrace.set_header("end-user", "jason")
        assert {**CAME, "end-user": "jason"} == _through_a_queue(incoming=incoming)


def test_capture_keeps_fields_that_one_middleware_added() -> None:
    """A trace field that only the middleware was told of is taken back all the same."""
    found: list[dict[str, str]] = []

    async def app(*_: object) -> None:
        found.append(_through_a_queue())

    serve(MeshTrace(app, trace_fields="+uber-trace-id"), http({**CAME, "uber-trace-id": "a:b:0:1"}))
    assert [{**CAME, "uber-trace-id": "a:b:0:1"}] == found


def test_capture_keeps_no_authorization() -> None:
    """The caller's authorization, which goes to hosts named one by one, goes on no queue."""
    session = meshtrace.wrap(requests.Session(), authorization_hosts=["orders"])
    with meshtrace.use({**CAME, "authorization": "Bearer secret"}):
        current = CURRENT.get()
        assert current is not None
        assert "Bearer secret" == current.accepted.authorization
        assert "secret" not in json.dumps(meshtrace.capture())
    session.close()


def test_captured_dictionary_is_the_callers_own() -> None:
    """What the caller does to a captured dictionary changes no request."""
    with meshtrace.use(CAME):
        meshtrace.capture().clear()
        assert CAME == seen()


def _fields(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, "1")


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        pytest.param("end-user", {"end-user"}, id="what capture says itself"),
        pytest.param("cookie,host,end-user", {"end-user"}, id="names that are never forwarded"),
        pytest.param("authorization", set(), id="authorization"),
        pytest.param("x-envoy-retry-on,x-forwarded-for", set(), id="what Envoy says"),
        pytest.param("end-*", set(), id="a prefix"),
        pytest.param("*", set(), id="everything"),
        pytest.param("a b,\r\n,,end-user", {"end-user"}, id="names that are none"),
        pytest.param("baggage.", set(), id="a part of a setting"),
        pytest.param("", set(), id="nothing"),
        pytest.param(None, set(), id="no text"),
        pytest.param(["end-user"], set(), id="a list"),
    ],
)
def test_forged_capture(mark: object, expected: set[str]) -> None:
    """A message that only looks captured brings nothing that may never be forwarded."""
    names = ["end-user", "cookie", "host", "authorization", "x-envoy-retry-on", "x-forwarded-for"]
    message = {"meshtrace:user": mark, **_fields(names)}
    assert _fields(expected) == _used(message)


def test_forged_header() -> None:
    """No request can bring what marks a captured dictionary."""
    assert {} == _used(http({"meshtrace:user": "end-user", "end-user": "root"}))
    assert {} == _used(environ_of({"meshtrace:user": "end-user", "end-user": "root"}))
    assert {} == _used(pairs({"meshtrace:user": "end-user", "end-user": "root"}))


def test_what_has_a_comma_comes_back_from_a_queue() -> None:
    """Nothing in a captured dict was joined by a server."""
    headers = [(b"x-request-id", b"a,b"), (b"sw8-x", b"0,1"), (b"b3", b"0")]
    with meshtrace.use({"type": "http", "headers": headers}):
        message = json.loads(json.dumps(meshtrace.capture()))
    with meshtrace.use(message):
        sent = meshtrace.headers("http://reviews/")
    assert {"x-request-id": "a,b", "sw8-x": "0,1", "b3": "0"} == sent

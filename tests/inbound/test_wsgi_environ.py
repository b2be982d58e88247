"""The WSGI middleware, and what servers and clients put into an environ."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshtrace import MeshTraceWSGI, configure
from tests.inbound.wsgi_server import CAME, at_hand, environ_of, ignore_head, ok, serve

TRACE = "80f198ee56343ba864fe8b2a57d3eff7"
SPAN = "e457b5a2e4d86bd1"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
GOOD = {"x-request-id": "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"}
"""A field that has no part in any other's format."""

B3 = {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}
LOST_WITH = {"traceparent": {"traceparent", "tracestate"}, **dict.fromkeys(B3, B3)}
"""What goes with a bad field: the rest of its format. A bad tracestate goes alone."""


def _relayed(environ: WSGIEnvironment) -> dict[str, str]:
    """Serve one request; give what a call made for it would have."""
    relayed: list[dict[str, str]] = []

    def app(_environ: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        relayed.append(at_hand())
        return [b"served"]

    assert [b"served"] == MeshTraceWSGI(app)(environ, ignore_head)
    return relayed[0]


@pytest.mark.parametrize(
    ("environ", "relayed"),
    [
        pytest.param({}, {}, id="nothing at all"),
        pytest.param({"HTTP_B3": "0"}, {"b3": "0"}, id="one header and nothing else"),
        pytest.param({"REQUEST_METHOD": None, "PATH_INFO": 1}, {}, id="no method, no path"),
        pytest.param(
            {"wsgi.file_wrapper": None, "HTTP_B3": "0"}, {"b3": "0"}, id="no file wrapper"
        ),
        pytest.param(
            {"wsgi.file_wrapper": 1, "HTTP_B3": "0"}, {"b3": "0"}, id="a bad file wrapper"
        ),
        pytest.param({"meshtrace.snapshot": "?", "HTTP_B3": "0"}, {"b3": "0"}, id="our key taken"),
        pytest.param({"B3": "0", "http_b3": "0", "HTTP_X-B3-SAMPLED": "0"}, {}, id="other names"),
        pytest.param({1: 2, None: "0"}, {}, id="keys that are no texts"),
    ],
)
def test_a_minimal_environ(environ: WSGIEnvironment, relayed: dict[str, str]) -> None:
    """Whatever an environ lacks, the request is served, and what came is relayed."""
    assert relayed == _relayed(environ)


@pytest.mark.parametrize("value", [None, 0, b"0", ["0"], {"0": "0"}, True], ids=repr)
def test_a_value_that_is_no_text(value: object) -> None:
    """A value that no server sends is not relayed; the request is served."""
    relayed = _relayed({"HTTP_B3": value, "HTTP_X_REQUEST_ID": "r"})
    assert {"x-request-id": "r"} == relayed


def test_odd_keys_beside_a_prefix() -> None:
    """The request is served where every key is looked at and some are no texts."""
    configure(forward="x-route-*")
    environ: dict[Any, Any] = {**environ_of(GOOD), 1: 2}
    assert _relayed(environ_of(GOOD)) == _relayed(environ) != {}


FOLDED = [
    ("x-request-id", "1b1a4c8a-2f8c-965c-9d0f-7d2f5a5c2a44"),
    ("traceparent", TRACEPARENT),
    ("b3", f"{TRACE}-{SPAN}-1"),
    ("b3", "0"),
    ("x-b3-sampled", "0"),
    ("x-b3-flags", "1"),
    ("x-datadog-trace-id", "1234567890"),
    ("x-datadog-parent-id", "987654321"),
    ("x-datadog-sampling-priority", "-1"),
    ("x-datadog-origin", "rum"),
    ("sw8", "1-a-b-3-c-d-e-f"),
    ("sw8-x", "0-1"),
    ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
    ("x-cloud-trace-context", "105445aa7843bc8bf206b12000100000/1;o=1"),
    ("x-ot-span-context", "a;b;c"),
]
FOLDED_IDS = [f"{name}: {value}" for name, value in FOLDED]


@pytest.mark.parametrize("comma", [",", ", ", " ,\t"], ids=repr)
@pytest.mark.parametrize(("name", "value"), FOLDED, ids=FOLDED_IDS)
def test_equal_lines_that_a_server_joined(name: str, value: str, comma: str) -> None:
    """Equal lines of a field whose grammar has no comma collapse into one."""
    folded = {**GOOD, name: comma.join([value] * 3)}
    assert {**GOOD, name: value} == _relayed(environ_of(folded))


@pytest.mark.parametrize(("name", "value"), FOLDED, ids=FOLDED_IDS)
def test_different_lines_that_a_server_joined(name: str, value: str) -> None:
    """Lines that differ make their field malformed; the other formats go on."""
    folded = f"{value},{value[:-1]}9"
    beside = {**GOOD, "x-ot-span-context": "a;b;c"}
    beside.pop(name, None)
    assert {} == _relayed(environ_of({name: folded}))
    assert beside == _relayed(environ_of({**beside, name: folded}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("tracestate", "a=1,b=2, a=3", id="tracestate, a key twice"),
        pytest.param("tracestate", "a=1,,b=2,", id="tracestate, with empty members"),
        pytest.param("baggage", "k=1,k=1,l=2;p=3", id="baggage"),
        pytest.param("x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=1", id="x-datadog-tags"),
        pytest.param("sw8-correlation", "a:b,c:d", id="sw8-correlation"),
        pytest.param("end-user", "jason,jason", id="user data by name"),
        pytest.param("x-route-to", "a, b,,c", id="user data by prefix"),
    ],
)
def test_commas_of_a_fields_own(name: str, value: str) -> None:
    """Where a comma belongs to the field, the value stays as it came."""
    configure(forward="baggage,sw8-correlation,end-user,x-route-*")
    came = {**GOOD, "traceparent": TRACEPARENT, name: value}
    assert came == _relayed(environ_of(came))


BAD = [
    pytest.param("\x00", id="a zero"),
    pytest.param("\r\nset-cookie: a", id="a line of its own"),
    pytest.param("\x7f", id="a delete"),
    pytest.param("\xe9", id="a letter beyond ASCII"),
    pytest.param("\u20ac", id="a character no server can send"),
    pytest.param("\ud800", id="half a character"),
    pytest.param("\n", id="a line feed"),
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", CAME)
def test_bad_characters_cost_their_format_only(name: str, bad: str) -> None:
    """A character that no header may have costs its field; other formats go on."""
    relayed = _relayed(environ_of({**CAME, name: CAME[name] + bad}))
    lost = LOST_WITH.get(name, {name})
    assert {key: value for key, value in CAME.items() if key not in lost} == relayed


TEXT = st.text(st.characters(max_codepoint=255), max_size=40)
NAMES = [*CAME, *dict(FOLDED), "baggage", "x-datadog-tags", "end-user", "x-route-a", "host"]
ALMOST = st.sampled_from([*CAME.values(), *dict(FOLDED).values(), ""])
VALUES = TEXT | st.tuples(TEXT, ALMOST, TEXT).map("".join) | ALMOST


@given(headers=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), VALUES, max_size=12))
@example(headers={"b3": "\n", "x-b3-sampled": "1\n0"})
def test_any_text_whatsoever(headers: dict[str, str]) -> None:
    """Any text in any header is served as without us; what is relayed is good, and came so."""
    configure(forward="end-user,x-route-*", response_header="x-b3-traceid")
    relayed: dict[str, str] = {}
    given: dict[str, Any] = {}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given.update(environ)
        relayed.update(at_hand())
        ok(start_response)
        yield b"served"

    came = {**headers, **GOOD}
    answer = serve(MeshTraceWSGI(app), came)
    echoed = {name: relayed[name] for name in relayed if name == "x-b3-traceid"}
    assert environ_of(came).keys() | {"meshtrace.snapshot"} == given.keys()
    assert [b"served"] == answer.chunks
    assert [("Content-Type", "text/plain"), *echoed.items()] == answer.headers
    assert GOOD.items() <= relayed.items()
    assert [] == [name for name, value in relayed.items() if value not in came[name]]
    assert [] == [value for value in relayed.values() if not (value.isascii() and value.strip())]
    assert [] == [value for value in relayed.values() if not value.replace("\t", "").isprintable()]


def test_an_environ_that_makes_up_what_is_missing_stays_as_it_is() -> None:
    """Looking for headers puts none into a mapping with defaults."""
    seen: list[WSGIEnvironment] = []

    def app(environ: WSGIEnvironment, _: StartResponse) -> list[bytes]:
        seen.append({key: value for key, value in environ.items() if key.startswith("HTTP_")})
        return []

    MeshTraceWSGI(app)({"HTTP_B3": "0", "HTTP_X_REQUEST_ID": "r"}, ignore_head)
    MeshTraceWSGI(app)(defaultdict(str, HTTP_SW8="1-x"), ignore_head)
    assert {"HTTP_SW8": "1-x"} == seen[1]


def test_an_environ_that_takes_nothing_is_served() -> None:
    """An environ that cannot be written costs the context, not the request."""

    class Closed(dict[str, Any]):
        def __setitem__(self, key: str, value: object) -> None:
            raise TypeError(key)

    assert [b"served"] == list(
        MeshTraceWSGI(lambda _environ, _start: [b"served"])(Closed(HTTP_B3="0"), ignore_head)
    )

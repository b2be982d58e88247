"""
What every inbound room does, whichever protocol or framework it is for.

A room is driven through a `Driver`: ``tests/inbound/driver_NAME.py`` has one for each way in which
it serves, and names them in ``DRIVERS``. ``tests/inbound/test_contracts.py`` runs the suite over
all of them.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from tests.inbound.driving import PARTS, Driver, Lines, Meeting

__all__ = ["InboundContract", "Serve"]

AT_ONCE = 32

TRACEPARENT = {"traceparent": "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01"}
B3 = {
    "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
    "x-b3-spanid": "a2fb4a1d1a96d312",
    "x-b3-sampled": "1",
}
REQUEST_ID = {"x-request-id": "8f5a6c1e-91f2-9b6d-a7a3-5b1e3f0c2d4e"}
IDS = {**REQUEST_ID, **TRACEPARENT, **B3}
TRACE = {**IDS, "tracestate": "mesh=1", "sw8": "1-dGVzdA==-dGVzdA==-0-c3Zj-aW5z-L2E=-YQ=="}
ALL = {**TRACE, "end-user": "jason", "baggage": "color=blue,user=al%20ice;ttl=1"}
"""What a request brings that has everything."""

OTHER = {"x-request-id": "00000000-91f2-9b6d-a7a3-5b1e3f0c2d4e", "b3": "0"}
"""What another request brings."""

LOG_OF_A_SERVER = "errors_logged"
"""The fixture of a test in which a server may tell of the application's exception."""


class Serve(Protocol):
    """Starts to serve with one driver, until the test ends."""

    def __call__(self, *, nested: bool = False, **options: Any) -> Driver:  # noqa: ANN401 - see `Settings`
        """Serve, with the room once or twice around the application."""


def _lines(headers: Mapping[str, str]) -> Lines:
    return list(headers.items())


class InboundContract:
    """The suite."""

    # What came

    def test_what_came_is_at_hand(self, serve: Serve) -> None:
        """The handler finds every trace field of its request, byte for byte."""
        answer = serve().get("/", _lines(ALL))
        assert 200 == answer.status
        assert [TRACE] == answer.seen

    def test_names_in_any_case(self, serve: Serve) -> None:
        """Names are compared without case."""
        upper = {name.upper(): value for name, value in IDS.items()}
        assert [IDS] == serve().get("/", _lines(upper)).seen

    def test_a_request_that_brings_nothing(self, serve: Serve) -> None:
        """No id is made up."""
        assert [{}] == serve().get("/", [("accept", "*/*")]).seen

    def test_many_at_once(self, serve: Serve) -> None:
        """Requests that are served at the same time find each its own fields, to the end."""
        driver = serve()
        driver.meeting = Meeting(AT_ONCE)
        brought = [{**IDS, "x-request-id": f"request-{number}"} for number in range(AT_ONCE)]
        answers = driver.get_at_once("/meet", [_lines(one) for one in brought])
        assert [[one, one] for one in brought] == [answer.seen for answer in answers]
        assert {} == driver.outside()

    def test_the_request_object_has_it(self, serve: Serve) -> None:
        """``use`` of the framework's own request gives what came with it, as the room took it."""
        driver = serve(forward="end-user")
        expected = {**TRACE, "end-user": "jason"}
        assert [expected] == driver.get("/use", _lines(ALL)).seen

    def test_a_field_set_by_the_application(self, serve: Serve) -> None:
        """User data that the handler sets is at hand, and is not the next request's."""
        driver = serve()
        assert [{**IDS, "end-user": "alice"}] == driver.get("/user", _lines(IDS)).seen
        assert [IDS] == driver.get("/", _lines(IDS)).seen

    # To the end, and not beyond

    @pytest.mark.usefixtures(LOG_OF_A_SERVER)
    @pytest.mark.parametrize("path", ["/", "/stream", "/error", "/user"])
    def test_a_request_after_another(self, path: str, serve: Serve) -> None:
        """A request finds nothing of the one that was served before it."""
        driver = serve(forward="end-user")
        driver.get(path, _lines(ALL))
        assert [{}] == driver.get("/").seen
        assert [OTHER] == driver.get("/", _lines(OTHER)).seen

    @pytest.mark.usefixtures(LOG_OF_A_SERVER)
    @pytest.mark.parametrize("path", ["/", "/stream", "/error", "/user"])
    def test_it_is_undone_at_the_end(self, path: str, serve: Serve) -> None:
        """Where a request was served, nothing of it is left."""
        driver = serve(forward="end-user")
        driver.get(path, _lines(ALL))
        assert {} == driver.outside()

    @pytest.mark.usefixtures(LOG_OF_A_SERVER)
    def test_an_exception_is_the_applications(self, serve: Serve) -> None:
        """An exception of the handler goes where it goes without meshtrace."""
        assert 500 == serve().get("/error", _lines(IDS)).status

    def test_a_body_that_is_streamed(self, serve: Serve) -> None:
        """Every part of a body that is made while it is sent finds all that came."""
        answer = serve(forward="end-user").get("/stream", _lines(ALL))
        assert [{**TRACE, "end-user": "jason"}] * PARTS == answer.seen

    # Once

    @pytest.mark.parametrize("path", ["/", "/stream"])
    def test_nested(self, path: str, serve: Serve) -> None:
        """Around the application twice, the room does everything once."""
        driver = serve(nested=True, response_header="x-request-id")
        assert TRACE == driver.get(path, _lines(ALL)).seen[-1]
        assert {} == driver.outside()
        assert {} == driver.get(path).seen[-1]

    # Settings

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            pytest.param({"forward": ["end-user", "baggage"]}, ALL, id="user data that is named"),
            pytest.param({"incoming": "ids", "forward": "end-user"}, IDS, id="ids alone"),
            pytest.param({"incoming": "ignore", "forward": "end-user"}, {}, id="nothing at all"),
            pytest.param({"trace_fields": "x-request-id"}, REQUEST_ID, id="one field"),
        ],
    )
    def test_options(self, options: dict[str, Any], expected: dict[str, str], serve: Serve) -> None:
        """The room's options decide what is taken from a request."""
        assert [expected] == serve(**options).get("/", _lines(ALL)).seen

    def test_the_response_header(self, serve: Serve) -> None:
        """A field that is to be echoed comes back, if it came, and nothing else does."""
        driver = serve(response_header="x-request-id")
        echoed = driver.get("/", _lines(ALL)).headers
        assert REQUEST_ID == {name: echoed[name] for name in ALL if name in echoed}
        assert "x-request-id" not in driver.get("/").headers

    def test_disabled(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where meshtrace is disabled, the application is served without it."""
        monkeypatch.setenv("MESHTRACE_DISABLED", "1")
        driver = serve(response_header="x-request-id")
        monkeypatch.delenv("MESHTRACE_DISABLED")
        answer = driver.get("/", _lines(ALL))
        assert 200 == answer.status
        assert [{}] == answer.seen
        assert "x-request-id" not in answer.headers

    # Bad input

    @pytest.mark.parametrize(
        ("came", "expected"),
        [
            pytest.param([("traceparent", "00-zz-1-01")], B3, id="a malformed format"),
            pytest.param([("tracestate", "mesh=1")], B3, id="a tracestate alone"),
            pytest.param([("x-request-id", "caf\xe9")], B3, id="letters beyond ASCII"),
            pytest.param([("x-request-id", "")], B3, id="an empty value"),
            pytest.param([("x-request-id", "1" * 200)], B3, id="a value that is too long"),
            pytest.param(
                [("x-request-id", "1"), ("x-request-id", "2")], B3, id="two different lines"
            ),
            pytest.param(
                [("x-request-id", "1"), ("x-request-id", "1")],
                {**B3, "x-request-id": "1"},
                id="two equal lines",
            ),
            pytest.param(
                [*TRACEPARENT.items(), ("tracestate", "a=1"), ("tracestate", "b=2")],
                {**B3, **TRACEPARENT, "tracestate": "a=1,b=2"},
                id="a list in two lines",
            ),
        ],
    )
    def test_bad_input(self, came: Lines, expected: dict[str, str], serve: Serve) -> None:
        """What is malformed is dropped by itself, and the request is served."""
        answer = serve().get("/", [*_lines(B3), *came])
        assert 200 == answer.status
        assert [expected] == answer.seen

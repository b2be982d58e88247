"""Options become a plan."""

from pathlib import Path

import pytest

from meshtrace.checker.options import parse, plan
from meshtrace.checker.plan import Plan
from meshtrace.checker.prober import Request
from meshtrace.checker.probes import PROVIDERS

JSON = ("content-type", "application/json")


def _plan(*arguments: str) -> Plan:
    return plan(parse(arguments))


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        pytest.param([], Request("/"), id="nothing said"),
        pytest.param(["--path=a?b=1"], Request("/a?b=1"), id="a path without its slash"),
        pytest.param(["--body={}"], Request("/", "POST", (JSON,), b"{}"), id="a body"),
        pytest.param(
            ["--body=a", "--method=PUT", "--header=Content-Type: text/plain"],
            Request("/", "PUT", (("Content-Type", "text/plain"),), b"a"),
            id="a body of another kind",
        ),
        pytest.param(["--method=DELETE"], Request("/", "DELETE"), id="a method"),
    ],
)
def test_the_request(arguments: list[str], request_: Request) -> None:
    """What is asked of the service."""
    assert (request_,) == _plan(*arguments, "shop:app").requests


def test_a_body_from_a_file(tmp_path: Path) -> None:
    """A body may be read from a file."""
    (tmp_path / "body").write_bytes(b"\xff")
    [request] = _plan(f"--body=@{tmp_path}/body", "shop:app").requests
    assert b"\xff" == request.body


def test_several_paths() -> None:
    """Each path is asked for."""
    requests = _plan("--path=/a", "--path=/b", "shop:app").requests
    assert ["/a", "/b"] == [request.path for request in requests]


def test_the_command() -> None:
    """What follows -- is the service's, options included."""
    made = _plan("--env=A=1", "--env=B=x=y", "--", "serve", "--", "--json")
    assert ("serve", "--", "--json") == made.command
    assert {"A": "1", "B": "x=y"} == made.environment


def test_providers() -> None:
    """Two providers, all with --all, or those that are named."""
    assert PROVIDERS[:2] == _plan("shop:app").providers
    assert PROVIDERS == _plan("--all", "shop:app").providers
    assert ("datadog",) == _plan("--all", "--provider=datadog", "shop:app").providers


def test_where_calls_go() -> None:
    """Calls are answered here, unless they are to be passed on."""
    assert "" == _plan("shop:app").forward_to
    assert "127.0.0.1" == _plan("--forward", "shop:app").forward_to
    assert "db" == _plan("--forward-to=db", "shop:app").forward_to
    assert "db:80" == _plan("--forward-to=db:80", "shop:app").forward_to


@pytest.mark.parametrize(
    ("listen", "url", "place", "asked"),
    [
        ("9000", "http://localhost:80/a?b=1", ("127.0.0.1", 9000), "/a?b=1"),
        ("9000", "http://shop.example", ("0.0.0.0", 9000), "/"),  # noqa: S104 - the expectation
        ("10.0.0.7:9000", "http://shop.example/a", ("10.0.0.7", 9000), "/a"),
    ],
)
def test_a_service_that_runs_already(
    listen: str, url: str, place: tuple[str, int], asked: str
) -> None:
    """The checker listens where the service can reach it."""
    made = _plan("--listen", listen, "--url", url)
    assert (place, asked) == (made.listen, made.requests[0].path)
    assert 80 == made.url[1]

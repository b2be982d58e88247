"""What spans are called, and what they tell."""

from typing import Any

import pytest

from meshtrace.otel.spans.conventions import client_attributes, error_type, host_and_port, named
from meshtrace.otel.spans.protocols import PROTOCOLS


@pytest.mark.parametrize(
    ("method", "name", "attributes"),
    [
        ("GET", "GET", {"http.request.method": "GET"}),
        (
            "get",
            "GET",
            {"http.request.method": "GET", "http.request.method_original": "get"},
        ),
        (
            "BREW",
            "HTTP",
            {"http.request.method": "_OTHER", "http.request.method_original": "BREW"},
        ),
    ],
)
def test_methods(method: str, name: str, attributes: dict[str, str]) -> None:
    """Only methods that everybody knows name a span."""
    found: dict[str, str | int] = {}
    assert (name, attributes) == (named(method, found), found)


@pytest.mark.parametrize(
    ("url", "full", "address", "port"),
    [
        ("http://reviews:9080/a?b=1#c", "http://reviews:9080/a?b=1#c", "reviews", 9080),
        ("http://reviews", "http://reviews", "reviews", 80),
        ("HTTPS://reviews/", "HTTPS://reviews/", "reviews", 443),
        ("http://[::1]:80/", "http://[::1]:80/", "::1", 80),
        ("http://reviews:/", "http://reviews:/", "reviews", 80),
        ("http+unix:///a", "http+unix:///a", None, None),
        ("ftp://reviews/", "ftp://reviews/", "reviews", None),
        ("http://a:b@reviews/", "http://REDACTED:REDACTED@reviews/", "reviews", 80),
        ("http://a@b@reviews/", "http://REDACTED@reviews/", "reviews", 80),
        ("http://r/?Signature=x&a=sig", "http://r/?Signature=REDACTED&a=sig", "r", 80),
        ("http://r/?a=1&sig=x", "http://r/?a=1&sig=REDACTED", "r", 80),
        ("http://r/?design=x", "http://r/?design=x", "r", 80),
        ("http://r/?X-Amz-Signature=x;y#z", "http://r/?X-Amz-Signature=REDACTED#z", "r", 80),
        ("/no/url", None, None, None),
    ],
)
def test_urls(url: str, full: str | None, address: str | None, port: int | None) -> None:
    """Where a call goes is told, and nothing that opens a door."""
    _, found = client_attributes("GET", url)
    assert (full, address, port) == tuple(
        found.get(name) for name in ("url.full", "server.address", "server.port")
    )


def test_a_strange_host_is_told_as_it_is() -> None:
    """Who sends a header may write anything there."""
    assert ("a:b:c", None) == host_and_port("a:b:c")
    assert ("shop", None) == host_and_port("shop", "gopher")


def test_the_kind_of_error_has_its_module() -> None:
    """What every program has goes without."""
    assert "json.decoder.JSONDecodeError" == error_type(_json_error())
    assert "KeyError" == error_type(KeyError())


def _json_error() -> Exception:
    import json  # noqa: PLC0415 - one name of it

    return json.JSONDecodeError("", "", 0)


def _scope(**more: object) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [], **more}


def test_a_scope_may_be_bare() -> None:
    """A server need not know where a request comes from, nor by which version of HTTP."""
    assert ("GET", {"http.request.method": "GET", "url.scheme": "http", "url.path": "/"}) == (
        PROTOCOLS["asgi"].begin(_scope())
    )


def test_a_scope_tells_the_raw_path_and_the_ends() -> None:
    """The path is as it came, without its query, and the peer stands in for who is behind it."""
    scope = _scope(
        raw_path=b"/a%2Fb?c", path="/a/b", query_string="d=1", client=("::1", 5), server=("::2", 8)
    )
    _, found = PROTOCOLS["asgi"].begin(scope)
    assert ("/a%2Fb", "d=1", "::1", "::2", 8) == tuple(
        found[name]
        for name in ("url.path", "url.query", "client.address", "server.address", "server.port")
    )


def test_a_socket_has_no_port() -> None:
    """A server on a socket of the file system has a path, and no port."""
    _, found = PROTOCOLS["asgi"].begin(_scope(server=("/run/shop", None), client=("", 0)))
    assert "/run/shop" == found["server.address"]
    assert {"server.port", "client.address"}.isdisjoint(found)


class _Route:
    def __init__(self, path: object, endpoint: object = None) -> None:
        self.path = path
        self.endpoint = endpoint


class _Router:
    routes = (_Route("/other", "other"), _Route("/found/{id}", "view"))


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param({}, None, id="no framework"),
        pytest.param({"path_template": "/litestar/{id}"}, "/litestar/{id}", id="Litestar"),
        pytest.param({"route": _Route("/a/{id}")}, "/a/{id}", id="FastAPI"),
        pytest.param({"route": _Route(1)}, None, id="a strange route"),
        pytest.param(
            {
                "route": _Route("/b"),
                "fastapi": {"effective_route_context": _Route("/a/b")},
            },
            "/a/b",
            id="a router that FastAPI includes",
        ),
        pytest.param(
            {"router": _Router, "endpoint": "view"}, "/found/{id}", id="an older Starlette"
        ),
        pytest.param({"router": _Router, "endpoint": "gone"}, None, id="an endpoint of nobody"),
        pytest.param(
            {
                "route": _Route("/in/{id}"),
                "root_path": "/proxy/sub",
                "app_root_path": "/proxy",
                "path_params": {"id": 1},
            },
            "/sub/in/{id}",
            id="a mount",
        ),
        pytest.param(
            {
                "route": _Route("/in/{id}"),
                "root_path": "/tenants/7",
                "app_root_path": "",
                "path_params": {"tenant": 7, "id": 1},
            },
            None,
            id="a mount with parameters, whose route is not known",
        ),
    ],
)
def test_routes_of_asgi(scope: dict[str, Any], expected: str | None) -> None:
    """The route is told where it is known, and only then."""
    assert expected == PROTOCOLS["asgi"].route(_scope(**scope))


def test_an_environ_may_be_bare() -> None:
    """A test may give next to nothing."""
    assert ("GET", {"http.request.method": "GET", "url.scheme": "http", "url.path": "/"}) == (
        PROTOCOLS["wsgi"].begin({})
    )
    assert None is PROTOCOLS["wsgi"].route({})


def test_an_environ_names_its_server() -> None:
    """Without a Host header the server's own name is told."""
    environ = {"SERVER_NAME": "shop", "SERVER_PORT": "9080", "SERVER_PROTOCOL": "HTTP/1.0"}
    _, found = PROTOCOLS["wsgi"].begin(environ | {"SCRIPT_NAME": "/a", "PATH_INFO": "/\xc3\xa9"})
    assert ("shop", 9080, "1.0", "/a/%C3%A9") == tuple(
        found[name]
        for name in ("server.address", "server.port", "network.protocol.version", "url.path")
    )

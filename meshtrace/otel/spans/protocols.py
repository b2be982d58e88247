"""
What a SERVER span tells of a request, in each protocol and framework a request may come by.

Nothing of a framework is imported: routes are looked for where frameworks leave them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from meshtrace.otel.spans.conventions import (
    Attributes,
    host_and_port,
    named,
    sanitised_query,
)
from meshtrace.otel.spans.rpc import of_request

__all__ = ["PROTOCOLS", "Protocol"]

_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"


class Protocol(NamedTuple):
    """
    How a request is read.

    Attributes:
        begin: Gives the name of its span, and what is known when it comes.
        route: Gives the route that the application has found for it, when it has.
    """

    begin: Callable[[Any], tuple[str, Attributes]]
    route: Callable[[Any], str | None]


_HEADERS: Final = {
    b"host": "host",
    b"user-agent": "user_agent.original",
    b"x-forwarded-for": "client.address",
}


def _of_asgi(scope: Mapping[str, Any]) -> tuple[str, Attributes]:
    attributes: Attributes = {}
    # A websocket begins as a GET.
    name = named(scope.get("method", "GET"), attributes)
    scheme = scope.get("scheme") or "http"
    attributes["url.scheme"] = scheme
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw else quote(scope.get("path") or "/", _PATH_SAFE)
    attributes["url.path"] = path.partition("?")[0]
    query = scope.get("query_string")
    if query:
        # Some test clients give a text.
        text = query if isinstance(query, str) else query.decode("latin-1")
        attributes["url.query"] = sanitised_query(text)
    if version := scope.get("http_version"):
        attributes["network.protocol.version"] = version
    found = {}
    for key, value in scope["headers"]:
        if known := _HEADERS.get(key):
            found[known] = value.decode("latin-1")
    _add_ends(attributes, found, scope.get("client"), scope.get("server"), scheme)
    return name, attributes


def _add_ends(
    attributes: Attributes,
    found: dict[str, str],
    client: Any,  # noqa: ANN401 - a pair, or None
    server: Any,  # noqa: ANN401 - a pair, or None
    scheme: str,
) -> None:
    forwarded = found.pop("client.address", "").partition(",")[0].strip()
    if forwarded:
        attributes["client.address"] = forwarded
    elif client and client[0]:
        attributes["client.address"] = client[0]
    host = found.pop("host", None)
    address, port = host_and_port(host, scheme) if host else server or (None, None)
    if address:
        attributes["server.address"] = address
        if port:
            attributes["server.port"] = port
    attributes.update(found)


def _route_of_asgi(scope: Mapping[str, Any]) -> str | None:
    # Litestar's, FastAPI's where one router includes another, and Starlette's.
    if template := scope.get("path_template"):
        return str(template)
    included = getattr((scope.get("fastapi") or {}).get("effective_route_context"), "path", None)
    path = included or getattr(scope.get("route") or _starlette_route(scope), "path", None)
    if not isinstance(path, str):
        return None
    root = scope.get("root_path", "")
    mounted = root.removeprefix(scope.get("app_root_path", root))
    # The path of a mount is what was asked for, which is no route where it has parameters.
    if mounted and len(scope.get("path_params") or ()) != path.count("{"):
        return None
    return f"{mounted}{path}"


def _starlette_route(scope: Mapping[str, Any]) -> object:
    """Look for the route where Starlette does not say it, as its older versions do not."""
    endpoint = scope.get("endpoint")
    routes = getattr(scope.get("router"), "routes", ()) if endpoint is not None else ()
    return next((route for route in routes if getattr(route, "endpoint", None) is endpoint), None)


def _of_environ(environ: Mapping[str, Any]) -> tuple[str, Attributes]:
    attributes: Attributes = {}
    get = environ.get
    name = named(get("REQUEST_METHOD") or "GET", attributes)
    scheme = attributes["url.scheme"] = get("wsgi.url_scheme") or "http"
    path = (get("SCRIPT_NAME") or "") + (get("PATH_INFO") or "")
    attributes["url.path"] = quote(path.encode("latin-1", "replace") or b"/", _PATH_SAFE)
    if query := get("QUERY_STRING"):
        attributes["url.query"] = sanitised_query(query)
    version = get("SERVER_PROTOCOL") or ""
    if version.startswith("HTTP/"):
        attributes["network.protocol.version"] = version[5:]
    found = {}
    if host := get("HTTP_HOST"):
        found["host"] = host
    if agent := get("HTTP_USER_AGENT"):
        found["user_agent.original"] = agent
    if forwarded := get("HTTP_X_FORWARDED_FOR"):
        found["client.address"] = forwarded
    port = str(get("SERVER_PORT") or "")
    server = (get("SERVER_NAME"), int(port) if port.isdecimal() else None)
    _add_ends(attributes, found, (get("REMOTE_ADDR"),), server, scheme)
    return name, attributes


def _route_of_environ(environ: Mapping[str, Any]) -> str | None:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return getattr(rule, "rule", None)


def _of_django(request: Any) -> tuple[str, Attributes]:  # noqa: ANN401 - there are no types
    scope = getattr(request, "scope", None)
    return _of_environ(request.META) if scope is None else _of_asgi(scope)


def _route_of_django(request: Any) -> str | None:  # noqa: ANN401 - as above
    route = getattr(getattr(request, "resolver_match", None), "route", None)
    return f"/{route}" if isinstance(route, str) else None


def _of_aiohttp(request: Any) -> tuple[str, Attributes]:  # noqa: ANN401 - aiohttp may be missing
    attributes: Attributes = {}
    name = named(request.method, attributes)
    url = request.rel_url
    scheme = attributes["url.scheme"] = request.scheme
    attributes["url.path"] = url.raw_path
    if url.raw_query_string:
        attributes["url.query"] = sanitised_query(url.raw_query_string)
    attributes["network.protocol.version"] = f"{request.version.major}.{request.version.minor}"
    headers = request.headers
    found = {
        known: headers[name.decode()]
        for name, known in _HEADERS.items()
        if name.decode() in headers
    }
    _add_ends(attributes, found, (request.remote,), None, scheme)
    return name, attributes


def _route_of_aiohttp(request: Any) -> str | None:  # noqa: ANN401 - as above
    resource = getattr(getattr(request.match_info, "route", None), "resource", None)
    return getattr(resource, "canonical", None)


PROTOCOLS: Final = {
    "asgi": Protocol(_of_asgi, _route_of_asgi),
    "wsgi": Protocol(_of_environ, _route_of_environ),
    "django": Protocol(_of_django, _route_of_django),
    "aiohttp": Protocol(_of_aiohttp, _route_of_aiohttp),
    "grpc": Protocol(of_request, lambda _: None),
}
"""By the names of the rooms."""

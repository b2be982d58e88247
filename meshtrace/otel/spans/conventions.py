"""
What spans of HTTP are called and what they tell, by OpenTelemetry's stable semantic conventions.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (version 1.23 and later).
"""

import re
from typing import Final

__all__ = [
    "ERROR_TYPE",
    "METHOD",
    "RESEND_COUNT",
    "ROUTE",
    "SCHEMA",
    "STATUS_CODE",
    "Attributes",
    "client_attributes",
    "error_type",
    "host_and_port",
    "named",
    "sanitised_query",
]

Attributes = dict[str, str | int]

SCHEMA: Final = "https://opentelemetry.io/schemas/1.23.1"

METHOD: Final = "http.request.method"
RESEND_COUNT: Final = "http.request.resend_count"
STATUS_CODE: Final = "http.response.status_code"
ROUTE: Final = "http.route"
ERROR_TYPE: Final = "error.type"

_KNOWN = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
_METHODS: Final[dict[str, str]] = {method: method for method in _KNOWN}

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SECRETS = (
    "AWSAccessKeyId|Signature|sig|X-Goog-Signature"
    "|X-Amz-Credential|X-Amz-Security-Token|X-Amz-Signature"
)
_secret = re.compile(rf"(?i)((?:^|(?<=[?&]))(?:{_SECRETS})=)[^&#]*")

_url = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[^\]]*\]|[^:/?#]*)(?::(?P<port>[0-9]*))?(?P<rest>.*)",
    re.DOTALL,
).fullmatch
_host = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?").fullmatch


def named(method: str, attributes: Attributes) -> str:
    """
    Give the name of a span by its method, and note the method.

    Args:
        method: As it is sent.
        attributes: Where to note it.

    >>> attributes = {}
    >>> named("BREW", attributes), attributes
    ('HTTP', {'http.request.method': '_OTHER', 'http.request.method_original': 'BREW'})
    """
    known = _METHODS.get(method)
    if known is not None:
        attributes[METHOD] = known
        return known
    # Some clients take methods in lower case, and send them as they are.
    upper = method.upper()
    if upper in _METHODS:
        attributes[METHOD] = name = upper
    else:
        attributes[METHOD] = "_OTHER"
        name = "HTTP"
    attributes["http.request.method_original"] = method
    return name


def sanitised_query(query: str) -> str:
    """
    Give a query with the values of keys that are known to be secret taken out.

    >>> sanitised_query("page=2&sig=c2VjcmV0")
    'page=2&sig=REDACTED'
    """
    # Looking costs a sixth of replacing nothing.
    return _secret.sub(r"\1REDACTED", query) if _secret.search(query) else query


def host_and_port(text: str, scheme: str = "") -> tuple[str, int | None]:
    """
    Split ``host:port``.

    Args:
        text: A ``Host`` header, or its like.
        scheme: What says which port is meant where none is written.

    >>> host_and_port("reviews:9080"), host_and_port("[::1]", "https")
    (('reviews', 9080), ('::1', 443))
    """
    match = _host(text)
    if match is None:
        return text, None
    host, port = match.groups()
    return host.strip("[]"), int(port) if port else _PORTS.get(scheme)


def client_attributes(method: str, url: str) -> tuple[str, Attributes]:
    """
    Give the name of the span of a call, and what is known of it before it is made.

    Credentials and known secrets are not told.

    Args:
        method: As it is sent.
        url: Where it goes, absolute.

    >>> name, attributes = client_attributes("GET", "http://jason:secret@reviews:9080/?sig=1")
    >>> attributes["url.full"], attributes["server.address"], attributes["server.port"]
    ('http://REDACTED:REDACTED@reviews:9080/?sig=REDACTED', 'reviews', 9080)
    """
    attributes: Attributes = {}
    name = named(method, attributes)
    match = _url(url)
    if match is None:
        return name, attributes
    scheme, user, host, port, rest = match.groups()
    if user:
        _, separator, _ = user.partition(":")
        hidden = "REDACTED:REDACTED@" if separator else "REDACTED@"
        authority = url[match.start("host") : match.start("rest")]
        url = f"{scheme}://{hidden}{authority}{rest}"
    attributes["url.full"] = sanitised_query(url) if "?" in rest else url
    if host:
        attributes["server.address"] = host.strip("[]")
        number = int(port) if port else _PORTS.get(scheme.lower())
        if number is not None:
            attributes["server.port"] = number
    return name, attributes


def error_type(error: BaseException) -> str:
    """
    Give the name of what was raised.

    >>> error_type(TimeoutError())
    'TimeoutError'
    """
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"

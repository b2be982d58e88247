"""Header names: what one looks like, and which are never forwarded, whatever is set."""

import re

__all__ = ["is_field_name", "is_never_forwarded"]

is_field_name = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+").fullmatch
"""Whether a text, in lower case, is a header name (a token of RFC 9110, section 5.1)."""

_NEVER = frozenset(
    {
        # They describe the connection or the message they came with (RFC 9110, section 7.6.1; RFC
        # 9112).
        "connection",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # They describe what that one caller asked for; copied, they change what this service gets.
        "accept-encoding",
        "date",
        "origin",
        "range",
        "referer",
        "via",
        # A session belongs to the browser and the service it talks to.
        "cookie",
        "cookie2",
        "set-cookie",
        "set-cookie2",
        # Envoy takes them for a statement about an outside client.
        "forwarded",
        "x-real-ip",
        # Metadata of one gRPC call.
        "grpc-timeout",
    }
)
_NEVER_PREFIXES = ("content-", "proxy-", "x-forwarded-", "x-envoy-", "if-", ":")
_NEVER_SUFFIXES = ("-bin",)


def is_never_forwarded(name: str) -> bool:
    """
    Tell whether a header is never forwarded: framing, hop-by-hop, cookies, Envoy's about one hop.

    ``authorization`` has a setting of its own (``authorization_hosts``) and counts as never
    forwarded here.

    Args:
        name: The header's name, in lower case.

    >>> is_never_forwarded("x-forwarded-for"), is_never_forwarded("end-user")
    (True, False)
    """
    return (
        name in _NEVER
        or name == "authorization"
        or name.startswith(_NEVER_PREFIXES)
        or name.endswith(_NEVER_SUFFIXES)
    )

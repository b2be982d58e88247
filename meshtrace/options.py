"""
How one setting's value is read: in comes a text or a list, out a normalised value.

What is not valid is a `ConfigurationError` with the valid choices. The same readers serve code and
environment.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from meshtrace.errors import ConfigurationError
from meshtrace.names import is_field_name, is_never_forwarded

__all__ = [
    "CLIENTS",
    "DEFAULT_PATCHES",
    "PATCHABLE",
    "Parser",
    "choice",
    "domain",
    "each_of",
    "exact_hosts",
    "forward_names",
    "hosts",
    "instance_of",
    "nearest",
    "patchable",
    "response_header",
    "switch",
    "texts",
    "trace_field_names",
    "trace_hosts",
]

CLIENTS = ("requests", "httpx", "httpx2", "aiohttp", "urllib3", "urllib", "http.client", "grpc")
"""The client libraries, each a file in ``meshtrace/outbound``."""

DEFAULT_PATCHES = (*CLIENTS, "concurrent.futures")
"""What `meshtrace.patch` patches when no name is given."""

PATCHABLE = (*DEFAULT_PATCHES, "threading", "gevent", "celery")
"""What `meshtrace.patch` can patch; what is no client is a file in ``meshtrace/concurrency``."""

Parser = Callable[[str, Any], Any]
"""Takes a setting's name (for the message) and its value."""

_IPV4_MAPPED = 96
"""The bits before the IPv4 address in ``::ffff:10.0.0.1``."""

_host_name = re.compile(r"(?!.*\.\.)[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?").fullmatch


def nearest(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """
    Give a question to add to a message about an unknown name; empty when no known name is near.

    Args:
        name: What was given, without what all of them begin with.
        known: What may be given, likewise.
        prefix: What all of them begin with.

    >>> nearest("incomming", ["incoming", "forward"])
    ' (do you mean incoming?)'
    """
    import difflib  # noqa: PLC0415 - slow to import, and needed after a mistake only

    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (do you mean {prefix}{close[0]}?)" if close else ""


def choice(*valid: str) -> Parser:
    """
    Give a reader that takes one of *valid*.

    >>> choice("keep", "replace")("on_conflict", "replace")
    'replace'
    """

    def parse(setting: str, value: object) -> object:
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in valid:
            raise _wrong(setting, value, f"not one of {', '.join(map(repr, valid))}")
        return word

    return parse


def instance_of(kind: type) -> Parser:
    """
    Give a reader that takes an object of one class.

    >>> instance_of(int)("limits", 5)
    5
    """

    def parse(setting: str, value: object) -> object:
        if not isinstance(value, kind):
            raise _wrong(setting, value, f"give a meshtrace.{kind.__name__}(...)")
        return value

    return parse


def switch(setting: str, value: object) -> bool:
    """
    Read a yes or a no: a truth value, or one of the texts that a variable may have.

    >>> switch("spans", "1"), switch("spans", False)
    (True, False)
    """
    match str(value).strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
    raise _wrong(setting, value, "not true or false, 1 or 0")


def each_of(*valid: str, sign: str = "") -> Parser:
    """
    Give a reader that takes a list of *valid*, each alone or with *sign* before it.

    >>> each_of("w3c", "b3")("root_formats", "b3, w3c")
    ('b3', 'w3c')
    """

    def parse(setting: str, value: object) -> object:
        names = texts(setting, value)
        for name in names:
            if name.removeprefix(sign) not in valid:
                raise _wrong(setting, name, f"not one of {', '.join(valid)}")
        return names

    return parse


patchable = each_of(*PATCHABLE, sign="-")
"""Read names of what can be patched, each alone or with ``-`` before it."""


def texts(setting: str, value: object) -> tuple[str, ...]:
    """
    Read a list: one text with commas, or several texts; in lower case, without blanks and repeats.

    >>> texts("mesh_hosts", ".prod, .CORP,.prod")
    ('.prod', '.corp')
    """
    return tuple(dict.fromkeys(text.lower() for text in _texts(setting, value)))


def forward_names(setting: str, value: object) -> tuple[str, ...]:
    """
    Read names of user data: ``end-user``, ``x-route-*``, ``baggage``, ``baggage.KEY``.

    A baggage key keeps its case; names do not.

    >>> forward_names("forward", ["End-User", "baggage.userId"])
    ('end-user', 'baggage.userId')
    """
    names = []
    for text in _texts(setting, value):
        name = text.lower()
        prefix = name.removesuffix("*")
        if name.startswith("baggage."):
            key = name.removeprefix("baggage.")
            if not is_field_name(key) or "*" in key:
                raise _wrong(setting, text, "not baggage.KEY; baggage takes all keys")
            name = "baggage." + text[len("baggage.") :]
        elif not is_field_name(prefix) or "*" in prefix:
            raise _wrong(setting, text, "not a header name, PREFIX*, baggage or baggage.KEY")
        else:
            _refuse_never_forwarded(setting, text, prefix)
        names.append(name)
    return tuple(dict.fromkeys(names))


def trace_field_names(setting: str, value: object) -> tuple[str, ...]:
    """
    Read changes to the trace fields: all of them ``+name`` or ``-name``, or all plain names.

    >>> trace_field_names("trace_fields", "+uber-trace-id,-sw8")
    ('+uber-trace-id', '-sw8')
    """
    names = texts(setting, value)
    signs = {name[0] if name[0] in "+-" else "" for name in names}
    if "" in signs and len(signs) > 1:
        raise _wrong(setting, value, "either every name has + or - before it, or none has")
    for name in names:
        plain = name.lstrip("+-")
        if not is_field_name(plain):
            raise _wrong(setting, name, "not a header name")
        _refuse_never_forwarded(setting, name, plain)
    return names


def hosts(setting: str, value: object) -> tuple[str, ...]:
    """
    Read hosts: ``name``, ``.suffix`` (or ``*.suffix``), an address or a network.

    >>> hosts("mesh_hosts", ".prod,*.Corp.example,10.20.0.0/16,[fd00::1]")
    ('.prod', '.corp.example', '10.20.0.0/16', 'fd00::1')
    """
    return tuple(_host(setting, text) for text in texts(setting, value))


def trace_hosts(setting: str, value: object) -> tuple[str, ...]:
    """
    Read ``all``, ``mesh``, or a list of hosts, of which ``mesh`` may be one.

    >>> trace_hosts("trace_hosts", "mesh"), trace_hosts("trace_hosts", ["mesh", ".corp.example"])
    (('mesh',), ('mesh', '.corp.example'))
    """
    words = texts(setting, value)
    if not words or ("all" in words and len(words) > 1):
        raise _wrong(setting, value, "not 'all', 'mesh' or a list of hosts")
    return words if words == ("all",) else hosts(setting, value)


def exact_hosts(setting: str, value: object) -> tuple[str, ...]:
    """
    Read hosts that are named one by one.

    >>> exact_hosts("authorization_hosts", "orders")
    ('orders',)
    """
    found = hosts(setting, value)
    for host in found:
        if host.startswith(".") or "/" in host:
            raise _wrong(setting, host, "not an exact host")
    return found


def domain(setting: str, value: object) -> str:
    """
    Read a DNS domain.

    >>> domain("cluster_domain", "Cluster.Local.")
    'cluster.local'
    """
    text = value.strip(" .").lower() if isinstance(value, str) else ""
    if not _host_name(text):
        raise _wrong(setting, value, "not a DNS domain")
    return text


def response_header(setting: str, value: object) -> str:
    """
    Read the name of the field to echo; empty for none.

    >>> response_header("response_header", "X-Request-Id")
    'x-request-id'
    """
    text = value.strip().lower() if isinstance(value, str) else "?"
    if text and (not is_field_name(text) or is_never_forwarded(text)):
        raise _wrong(setting, value, "not the name of a relayed field")
    return text


def _host(setting: str, text: str) -> str:
    address = text.strip("[]")
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        host = text.removeprefix("*" if text.startswith("*.") else "").removesuffix(".")
        if not _host_name(host.removeprefix(".")):
            raise _wrong(
                setting, text, "not a host, .suffix, address or network (without scheme and port)"
            ) from None
        return host
    # An IPv4 address is judged as one, in whichever spelling a call has it.
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        network = ipaddress.ip_network((mapped, network.prefixlen - _IPV4_MAPPED))
    return str(network) if "/" in address else str(network.network_address)


def _refuse_never_forwarded(setting: str, text: str, name: str) -> None:
    if name == "authorization":
        raise _wrong(setting, text, "goes only to authorization_hosts")
    if is_never_forwarded(name):
        raise _wrong(setting, text, "never forwarded")


def _texts(setting: str, value: object) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable) or isinstance(parts, bytes):
        raise _wrong(setting, value, "neither a text with commas nor a list of texts")
    found = []
    for part in parts:
        if not isinstance(part, str):
            raise _wrong(setting, part, "not a text")
        if stripped := part.strip():
            found.append(stripped)
    return found


def _wrong(setting: str, value: object, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{setting}={value!r}: {reason}")

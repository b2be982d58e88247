"""
Which field may go to which host.

Every relayed field is of one of three classes. *Ids* go to every host. *Vendor data* (names of
services, addresses) and *user data* (what the application or its user said) go to hosts of the mesh
only. Hosts are judged by their parsed name, by whole labels: never by a substring, never by the
URL's text.
"""

import ipaddress
import logging
import re
from collections.abc import Iterable
from enum import IntFlag
from os import PathLike
from typing import NamedTuple
from urllib.parse import urlsplit

from meshtrace import notices
from meshtrace.settings import Settings

__all__ = ["HostPolicy", "Judged", "Share", "cluster_domain", "say_withheld"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Share(IntFlag):
    """
    What a host may have.

    >>> Share.IDS in Share.MESH, Share.USER_DATA in Share.IDS
    (True, False)
    """

    NOTHING = 0
    IDS = 1
    VENDOR_DATA = 2
    USER_DATA = 4
    AUTHORIZATION = 8
    MESH = IDS | VENDOR_DATA | USER_DATA


class Judged(NamedTuple):
    """
    One host, under one set of settings.

    Attributes:
        host: Its name; empty where there is none, or where it cannot be read.
        denied: Whether it is on the deny list.
        share: What it may have.
    """

    host: str
    denied: bool
    share: Share


_PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    )
)
"""Written out, because ``is_private`` also takes in link-local and documentation addresses."""

_MOST_HOSTS = 1024
_SCHEMES = ("http://", "https://")
_BEHIND_SCHEME = len("https://")
"""No slash before it, and behind it, ends a host's name."""

_single_label = re.compile(r"[a-z][a-z0-9_-]*").fullmatch
_labels = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*").fullmatch

_PUBLIC_SUFFIXES = frozenset(
    {
        *("app", "arpa", "biz", "cloud", "com", "dev", "edu", "example", "gov", "info", "int"),
        *("mil", "name", "net", "online", "org", "page", "pro", "shop", "site", "store", "tech"),
        *("test", "top", "web", "xyz"),
    }
)
"""Under these anybody has hosts: no advice may take in all of them."""

_COUNTRY_CODE_LENGTH = 2


class HostPolicy:
    """
    What each host may have, under one set of settings.

    Args:
        settings: Resolved settings; of them ``mesh_hosts``, ``deny_hosts``, ``trace_hosts``,
            ``authorization_hosts`` and ``cluster_domain`` count here.

    >>> policy = HostPolicy(Settings())
    >>> policy.share("http://reviews:9080/reviews/0") == Share.MESH
    True
    >>> policy.share("https://api.example.com/") == Share.IDS
    True
    """

    def __init__(self, settings: Settings) -> None:
        domain = settings.cluster_domain or cluster_domain()
        self.mesh_hosts = settings.mesh_hosts
        self._mesh = _Hosts((*settings.mesh_hosts, ".svc", f".svc.{domain}"))
        self._denied = _Hosts(settings.deny_hosts)
        self._authorized = _Hosts(settings.authorization_hosts)
        self._all_traced = settings.trace_hosts == ("all",)
        self._mesh_traced = "mesh" in settings.trace_hosts
        self._traced = _Hosts(settings.trace_hosts)
        self._judged: dict[str, Judged] = {}

    def share(self, url: str) -> Share:
        """
        Tell what the host of a URL may have.

        Args:
            url: As `judge` takes it.
        """
        return self.judge(url).share

    def judge(self, url: str) -> Judged:
        """
        Judge the host of a URL.

        Args:
            url: An absolute URL. One without a host, or one that cannot be read, may have nothing.

        >>> HostPolicy(Settings(deny_hosts="payments")).judge("http://payments/").denied
        True
        """
        end = url.find("/", _BEHIND_SCHEME) + 1
        return self._judged.get(url[:end] or url) or self._judge_anew(url, end)

    def _judge_anew(self, url: str, end: int) -> Judged:
        host = _host_of(url)
        denied = self._denies(host)
        share = Share.NOTHING if denied or not host else self._share(host)
        judged = Judged(host, denied, share)
        origin = url[:end] or url
        # An origin with a user's name and password in it is not kept.
        if "@" not in origin and (not end or url.startswith(_SCHEMES)):
            if len(self._judged) >= _MOST_HOSTS:
                self._judged.clear()
            self._judged[origin] = judged
        return judged

    def _denies(self, host: str) -> bool:
        address = _address(host)
        resolved = None if address else _as_resolved(host)
        return self._denied.contain(host, address) or (
            resolved is not None and self._denied.contain(host, resolved)
        )

    def _share(self, host: str) -> Share:
        address = _address(host)
        in_mesh = self._in_mesh(host, address)
        share = Share.MESH if in_mesh else Share.IDS
        if not (
            self._all_traced
            or (in_mesh and self._mesh_traced)
            or self._traced.contain(host, address)
        ):
            share &= ~Share.IDS
        if self._authorized.contain(host, address):
            share |= Share.AUTHORIZATION
        return share

    def _in_mesh(self, host: str, address: Address | None) -> bool:
        if address is not None:
            if _is_nowhere(address):
                return False
            private = any(address in network for network in _PRIVATE_NETWORKS)
            return private or self._mesh.contain(host, address)
        return bool(_single_label(host)) or self._mesh.contain(host, None)


class _Hosts:
    """A list of hosts: exact names, suffixes, networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        names = set()
        suffixes = []
        self._networks: list[Network] = []
        for entry in entries:
            if entry.startswith("."):
                suffixes.append(entry)
            else:
                try:
                    self._networks.append(ipaddress.ip_network(entry))
                except ValueError:
                    names.add(entry)
        self._names = frozenset(names)
        self._suffixes = tuple(suffixes)

    def contain(self, host: str, address: Address | None) -> bool:
        if address is not None:
            return any(address in network for network in self._networks)
        return host in self._names or host.endswith(self._suffixes)


def _host_of(url: str) -> str:
    """Read a host, in lower case; empty where there is none, or where readers may differ."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = (parts.hostname or "").removesuffix(".")
    # A backslash is a part of the user's name to some libraries, and the end of the host to others.
    is_host = _labels(host) or _address(host) is not None
    return host if is_host and "\\" not in parts.netloc else ""


def _address(name: str) -> Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _as_resolved(host: str) -> Address | None:
    """Read an address as resolvers do, in any base and with parts left out (``0x7f.1``)."""
    if not host[host.rfind(".") + 1 :][:1].isdecimal():
        return None
    import socket  # noqa: PLC0415 - slow to import, and rarely needed

    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_nowhere(address: Address) -> bool:
    """Tell whether an address means another host on every machine."""
    return address.is_link_local or address.is_unspecified


def cluster_domain(resolv_conf: str | PathLike[str] = "/etc/resolv.conf") -> str:
    """
    Find the cluster's DNS domain, from the search line that Kubernetes writes.

    >>> cluster_domain("no such file")
    'cluster.local'
    """
    try:
        with open(resolv_conf, encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib is slow to import
            lines = file.readlines()
    except OSError:
        lines = []
    for line in lines:
        word, *domains = line.lower().split() or [""]
        for domain in domains if word == "search" else ():
            before, _, found = domain.removesuffix(".").partition("svc.")
            if found and not before:
                return found
    return "cluster.local"


def say_withheld(host: str, names: Iterable[str], mesh_hosts: Iterable[str] = ()) -> None:
    """
    Warn, once a host, that fields stayed here: the host is not known to be of the mesh.

    Args:
        host: Where the call went; empty where that is not known.
        names: The fields; they are asked for where nothing was said yet.
        mesh_hosts: What is set already, to be kept in what the warning tells to set.
    """
    if not notices.is_news(("withheld", host)):
        return
    text = ", ".join(sorted(names))
    if text:
        notices.once(
            logging.WARNING,
            ("withheld", host),
            "meshtrace: %s not sent to %s",
            text,
            _advice(host, mesh_hosts) if host else "a host that is not known: give an absolute URL",
        )


def _advice(host: str, mesh_hosts: Iterable[str]) -> str:
    address = _address(host)
    if address is not None and _is_nowhere(address):
        return f"{host}, which is never in a mesh"
    _, _, domain = host.partition(".")
    last = host.rpartition(".")[2]
    public = last in _PUBLIC_SUFFIXES or len(last) == _COUNTRY_CODE_LENGTH
    named = host if address is not None or public or not domain else f".{domain}"
    wanted = ",".join((*mesh_hosts, named))
    return f"{host}, which is not known to be in the mesh. If it is: MESHTRACE_MESH_HOSTS={wanted}"

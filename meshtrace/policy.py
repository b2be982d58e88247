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
from pathlib import Path
from urllib.parse import urlsplit

from meshtrace import notices
from meshtrace.settings import Settings

__all__ = ["HostPolicy", "Share", "cluster_domain", "say_withheld"]

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
    {"app", "cloud", "com", "dev", "edu", "gov", "info", "int", "mil", "net", "org", "biz", "xyz"}
)
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
        self._mesh = _Hosts((*settings.mesh_hosts, ".svc", f".svc.{domain}"))
        self._denied = _Hosts(settings.deny_hosts)
        self._authorized = _Hosts(settings.authorization_hosts)
        self._traced = None if settings.trace_hosts == ("all",) else _Hosts(settings.trace_hosts)
        self._shares: dict[str, Share] = {}

    def share(self, url: str) -> Share:
        """
        Judge the host of a URL.

        Args:
            url: An absolute URL. One without a host, or one that cannot be read, may have nothing.
        """
        end = url.find("/", _BEHIND_SCHEME)
        origin = url[:end] if end > 0 and url.startswith(_SCHEMES) else url
        share = self._shares.get(origin)
        if share is None:
            share = self._judge(_host_of(url))
            # An origin with a user's name and password in it is not kept.
            if "@" not in origin:
                if len(self._shares) >= _MOST_HOSTS:
                    self._shares.clear()
                self._shares[origin] = share
        return share

    def denies(self, url: str) -> bool:
        """
        Tell whether the host of a URL is on the deny list.

        >>> HostPolicy(Settings(deny_hosts="payments")).denies("http://payments/")
        True
        """
        name = _host_of(url).lower().removesuffix(".")
        return self._denied.contain(name, _address(name))

    def share_of_host(self, host: str) -> Share:
        """
        Judge a host alone, as it stands in a ``Host`` header, with or without a port.

        >>> HostPolicy(Settings()).share_of_host("reviews:9080") == Share.MESH
        True
        """
        return self._judge(_host_of(f"//{host}"))

    def _judge(self, host: str) -> Share:
        name = host.lower().removesuffix(".")
        address = _address(name)
        if not name or (address is None and not _labels(name)):
            return Share.NOTHING
        if self._denied.contain(name, address):
            return Share.NOTHING
        in_mesh = self._in_mesh(name, address)
        share = Share.MESH if in_mesh else Share.IDS
        if self._traced is not None and not (
            self._traced.contain(name, address) or (in_mesh and self._traced.mesh)
        ):
            share &= ~Share.IDS
        if self._authorized.contain(name, address):
            share |= Share.AUTHORIZATION
        return share

    def _in_mesh(self, name: str, address: Address | None) -> bool:
        if address is not None:
            if address.is_link_local or address.is_unspecified:
                return False
            private = any(address in network for network in _PRIVATE_NETWORKS)
            return private or self._mesh.contain(name, address)
        return bool(_single_label(name)) or self._mesh.contain(name, None)


class _Hosts:
    """A list of hosts: exact names, suffixes, networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        names = set()
        suffixes = []
        self._networks: list[Network] = []
        self.mesh = False
        for entry in entries:
            if entry == "mesh":
                self.mesh = True
            elif entry.startswith("."):
                suffixes.append(entry)
            else:
                try:
                    self._networks.append(ipaddress.ip_network(entry))
                except ValueError:
                    names.add(entry)
        self._names = frozenset(names)
        self._suffixes = tuple(suffixes)

    def contain(self, name: str, address: Address | None) -> bool:
        if address is not None:
            return any(address in network for network in self._networks)
        return name in self._names or name.endswith(self._suffixes)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address(name: str) -> Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def cluster_domain(resolv_conf: Path = Path("/etc/resolv.conf")) -> str:
    """
    Find the cluster's DNS domain, from the search line that Kubernetes writes.

    >>> cluster_domain(Path("no such file"))
    'cluster.local'
    """
    try:
        lines = resolv_conf.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        word, *domains = line.lower().split() or [""]
        for domain in domains if word == "search" else ():
            if domain.startswith("svc."):
                return domain.removeprefix("svc.").removesuffix(".")
    return "cluster.local"


def say_withheld(url: str, names: Iterable[str]) -> None:
    """Warn, once a host, that fields stayed here: the host is not known to be of the mesh."""
    host = _host_of(url)
    notices.once(
        logging.WARNING,
        ("withheld", host),
        "meshtrace: %s not sent to %s, which is not known to be in the mesh. "
        "If it is: MESHTRACE_MESH_HOSTS=%s",
        ", ".join(sorted(names)),
        host,
        _suggestion(host),
    )


def _suggestion(host: str) -> str:
    first, dot, rest = host.removesuffix(".").partition(".")
    if not dot or _address(host) is not None:
        return host
    if "." not in rest and (rest in _PUBLIC_SUFFIXES or len(rest) == _COUNTRY_CODE_LENGTH):
        return f"{first}.{rest}"
    return f".{rest}"

"""Where a channel of gRPC leads, and what metadata its calls have."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import grpc.aio

from meshtrace import notices
from meshtrace.configuration import Following, resolve
from meshtrace.departure import Departures
from meshtrace.settings import Settings

__all__ = ["Line", "Patched", "authorities", "hosts_of", "target_of"]

_LISTS = ("ipv4", "ipv6")
_SOCKETS = ("unix", "unix-abstract")
_SCHEMES = (*_LISTS, *_SOCKETS, "dns", "vsock", "xds")


class Patched:
    """
    What the channels of patched gRPC have in common.

    Attributes:
        departures: What decides for them; None while it is not patched.
    """

    departures: Departures | None = None


class Line:
    """
    What the calls of one channel may have.

    Args:
        hosts: Where it leads; none where nobody knows.
        settings: The settings of the channel.
        patched: Of a channel of patched gRPC.

    Attributes:
        hosts: As given.
        settings: As given.

    >>> Line(["reviews:9080"], Settings()).relayed(None) is None
    True
    """

    def __init__(
        self, hosts: Iterable[str], settings: Settings, patched: Patched | None = None
    ) -> None:
        self.hosts = tuple(hosts)
        self._urls: tuple[str | None, ...] = tuple(map(_url, self.hosts)) or (None,)
        self._patched: Patched | None
        self.follow(settings)
        self._patched = patched

    def follow(self, settings: Settings) -> None:
        """Set the settings of the channel, which are its own from now on."""
        self.settings = settings
        self._patched = None
        self._departures = Departures("grpc", settings)
        self._resolved = Following(resolve, settings)

    def relayed(self, given: Any) -> Any:  # noqa: ANN401 - metadata of any type
        """
        Give the metadata that a call is to have; never raises.

        Args:
            given: The caller's own, which stay as they are; of another type they are gRPC's own
                error to raise.
        """
        departures = self._departures if self._patched is None else self._patched.departures
        is_metadata = given is None or isinstance(given, (list, tuple, grpc.aio.Metadata))
        if departures is None or not is_metadata:
            return given
        try:
            return self._with_ours(given, departures)
        except Exception:  # noqa: BLE001 - the call must go on
            notices.fault("adding metadata to a call of grpc")
            return given

    def attempt(self, method: str | bytes | None) -> Any:  # noqa: ANN401 - a span, or None
        """Begin the span of a call, if it is to have one."""
        departures = self._departures if self._patched is None else self._patched.departures
        if departures is None or method is None or not departures.rules.value.spans:
            return None
        return departures.attempt_rpc(method, self.hosts[0] if self.hosts else None)

    def _with_ours(self, given: Any, departures: Departures) -> Any:  # noqa: ANN401 - metadata of any type
        if not self.hosts and self._resolved.value.deny_hosts:
            # It may be one of them.
            return given
        pairs = tuple(given or ())
        carrier = dict(pairs)
        # It may lead to any of them: what is sent is what all of them may have.
        sent, *others = [departures.decide(carrier, url) for url in self._urls]
        fields = [pair for pair in sent.fields if all(pair in other.fields for other in others)]
        if not fields and not sent.dropped:
            return given
        gone = {name for name in sent.replaced if all(name in one.replaced for one in others)}
        gone |= {*sent.dropped}
        metadata = [*(pair for pair in pairs if pair[0] not in gone), *fields]
        if isinstance(given, list):
            return metadata
        return tuple(metadata) if isinstance(given, tuple | None) else grpc.aio.Metadata(*metadata)


def hosts_of(target: str | bytes | None) -> list[str]:
    """
    Give the hosts that a target names; several may serve it, and a socket is this very host.

    Args:
        target: A target (gRPC Name Resolution, "Name Syntax"), or None where it is not known.

    >>> hosts_of("dns:///reviews:9080"), hosts_of("ipv4:10.0.0.1:80,10.0.0.2:80")
    (['reviews:9080'], ['10.0.0.1:80', '10.0.0.2:80'])
    """
    if target is None:
        return []
    text = target.decode() if isinstance(target, bytes) else target
    scheme, _, rest = text.partition(":")
    if rest.startswith("//"):
        # Between the slashes is who resolves it.
        rest = rest[2:].partition("/")[2]
    elif scheme not in _SCHEMES:
        return [text]
    if scheme in _SOCKETS:
        return ["localhost"]
    return rest.split(",") if scheme in _LISTS else [rest]


def authorities(options: Iterable[tuple[str, Any]] | None) -> Iterator[str]:
    """
    Give the names under which a channel's options present the other end.

    >>> [*authorities([("grpc.default_authority", "reviews")])]
    ['reviews']
    """
    for name, value in options or ():
        if name == "grpc.default_authority":
            yield value.decode() if isinstance(value, bytes) else value


def target_of(channel: object) -> str | bytes | None:
    """
    Ask a channel for its target.

    There is no public way: it is ``target()`` of what the channel, or the innermost of those that
    intercept it, keeps as ``_channel``. None where that is not so.
    """
    while channel is not None:
        target = getattr(channel, "target", None)
        if callable(target):
            found = target()
            return found if isinstance(found, str | bytes) else None
        channel = getattr(channel, "_channel", None)
    return None


def _url(host: str) -> str:
    is_bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    return f"http://[{host}]/" if is_bare_ipv6 else f"http://{host}/"

"""Which hosts a target of gRPC names."""

import grpc
import pytest

import meshtrace
from meshtrace.outbound.grpc.lines import Line, authorities, hosts_of, target_of
from meshtrace.settings import Settings
from tests.outbound.recording import IDS, W3C


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        pytest.param("reviews:9080", ["reviews:9080"], id="a host and a port"),
        pytest.param("reviews", ["reviews"], id="a host"),
        pytest.param(b"reviews:9080", ["reviews:9080"], id="in bytes"),
        pytest.param("dns:reviews:9080", ["reviews:9080"], id="by DNS"),
        pytest.param("dns:///reviews.default.svc:9080", ["reviews.default.svc:9080"], id="a URI"),
        pytest.param("dns://8.8.8.8/reviews:9080", ["reviews:9080"], id="by one name server"),
        pytest.param("xds:///reviews:9080", ["reviews:9080"], id="by xDS"),
        pytest.param("consul://local/reviews", ["reviews"], id="by a resolver that is not gRPC's"),
        pytest.param("ipv4:10.0.0.1:80,10.0.0.2", ["10.0.0.1:80", "10.0.0.2"], id="addresses"),
        pytest.param("ipv6:[fd00::1]:80,[fd00::2]", ["[fd00::1]:80", "[fd00::2]"], id="IPv6"),
        pytest.param("[fd00::1]:80", ["[fd00::1]:80"], id="an address of IPv6"),
        pytest.param("unix:/run/x.sock", ["localhost"], id="a socket"),
        pytest.param("unix:///run/x.sock", ["localhost"], id="a socket by its URI"),
        pytest.param("unix-abstract:x", ["localhost"], id="an abstract socket"),
        pytest.param("", [""], id="nothing"),
        pytest.param(None, [], id="not known"),
    ],
)
def test_the_hosts_of_a_target(target: str | bytes | None, hosts: list[str]) -> None:
    """A target names these hosts."""
    assert hosts == hosts_of(target)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param(["reviews:9080"], W3C, id="of the mesh"),
        pytest.param(["fd00::1"], W3C, id="an address of IPv6 without brackets"),
        pytest.param(["[fd00::1]:80"], W3C, id="an address of IPv6 with brackets"),
        pytest.param(["shop.example"], {"traceparent": W3C["traceparent"]}, id="outside the mesh"),
        pytest.param([""], {}, id="a target without a host"),
        pytest.param(["reviews", "denied"], {}, id="one of two is denied"),
    ],
)
def test_what_hosts_get(hosts: list[str], expected: dict[str, str]) -> None:
    """Hosts get what each of them may have."""
    with meshtrace.use(W3C):
        assert expected == dict(Line(hosts, Settings(deny_hosts="denied")).relayed(None) or ())


def test_what_is_replaced_for_several_hosts() -> None:
    """What the caller set is taken off where ours goes to all of them, and stays otherwise."""
    line = Line(["reviews", "shop.example"], Settings(on_conflict="replace"))
    own = [("sw8", "own"), ("x-request-id", "own")]
    with meshtrace.use({**IDS, "sw8": "1-dGVzdA==-dGVzdA==-0-c3Zj-aW5z-L2E=-YQ=="}):
        assert {**IDS, "sw8": "own"} == dict(line.relayed(own))


def test_the_authorities() -> None:
    """The name under which the other end is called is an option of the channel."""
    options = [("grpc.max_send_message_length", 1), ("grpc.default_authority", "reviews")]
    assert ["reviews"] == [*authorities(options)]
    assert [] == [*authorities(None)]


class _Strange:
    """What has a target of another kind."""

    def target(self) -> object:
        """Give no text."""
        return self


def test_the_target_of_a_channel() -> None:
    """A channel tells its target, also through interceptors; what is strange has none."""
    with grpc.insecure_channel("dns:///reviews:9080") as channel:
        assert b"dns:///reviews:9080" == target_of(channel)
    assert None is target_of(_Strange())
    assert None is target_of(object())

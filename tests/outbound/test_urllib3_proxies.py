"""urllib3 through proxies: the target is judged, and the proxy itself learns nothing."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import InsecureRequestWarning

import meshtrace
from tests.outbound.recording import ALL, IDS, VENDOR_DATA, Answer, Recorder, redirect

WITHOUT_USER_DATA = {**IDS, **VENDOR_DATA}


class Plain(HTTPConnection):
    """A connection that is as good as one of TLS, but for the TLS."""

    def __init__(self, host: str, port: int, **options: Any) -> None:  # noqa: ANN401 - urllib3's own
        names = {"timeout", "proxy", "proxy_config"} & options.keys()
        super().__init__(host, port, **{name: options[name] for name in names})


class Terminating(HTTPSConnectionPool):
    """A pool that sends what is meant for https in plain text through the tunnel."""

    ConnectionCls = Plain  # type: ignore[assignment]  # it is as good as one


@pytest.fixture(params=["wrapped", "patched"])
def manager(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[ProxyManager]:
    """Give a manager that relays through a proxy, whose host is denied."""
    meshtrace.configure(forward=["end-user", "baggage"], deny_hosts="proxy")
    # Without it, http.server closes the connection of an HTTP/1.0 request.
    kept = {"Connection": "keep-alive"}
    assert [] == recorder.received
    with ProxyManager("http://proxy:3128", proxy_headers=kept) as manager:
        manager.pool_classes_by_scheme = {"http": HTTPConnectionPool, "https": Terminating}
        if request.param == "wrapped":
            meshtrace.wrap(manager)
        else:
            meshtrace.patch("urllib3", "http.client")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)
            yield manager


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("reviews", ALL, id="to the mesh"),
        pytest.param("shop.example", IDS, id="outside"),
        pytest.param("proxy", {}, id="a denied host"),
    ],
)
class TestJudged:
    """What a target gets."""

    def test_forwarded(
        self, host: str, expected: dict[str, str], manager: ProxyManager, recorder: Recorder
    ) -> None:
        """What a proxy forwards is judged by the URL that it is given."""
        with meshtrace.use(ALL):
            manager.request("GET", f"http://{host}/path")
        assert ["proxy"] == recorder.looked_up
        assert [f"http://{host}/path"] == [received.path for received in recorder.received]
        assert [expected] == recorder.relayed

    def test_through_a_tunnel(
        self, host: str, expected: dict[str, str], manager: ProxyManager, recorder: Recorder
    ) -> None:
        """What goes through a tunnel is judged by its end; what opens it has nothing of ours."""
        recorder.answers[f"{host}:443"] = [Answer(body=b"")]
        with meshtrace.use(ALL):
            manager.request("GET", f"https://{host}/path")
        assert ["proxy"] == recorder.looked_up
        assert [("CONNECT", f"{host}:443"), ("GET", "/path")] == [
            (received.method, received.path) for received in recorder.received
        ]
        assert [{}, expected] == recorder.relayed


def test_a_chain_of_redirects(manager: ProxyManager, recorder: Recorder) -> None:
    """A chain through a proxy remembers that it has left the mesh."""
    recorder.answers["http://reviews/0"] = [redirect("http://shop.example/1")]
    recorder.answers["http://shop.example/1"] = [redirect("http://reviews/2")]
    with meshtrace.use(ALL):
        manager.request("GET", "http://reviews/0")
    assert [ALL, IDS, WITHOUT_USER_DATA] == recorder.relayed


def test_the_proxys_own_headers(recorder: Recorder) -> None:
    """What the caller has every request to the proxy carry wins."""
    own = {"X-Request-Id": "own"}
    with ProxyManager("http://proxy:3128", headers=own, proxy_headers={"X-Proxy": "1"}) as manager:
        meshtrace.wrap(manager)
        with meshtrace.use(IDS):
            manager.request("GET", "http://reviews/")
        assert own == manager.headers
    assert [{**IDS, "x-request-id": "own", "x-proxy": "1"}] == recorder.relayed

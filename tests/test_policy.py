"""Which host may have what, and that the host judged is the host that is called."""

import logging
import socket
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from meshtrace import Settings, policy
from meshtrace.policy import HostPolicy, Share, cluster_domain, say_withheld
from meshtrace.settings import Options

MESH = Share.MESH
IDS = Share.IDS
NOTHING = Share.NOTHING


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge as in a cluster with the usual domain, whatever this machine's is."""
    monkeypatch.setattr(policy, "cluster_domain", lambda: "cluster.local")


def _share(url: str, **options: object) -> Share:
    return HostPolicy(Settings(**options)).share(url)  # type: ignore[arg-type]  # passed on


KNOWN_BY_FORM = [
    pytest.param("http://reviews/", MESH, id="a single label is a Service"),
    pytest.param("http://reviews:9080/reviews/0?a=b#c", MESH, id="with a port, a path, a query"),
    pytest.param("http://reviews", MESH, id="without a path"),
    pytest.param("http://reviews?a=/b", MESH, id="with a query and no path"),
    pytest.param("http://reviews#a/b", MESH, id="with a fragment and no path"),
    pytest.param("https://reviews-v2_x/", MESH, id="with dashes and underscores"),
    pytest.param("HTTP://REVIEWS/", MESH, id="in upper case"),
    pytest.param("http://reviews./", MESH, id="with a trailing dot"),
    pytest.param("grpc://reviews/", MESH, id="in another scheme"),
    pytest.param("http://jason:secret@reviews/", MESH, id="with a user's name and password"),
    pytest.param("http://r2d2/", MESH, id="a label with digits behind its first letter"),
    pytest.param("http://evilsvc/", MESH, id="a label that happens to end like one"),
    pytest.param("http://localhost:5000/", MESH, id="localhost"),
    pytest.param("http://127.0.0.1/", MESH, id="127/8: its first address"),
    pytest.param("http://127.255.0.9/", MESH, id="127/8: any address"),
    pytest.param("http://[::1]/", MESH, id="::1"),
    pytest.param("http://[::1]:80/", MESH, id="::1 with a port"),
    pytest.param("http://reviews.default.svc/", MESH, id="*.svc"),
    pytest.param("http://a.b.reviews.default.svc/", MESH, id="*.svc, of any depth"),
    pytest.param("http://Reviews.Default.SVC./", MESH, id="*.svc in upper case with a dot"),
    pytest.param("http://reviews.default.svc.cluster.local/", MESH, id="*.svc.<cluster domain>"),
    pytest.param("http://reviews.default.svc.cluster.local./", MESH, id="the same with a dot"),
    pytest.param("http://10.1.2.3/", MESH, id="10/8"),
    pytest.param("http://172.16.0.1/", MESH, id="172.16/12: its first"),
    pytest.param("http://172.31.255.254/", MESH, id="172.16/12: its last"),
    pytest.param("http://192.168.1.1/", MESH, id="192.168/16"),
    pytest.param("http://100.64.0.1/", MESH, id="100.64/10, as some clusters have it"),
    pytest.param("http://[fd00::1]/", MESH, id="fc00::/7"),
    pytest.param("http://[::ffff:10.0.0.1]/", MESH, id="a private IPv4 address, mapped"),
    pytest.param("http://[::ffff:a00:1]/", MESH, id="the same in hexadecimal"),
    pytest.param("http://[fd00::1%25eth0]/", MESH, id="a private address with a zone"),
]
OUTSIDE = [
    pytest.param("https://api.example.com/", IDS, id="a public name"),
    pytest.param("http://reviews.prod/", IDS, id="<service>.<namespace> is not known by its form"),
    pytest.param("http://shop.dev/", IDS, id="a name under a public domain"),
    pytest.param("http://svc.example/", IDS, id="svc in another place"),
    pytest.param("http://reviews.evilsvc/", IDS, id="a label that only ends in svc"),
    pytest.param("http://reviews.svc.example.com/", IDS, id="*.svc of another domain"),
    pytest.param("http://reviews.svc.cluster.local.example/", IDS, id="the domain in the middle"),
    pytest.param("http://reviews.svc.evilcluster.local/", IDS, id="a longer label of the domain"),
    pytest.param("http://cluster.local/", IDS, id="the cluster domain itself"),
    pytest.param("http://reviews.cluster.local/", IDS, id="the cluster domain without svc"),
    pytest.param("http://reviews@evil.com/", IDS, id="a mesh host as the user's name"),
    pytest.param(
        "http://reviews:80@evil.com/", IDS, id="a mesh host and port as name and password"
    ),
    pytest.param("http://evil.com/http://reviews/", IDS, id="a mesh host in the path"),
    pytest.param("http://evil.com?@reviews/", IDS, id="a mesh host in the query"),
    pytest.param("http://evil.com#@reviews/", IDS, id="a mesh host in the fragment"),
    pytest.param("http://8.8.8.8/", IDS, id="a public address"),
    pytest.param("http://134744072/", IDS, id="8.8.8.8 as a decimal number"),
    pytest.param("http://167772161/", IDS, id="10.0.0.1 as a decimal number"),
    pytest.param("http://0x08080808/", IDS, id="8.8.8.8 in hexadecimal"),
    pytest.param("http://0x8.0x8.0x8.0x8/", IDS, id="8.8.8.8 in hexadecimal parts"),
    pytest.param("http://010.010.010.010/", IDS, id="8.8.8.8 in octal: not 10.10.10.10"),
    pytest.param("http://8.8.2056/", IDS, id="8.8.8.8 in three parts"),
    pytest.param("http://127.1/", IDS, id="127.0.0.1 in short is not known by its form"),
    pytest.param("http://3scale/", IDS, id="a label that begins with a digit"),
    pytest.param("http://-reviews/", IDS, id="a label that begins with a dash"),
    pytest.param("http://172.32.0.1/", IDS, id="behind 172.16/12"),
    pytest.param("http://100.128.0.1/", IDS, id="behind 100.64/10"),
    pytest.param("http://192.0.2.1/", IDS, id="for documentation, which is_private takes in"),
    pytest.param("http://169.254.169.254/", IDS, id="link-local: a cloud's metadata"),
    pytest.param("http://[fe80::1]/", IDS, id="link-local in IPv6"),
    pytest.param("http://[fe80::1%25eth0]/", IDS, id="link-local with a zone"),
    pytest.param("http://[::ffff:169.254.169.254]/", IDS, id="link-local, mapped"),
    pytest.param("http://0.0.0.0/", IDS, id="the address of no host"),
    pytest.param("http://0/", IDS, id="0.0.0.0 in short"),
    pytest.param("http://[::]/", IDS, id="::"),
    pytest.param("http://[::ffff:0.0.0.0]/", IDS, id="0.0.0.0, mapped"),
    pytest.param("http://[::ffff:8.8.8.8]/", IDS, id="a public IPv4 address, mapped"),
    pytest.param("http://[::10.0.0.1]/", IDS, id="a private one in an obsolete form"),
    pytest.param("http://[2001:db8::1]/", IDS, id="a public IPv6 address"),
    pytest.param("http://xn--bcher-kva.example/", IDS, id="a name in punycode"),
]
UNREADABLE = [
    pytest.param("", NOTHING, id="nothing"),
    pytest.param("reviews", NOTHING, id="no scheme"),
    pytest.param("reviews:9080/0", NOTHING, id="a host and port without a scheme"),
    pytest.param("/reviews/0", NOTHING, id="a path"),
    pytest.param("http://", NOTHING, id="a scheme alone"),
    pytest.param("http:///reviews", NOTHING, id="no host before the path"),
    pytest.param("http://:80/", NOTHING, id="a port alone"),
    pytest.param("http://@/", NOTHING, id="a user's name alone"),
    pytest.param("http://[::1/", NOTHING, id="half a bracket"),
    pytest.param("http://[reviews]/", NOTHING, id="brackets round no address"),
    pytest.param("http://./", NOTHING, id="a dot"),
    pytest.param("http://reviews../", NOTHING, id="two trailing dots"),
    pytest.param("http://.reviews/", NOTHING, id="a dot in front"),
    pytest.param("http://a..svc/", NOTHING, id="an empty label"),
    pytest.param("http://rev iews/", NOTHING, id="a blank"),
    pytest.param("http://%72eviews/", NOTHING, id="a letter that is encoded"),
    pytest.param("http://reviews%00.evil.com/", NOTHING, id="an encoded null"),
    pytest.param("http://reviews,evil.com/", NOTHING, id="a comma"),
    pytest.param("http://reviews;evil.com/", NOTHING, id="a semicolon"),
    pytest.param("http://reviews\\@evil.com/", NOTHING, id="a backslash behind a mesh host"),
    pytest.param("http://evil.com\\@reviews/", NOTHING, id="a backslash before a mesh host"),
    pytest.param("http://reviews\\/", NOTHING, id="a backslash at the end"),
    pytest.param("http://bücher.example/", NOTHING, id="letters that are not encoded yet"),
    pytest.param("http://\uff52eviews/", NOTHING, id="a letter that looks alike"),
    pytest.param("http://reviews。svc/", NOTHING, id="a dot that looks alike"),
    pytest.param("http://reviews\u200b/", NOTHING, id="a blank that is not seen"),
    pytest.param("http+unix://%2Frun%2Fdocker.sock/info", NOTHING, id="a socket's path"),
    pytest.param("file:///etc/hosts", NOTHING, id="a file"),
    pytest.param("mailto:jason@reviews", NOTHING, id="an address for mail"),
]


@pytest.mark.parametrize(("url", "share"), [*KNOWN_BY_FORM, *OUTSIDE, *UNREADABLE])
def test_a_host_by_its_form(url: str, share: Share) -> None:
    """Without settings, a host is known by its form; the others get the ids; no host, nothing."""
    assert share == _share(url)


SETTINGS = [
    pytest.param("http://reviews.prod/", {"mesh_hosts": ".prod"}, MESH, id="a suffix"),
    pytest.param("http://a.b.prod/", {"mesh_hosts": ".prod"}, MESH, id="a suffix, at any depth"),
    pytest.param("http://reviews.PROD./", {"mesh_hosts": "*.prod"}, MESH, id="a suffix with *"),
    pytest.param("http://reviews.notprod/", {"mesh_hosts": ".prod"}, IDS, id="whole labels only"),
    pytest.param("http://corp.example/", {"mesh_hosts": ".corp.example"}, IDS, id="not its root"),
    pytest.param("http://corp.example/", {"mesh_hosts": "corp.example"}, MESH, id="an exact name"),
    pytest.param(
        "http://a.corp.example/", {"mesh_hosts": "corp.example"}, IDS, id="exact is exact"
    ),
    pytest.param("http://20.1.2.3/", {"mesh_hosts": "20.1.0.0/16"}, MESH, id="a network"),
    pytest.param("http://20.2.2.3/", {"mesh_hosts": "20.1.0.0/16"}, IDS, id="beside a network"),
    pytest.param("http://20.1.2.3/", {"mesh_hosts": "20.1.2.3"}, MESH, id="an address"),
    pytest.param(
        "http://[::ffff:20.1.2.3]/", {"mesh_hosts": "20.1.2.3"}, MESH, id="an address, mapped"
    ),
    pytest.param("http://[2001:db8::7]/", {"mesh_hosts": "2001:db8::/32"}, MESH, id="in IPv6"),
    pytest.param(
        "http://[2001:0DB8:0::7]/", {"mesh_hosts": "2001:db8::7"}, MESH, id="spelled otherwise"
    ),
    pytest.param("http://3scale/", {"mesh_hosts": "3scale"}, MESH, id="a label with a digit"),
    pytest.param(
        "http://169.254.169.254/", {"mesh_hosts": "169.254.0.0/16"}, IDS, id="never link-local"
    ),
    pytest.param("http://0.0.0.0/", {"mesh_hosts": "0.0.0.0/0"}, IDS, id="never 0.0.0.0"),
    pytest.param(
        "http://a.svc.corp.example/", {"cluster_domain": "corp.example"}, MESH, id="another domain"
    ),
    pytest.param(
        "http://a.svc.cluster.local/", {"cluster_domain": "corp.example"}, IDS, id="and only that"
    ),
    pytest.param("http://reviews/", {"deny_hosts": "reviews"}, NOTHING, id="deny: a name"),
    pytest.param("http://REVIEWS.:80/", {"deny_hosts": "Reviews"}, NOTHING, id="deny: any case"),
    pytest.param("http://mesh/", {"deny_hosts": "mesh"}, NOTHING, id="deny: a host called mesh"),
    pytest.param("http://a.example/", {"deny_hosts": ".example"}, NOTHING, id="deny: a suffix"),
    pytest.param("http://10.1.2.3/", {"deny_hosts": "10.0.0.0/8"}, NOTHING, id="deny: a network"),
    pytest.param(
        "http://[::ffff:10.1.2.3]/", {"deny_hosts": "10.1.2.3"}, NOTHING, id="deny: mapped"
    ),
    pytest.param(
        "http://10.1.2.3/", {"deny_hosts": "::ffff:10.1.2.3"}, NOTHING, id="deny: named as mapped"
    ),
    pytest.param(
        "http://[fe80::1%25eth0]/", {"deny_hosts": "fe80::1"}, NOTHING, id="deny: in each zone"
    ),
    pytest.param(
        "http://pay/",
        {
            "deny_hosts": "pay",
            "mesh_hosts": "pay",
            "trace_hosts": "pay",
            "authorization_hosts": "pay",
        },
        NOTHING,
        id="deny beats all",
    ),
    pytest.param("http://a.example/", {"trace_hosts": "mesh"}, NOTHING, id="ids for the mesh only"),
    pytest.param("http://reviews/", {"trace_hosts": "mesh"}, MESH, id="ids for the mesh: the mesh"),
    pytest.param(
        "http://a.prod/", {"trace_hosts": "mesh", "mesh_hosts": ".prod"}, MESH, id="named as mesh"
    ),
    pytest.param("http://a.example/", {"trace_hosts": ".example"}, IDS, id="ids for a suffix"),
    pytest.param("http://8.8.8.8/", {"trace_hosts": "8.0.0.0/8"}, IDS, id="ids for a network"),
    pytest.param(
        "http://reviews/",
        {"trace_hosts": ".example"},
        Share.VENDOR_DATA | Share.USER_DATA,
        id="ids for a list: a mesh host that is not on it",
    ),
    pytest.param(
        "http://reviews/", {"trace_hosts": ["mesh", ".example"]}, MESH, id="mesh and a list: mesh"
    ),
    pytest.param(
        "http://a.example/", {"trace_hosts": ["mesh", ".example"]}, IDS, id="mesh and a list: list"
    ),
    pytest.param(
        "http://mesh.example/", {"trace_hosts": "mesh"}, NOTHING, id="mesh is no part of a name"
    ),
    pytest.param(
        "http://orders/",
        {"authorization_hosts": "orders"},
        MESH | Share.AUTHORIZATION,
        id="authorization: a mesh host that is named",
    ),
    pytest.param(
        "https://api.example.com/",
        {"authorization_hosts": "api.example.com"},
        IDS | Share.AUTHORIZATION,
        id="authorization: another host that is named",
    ),
    pytest.param("http://reviews/", {"authorization_hosts": "orders"}, MESH, id="no authorization"),
    pytest.param(
        "https://a.api.example.com/",
        {"authorization_hosts": "api.example.com"},
        IDS,
        id="authorization: exact is exact",
    ),
]


@pytest.mark.parametrize(("url", "options", "share"), SETTINGS)
def test_a_host_by_settings(url: str, options: Options, share: Share) -> None:
    """Settings name hosts by exact name, by whole labels from the right, or by network."""
    assert share == _share(url, **options)


def test_the_cluster_domain_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting, the domain is the machine's."""
    monkeypatch.setattr(policy, "cluster_domain", lambda: "corp.example")
    assert [MESH, IDS] == [
        _share(url) for url in ("http://a.svc.corp.example/", "http://a.svc.cluster.local/")
    ]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        pytest.param(
            "search default.svc.k8s.example svc.k8s.example k8s.example\nnameserver 10.0.0.10\n",
            "k8s.example",
            id="as Kubernetes writes it",
        ),
        pytest.param("search a.svc.B.Example. SVC.B.Example.", "b.example", id="case and dots"),
        pytest.param("nameserver ::1\nsearch\tsvc.a.example", "a.example", id="a tab"),
        pytest.param("search corp.example example", "cluster.local", id="no cluster's"),
        pytest.param("search svc. svc svcs.example", "cluster.local", id="nothing behind svc"),
        pytest.param("domain svc.a.example", "cluster.local", id="another line"),
        pytest.param("# search svc.a.example", "cluster.local", id="a comment"),
        pytest.param("", "cluster.local", id="empty"),
        pytest.param("search", "cluster.local", id="a line without domains"),
        pytest.param("\xff\xfe\n\nsearch svc.a.example", "a.example", id="bytes that are no text"),
    ],
)
def test_reading_the_cluster_domain(text: str, domain: str, tmp_path: Path) -> None:
    """The domain is read from the search line that Kubernetes writes, else it is the usual one."""
    path = tmp_path / "resolv.conf"
    path.write_bytes(text.encode("latin-1"))
    assert domain == cluster_domain(path)


def test_no_resolv_conf(tmp_path: Path) -> None:
    """Without the file, or where it cannot be read, the domain is the usual one."""
    assert ["cluster.local"] * 2 == [cluster_domain(tmp_path / "none"), cluster_domain(tmp_path)]


def test_who_is_denied() -> None:
    """A denied host is told apart from one that merely gets nothing."""
    hosts = HostPolicy(Settings(deny_hosts=".example", trace_hosts="mesh"))
    assert [True, False, False, False] == [
        hosts.judge(url).denied
        for url in ("http://a.example/", "http://a.test/", "http://reviews/", "nothing")
    ]


def test_the_cache_does_not_grow_without_end() -> None:
    """Judging ever new hosts takes no more memory than judging many."""
    hosts = HostPolicy(Settings())

    def judge(numbers: range) -> None:
        for number in numbers:
            hosts.share(f"http://host-{number:08}.example:9080/")
            hosts.share(f"http://host.example?{number:08}")

    judge(range(2000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        judge(range(2000, 6000))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 400_000


USERS = ["", "reviews@", "reviews:80@", "evil.com\\@", "reviews%40", "a@b@", "reviews\\@", ":@"]
HOSTS = [
    *("reviews", "REVIEWS", "reviews.", "reviews..", "a.svc", "a.SVC.", "a.svc.cluster.local"),
    *("evil.com", "a.evilsvc", "xn--bcher-kva.example", "bücher.example", "BÜCHER.example"),
    *(
        "10.0.0.1",
        "8.8.8.8",
        "134744072",
        "0x7f.1",
        "127.1",
        "010.8.8.8",
        "0",
        "1.2.3.4.",
        "\uff11.1.1.1",
    ),
    *("[::1]", "[::ffff:10.0.0.1]", "[::FFFF:A00:1]", "[fe80::1%25eth0]", "[fd00::1%eth0]"),
    *("[::1].evil.com", "[::1]evil.com", "evil.com[::1]", "[reviews]", "[v1.x]", "[::1"),
    *(
        "\uff52eviews",
        "ⓡeviews",
        "reviews。svc",
        "a\u2024svc",
        "ß.example",
        "reviews\u200b",
        "\u017fvc",
    ),
    *("%72eviews", "reviews%2eevil.com", "reviews%00", "rev iews", "rev\tiews", "reviews\n"),
    *("reviews,evil.com", "*.svc", ".svc", "-a.svc", "a_b", "", ".", "reviews\\", "\\reviews"),
]
BEHIND = ["", ":80", ":", ":x", ":99999", "\\", "%", "@evil.com", "#@evil.com", "?@evil.com", " "]
PATHS = ["", "/", "/@reviews/", "//reviews/", "\\@reviews/", "/..//evil.com", ";a", "?b=/c", "#/d"]
URLS = st.one_of(
    st.builds(
        "{}{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "HTTP://", "http:///", "http:/", " http://", "//"]),
        st.sampled_from(USERS),
        st.sampled_from(HOSTS),
        st.sampled_from(BEHIND),
        st.sampled_from(PATHS),
    ),
    st.text(max_size=20).map(lambda text: f"http://{text}"),
    st.text("reviews.com0:/?#@\\[]%\t ", max_size=20).map(lambda text: f"http://{text}"),
)
POLICY = HostPolicy(Settings(deny_hosts="evil.com", trace_hosts=["mesh", "8.8.8.8"]))


@pytest.fixture(scope="module")
def looked_up() -> Iterator[list[str]]:
    """Collect the names of the hosts that would be connected to."""
    names: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> None:
        names.append(host)
        raise socket.gaierror

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setenv("NO_PROXY", "*")
        yield names


def _connected(prepared: requests.PreparedRequest, looked_up: list[str]) -> str | None:
    """Give the host that requests would connect to, as one writes it in a URL."""
    looked_up.clear()
    with requests.Session() as session, pytest.raises((requests.RequestException, ValueError)):
        session.send(prepared)
    for host in looked_up:
        return f"[{host}]" if ":" in host else host
    return None


@given(URLS)
@example("http://reviews\\@evil.com/")
@example("http://evil.com\\@reviews/")
@example("http://\uff52eviews/")
def test_the_host_judged_is_the_host_called(looked_up: list[str], url: str) -> None:
    """Of whatever URL requests prepares, the host that it would connect to is the one judged."""
    try:
        prepared = requests.Request("GET", url).prepare()
    except (requests.RequestException, ValueError):
        return
    host = _connected(prepared, looked_up)
    share = POLICY.share(prepared.url or "")
    if host is not None:
        assert POLICY.share(f"http://{host}/") == share
    assert share == HostPolicy(
        Settings(deny_hosts="evil.com", trace_hosts=["mesh", "8.8.8.8"])
    ).share(prepared.url or "")


@given(URLS)
@example("http://evil.com\\@reviews/")
@example("//reviews\\@evil.com/")
def test_the_host_judged_is_the_host_a_redirect_leads_to(looked_up: list[str], url: str) -> None:
    """Of whatever URL a redirect names, the host that requests connects to is the one judged."""
    response = requests.Response()
    response.status_code, response.url, response.raw = 302, "http://shop.example/", None
    response.headers["location"] = url
    response._content = b""  # noqa: SLF001 - it was read
    response.request = requests.Request("GET", "http://shop.example/").prepare()
    with requests.Session() as session:
        chain = session.resolve_redirects(response, response.request, yield_requests=True)
        try:
            hop = next(chain, None)
        except (requests.RequestException, ValueError):
            return
    if not isinstance(hop, requests.PreparedRequest):
        return
    host = _connected(hop, looked_up)
    if host is not None:
        assert POLICY.share(hop.url or "") == POLICY.share(f"http://{host}/")


@given(URLS)
@example("http://evil.com\\@reviews/")
def test_no_more_than_another_reader_of_urls_would_say(url: str) -> None:
    """A host that urllib3 reads in a raw URL never gets more than it may have."""
    try:
        host = parse_url(url).host
    except LocationParseError:
        return
    if host is not None and "://" in url:
        assert POLICY.share(url) in (NOTHING, POLICY.share(f"http://{host}/"))


BY_DEFAULT = HostPolicy(Settings())


class TestWhatIsSaid:
    """A host outside the mesh is named with the text to paste."""

    @pytest.mark.parametrize(
        ("url", "paste"),
        [
            pytest.param("http://reviews.prod/", ".prod", id="a namespace: all of it"),
            pytest.param("http://a.b.corp/x?y", ".b.corp", id="a deeper one: all beside it"),
            pytest.param("http://API.Corp:80/", ".corp", id="without case and port"),
            pytest.param("http://jason:secret@a.prod/", ".prod", id="without the user's name"),
            pytest.param("http://shop.dev/", "shop.dev", id="under a public domain: itself"),
            pytest.param("http://b.s3.amazonaws.com/", "b.s3.amazonaws.com", id="a public cloud"),
            pytest.param("http://shop.co.uk/", "shop.co.uk", id="under a country's: itself"),
            pytest.param("http://20.1.2.3/", "20.1.2.3", id="an address: itself"),
            pytest.param("http://[2001:db8::1]/", "2001:db8::1", id="an IPv6 address: itself"),
            pytest.param("http://3scale/", "3scale", id="a label with a digit: itself"),
        ],
    )
    def test_what_to_paste(self, url: str, paste: str, caplog: pytest.LogCaptureFixture) -> None:
        """What is to be pasted takes in the host, and where that is safe its neighbours."""
        say_withheld(BY_DEFAULT.judge(url).host, {"sw8", "end-user"})
        (record,) = caplog.records
        said, _, text = record.getMessage().rpartition("MESHTRACE_MESH_HOSTS=")
        assert (paste, logging.WARNING) == (text, record.levelno)
        assert said.startswith("meshtrace: end-user, sw8 not sent to ")
        assert "secret" not in record.getMessage()
        assert MESH == _share(url, mesh_hosts=text)

    def test_what_is_set_stays(self, caplog: pytest.LogCaptureFixture) -> None:
        """What is to be pasted keeps the hosts that are set already."""
        say_withheld("reviews.prod", ["sw8"], (".corp", "10.20.0.0/16"))
        (said,) = caplog.messages
        assert said.endswith("If it is: MESHTRACE_MESH_HOSTS=.corp,10.20.0.0/16,.prod")

    @pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0"])  # noqa: S104 - not bound to
    def test_what_is_never_in_a_mesh(self, host: str, caplog: pytest.LogCaptureFixture) -> None:
        """Where no setting would help, none is named."""
        say_withheld(BY_DEFAULT.judge(f"http://{host}/").host, ["sw8"])
        assert [f"meshtrace: sw8 not sent to {host.strip('[]')}, which is never in a mesh"] == (
            caplog.messages
        )

    def test_once_a_host(self, caplog: pytest.LogCaptureFixture) -> None:
        """A host is named once, in whichever URL and spelling it comes."""
        for url in ("http://a.prod/", "http://A.prod.:80/x", "https://b.prod/", "nothing", ""):
            say_withheld(BY_DEFAULT.judge(url).host, ["sw8"])
        assert 3 == len(caplog.records)

    def test_nothing_to_say(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where nothing stayed here, nothing is said; where it was said, nobody is asked again."""
        say_withheld("a.prod", [])
        assert [] == caplog.messages
        names = iter(["sw8", "end-user"])
        for _ in range(2):
            say_withheld("a.prod", islice(names, 1))
        assert ["end-user"] == [*names]


@pytest.mark.parametrize(
    "host", ["2130706441", "0x7f000009", "127.9", "127.0.0.011", "10.9.1", "0xa090001"]
)
def test_an_address_is_denied_in_every_spelling(host: str) -> None:
    """Resolvers take an address in other bases and with parts left out."""
    hosts = HostPolicy(Settings(deny_hosts="127.0.0.9,10.9.0.0/16"))
    assert (host, True, Share.NOTHING) == hosts.judge(f"http://{host}/")


@pytest.mark.parametrize("host", ["127.0.0.1.9", "1e100", "0x7f00000g"])
def test_what_is_no_address_is_a_name(host: str) -> None:
    """A label that begins with a digit makes no address."""
    assert Share.IDS == _share(f"http://{host}/", deny_hosts="127.0.0.0/8")
    assert Share.NOTHING == _share(f"http://{host}/", deny_hosts=host)

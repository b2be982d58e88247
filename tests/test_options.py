"""How one setting's value is read: what it becomes, and what it must not be."""

import re

import pytest

from meshtrace import options
from meshtrace.errors import ConfigurationError
from meshtrace.options import Parser


def _refused(parse: Parser, value: object) -> str:
    """Give the reason for which a value is refused."""
    with pytest.raises(ConfigurationError) as raised:
        parse("setting", value)
    name, _, reason = str(raised.value).partition(": ")
    assert name.startswith("setting=")
    return reason


class TestChoice:
    """One of a few words."""

    @pytest.mark.parametrize("value", ["keep", "KEEP", " keep "])
    def test_a_word(self, value: str) -> None:
        """A word may have any case, and blanks round it."""
        assert "keep" == options.choice("keep", "replace")("setting", value)

    @pytest.mark.parametrize("value", ["", "kept", "keep,replace", None, ["keep"], 1])
    def test_no_word_of_them(self, value: object) -> None:
        """Anything else is refused, and all valid words are named."""
        assert "not one of 'keep', 'replace'" == _refused(options.choice("keep", "replace"), value)


class TestNearest:
    """A question about a name that is nearly known."""

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            pytest.param("FORWRD", " (do you mean MESHTRACE_FORWARD?)", id="a letter is missing"),
            pytest.param("TRACE_HOST", " (do you mean MESHTRACE_TRACE_HOSTS?)", id="the nearest"),
            pytest.param("42", "", id="nothing is near"),
            pytest.param("", "", id="nothing was given"),
        ],
    )
    def test_one_question(self, name: str, said: str) -> None:
        """Only what is near is asked about, spelled as it is to be written."""
        known = ["FORWARD", "TRACE_HOSTS", "TRACE_FIELDS"]
        assert said == options.nearest(name, known, prefix="MESHTRACE_")


class TestForwardNames:
    """Names of user data."""

    @pytest.mark.parametrize(
        ("value", "names"),
        [
            pytest.param("", (), id="none"),
            pytest.param("End-User", ("end-user",), id="a name, in lower case"),
            pytest.param("X-Route-*", ("x-route-*",), id="a prefix"),
            pytest.param("x-*", ("x-*",), id="a short prefix, for what is not on the never-list"),
            pytest.param("Baggage", ("baggage",), id="all baggage"),
            pytest.param("baggage.userId,Baggage.B", ("baggage.userId", "baggage.B"), id="keys"),
            pytest.param("sw8-correlation", ("sw8-correlation",), id="SkyWalking's baggage"),
            pytest.param("a!#$%&'+.^_`|~9", ("a!#$%&'+.^_`|~9",), id="every letter of a name"),
        ],
    )
    def test_good_ones(self, value: str, names: tuple[str, ...]) -> None:
        """A name, a prefix, baggage or a key of it is taken."""
        assert names == options.forward_names("setting", value)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            pytest.param("*", "not a header name, PREFIX*, baggage or baggage.KEY", id="all"),
            pytest.param(
                "x-*-y", "not a header name, PREFIX*, baggage or baggage.KEY", id="inside"
            ),
            pytest.param("x-**", "not a header name, PREFIX*, baggage or baggage.KEY", id="twice"),
            pytest.param(
                "end user", "not a header name, PREFIX*, baggage or baggage.KEY", id="a blank"
            ),
            pytest.param(
                "a\r\nb", "not a header name, PREFIX*, baggage or baggage.KEY", id="a line"
            ),
            pytest.param("é", "not a header name, PREFIX*, baggage or baggage.KEY", id="no ASCII"),
            pytest.param("baggage.", "not baggage.KEY; baggage takes all keys", id="no key"),
            pytest.param("baggage.*", "not baggage.KEY; baggage takes all keys", id="all keys"),
            pytest.param(
                "baggage.a b", "not baggage.KEY; baggage takes all keys", id="no key's form"
            ),
            pytest.param("cookie", "never forwarded", id="a cookie"),
            pytest.param("X-Forwarded-For", "never forwarded", id="a name on the never-list"),
            pytest.param("x-envoy-*", "never forwarded", id="a prefix on the never-list"),
            pytest.param("x-envoy-me*", "never forwarded", id="a longer prefix"),
            pytest.param("grpc-trace-bin", "never forwarded", id="a binary one"),
            pytest.param("authorization", "goes only to authorization_hosts", id="authorization"),
        ],
    )
    def test_bad_ones(self, value: str, reason: str) -> None:
        """Anything else is refused with the reason."""
        assert reason == _refused(options.forward_names, value)


class TestTraceFieldNames:
    """Changes to the trace fields."""

    @pytest.mark.parametrize(
        ("value", "names"),
        [
            pytest.param("+Uber-Trace-Id,-sw8", ("+uber-trace-id", "-sw8"), id="changes"),
            pytest.param("b3,traceparent", ("b3", "traceparent"), id="a list in its place"),
            pytest.param("", (), id="nothing"),
        ],
    )
    def test_good_ones(self, value: str, names: tuple[str, ...]) -> None:
        """All of them have a sign, or none."""
        assert names == options.trace_field_names("setting", value)

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            pytest.param(
                "+a,b", "either every name has + or - before it, or none has", id="some have a sign"
            ),
            pytest.param("+", "not a header name", id="a sign alone"),
            pytest.param("a b", "not a header name", id="no name"),
            pytest.param("+cookie", "never forwarded", id="what is never forwarded"),
            pytest.param("host", "never forwarded", id="what is never forwarded, in a list"),
            pytest.param("+authorization", "goes only to authorization_hosts", id="authorization"),
        ],
    )
    def test_bad_ones(self, value: str, reason: str) -> None:
        """Anything else is refused with the reason."""
        assert reason == _refused(options.trace_field_names, value)


class TestHosts:
    """Names, suffixes, addresses and networks."""

    NO_HOST = "not a host, .suffix, address or network (without scheme and port)"

    @pytest.mark.parametrize(
        ("value", "hosts"),
        [
            pytest.param("Reviews", ("reviews",), id="a name"),
            pytest.param("api.example.com.", ("api.example.com",), id="with a trailing dot"),
            pytest.param(".Prod", (".prod",), id="a suffix"),
            pytest.param("*.prod", (".prod",), id="a suffix with a star"),
            pytest.param("a_b.example,3scale", ("a_b.example", "3scale"), id="odd names"),
            pytest.param("10.0.0.1", ("10.0.0.1",), id="an address"),
            pytest.param("10.20.30.40/16", ("10.20.0.0/16",), id="a network, by any of its hosts"),
            pytest.param("[FD00::1],fd00::/8", ("fd00::1", "fd00::/8"), id="IPv6"),
            pytest.param("::ffff:10.0.0.1", ("10.0.0.1",), id="an IPv4 address, mapped"),
            pytest.param("::ffff:10.0.0.0/104", ("10.0.0.0/8",), id="an IPv4 network, mapped"),
        ],
    )
    def test_good_ones(self, value: str, hosts: tuple[str, ...]) -> None:
        """Each is taken in one spelling."""
        assert hosts == options.hosts("setting", value)

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param("http://reviews", id="a URL"),
            pytest.param("reviews:9080", id="a port"),
            pytest.param("reviews/0", id="a path"),
            pytest.param("*", id="a star alone"),
            pytest.param("*reviews", id="a star that is no label"),
            pytest.param("re*views", id="a star inside"),
            pytest.param(".", id="a dot"),
            pytest.param("..prod", id="two dots"),
            pytest.param("a..b", id="an empty label"),
            pytest.param("-reviews", id="a dash in front"),
            pytest.param("bücher.example", id="letters that are not encoded"),
            pytest.param("10.0.0.0/33", id="no network"),
            pytest.param("jason@reviews", id="a user's name"),
            pytest.param("re views", id="a blank"),
        ],
    )
    def test_bad_ones(self, value: str) -> None:
        """Anything else is refused, with what may stand there."""
        assert self.NO_HOST == _refused(options.hosts, value)

    @pytest.mark.parametrize(
        ("value", "hosts"),
        [
            pytest.param("all", ("all",), id="all"),
            pytest.param("MESH", ("mesh",), id="mesh"),
            pytest.param("mesh,.corp.example", ("mesh", ".corp.example"), id="mesh and more"),
            pytest.param([".corp.example"], (".corp.example",), id="a list"),
        ],
    )
    def test_trace_hosts(self, value: object, hosts: tuple[str, ...]) -> None:
        """All, those of the mesh, or a list of which the mesh may be a part."""
        assert hosts == options.trace_hosts("setting", value)

    @pytest.mark.parametrize("value", ["", [], "all,mesh", "all,.corp.example"])
    def test_no_trace_hosts(self, value: object) -> None:
        """Nobody at all is no choice (there is `trace_fields` for that), and all is not a part."""
        assert "not 'all', 'mesh' or a list of hosts" == _refused(options.trace_hosts, value)

    def test_trace_hosts_are_hosts(self) -> None:
        """A list of them is read as hosts are."""
        assert self.NO_HOST == _refused(options.trace_hosts, "http://a/")

    def test_exact_hosts(self) -> None:
        """Names and addresses are exact."""
        assert ("orders", "10.0.0.1", "fd00::1") == options.exact_hosts(
            "setting", "orders,10.0.0.1,[fd00::1]"
        )

    @pytest.mark.parametrize("value", [".example", "*.example", "10.0.0.0/8", "orders,10.0.0.1/32"])
    def test_no_exact_hosts(self, value: str) -> None:
        """A suffix or a network is not exact."""
        assert "not an exact host" == _refused(options.exact_hosts, value)


class TestDomain:
    """A DNS domain."""

    @pytest.mark.parametrize("value", ["Cluster.Local", ".cluster.local.", " cluster.local "])
    def test_good_ones(self, value: str) -> None:
        """It may be spelled with dots round it and in any case."""
        assert "cluster.local" == options.domain("setting", value)

    @pytest.mark.parametrize("value", ["", ".", "a..b", "a/b", "a b", "*.a", "é", 5, ["a"]])
    def test_bad_ones(self, value: object) -> None:
        """Anything else is refused."""
        assert "not a DNS domain" == _refused(options.domain, value)


class TestResponseHeader:
    """The field that is echoed."""

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            pytest.param("X-Request-Id", "x-request-id", id="a name"),
            pytest.param("", "", id="none"),
            pytest.param(" b3 ", "b3", id="with blanks round it"),
        ],
    )
    def test_good_ones(self, value: str, name: str) -> None:
        """It is one name in lower case, or none."""
        assert name == options.response_header("setting", value)

    @pytest.mark.parametrize("value", ["a b", "a,b", "cookie", "authorization", None, ["b3"]])
    def test_bad_ones(self, value: object) -> None:
        """What is no name, or is never forwarded, is refused."""
        assert "not the name of a relayed field" == _refused(options.response_header, value)


class TestPatchable:
    """What `patch` patches."""

    @pytest.mark.parametrize("value", ["requests", "-requests", "Requests"])
    def test_good_ones(self, value: str) -> None:
        """A library may be named, with a sign or without."""
        assert (value.lower(),) == options.patchable("setting", value)

    @pytest.mark.parametrize("value", ["flask", "--requests", "+requests", "-"])
    def test_bad_ones(self, value: str) -> None:
        """Any other is refused, and those there are, are named."""
        assert re.fullmatch(r"not one of .*\brequests\b.*", _refused(options.patchable, value))


class TestSwitch:
    """What is on or off."""

    @pytest.mark.parametrize("value", [True, 1, "1", "true", " Yes", "ON"], ids=repr)
    def test_on(self, value: object) -> None:
        """A truth value, or one of the texts that a variable may have."""
        assert options.switch("setting", value) is True

    @pytest.mark.parametrize("value", [False, 0, "0", "false", "No ", "off"], ids=repr)
    def test_off(self, value: object) -> None:
        """Likewise."""
        assert options.switch("setting", value) is False

    @pytest.mark.parametrize("value", [None, "", "maybe", 2, [], b"1"], ids=repr)
    def test_bad_ones(self, value: object) -> None:
        """Anything else is refused."""
        assert "not true or false, 1 or 0" == _refused(options.switch, value)


class TestEachOf:
    """Lists of what there is."""

    @pytest.mark.parametrize(
        ("value", "names"), [("", ()), ("B3, w3c,b3", ("b3", "w3c")), (["w3c"], ("w3c",))]
    )
    def test_good_ones(self, value: object, names: tuple[str, ...]) -> None:
        """Some of them may be named, in any order, or none."""
        assert names == options.each_of("w3c", "b3")("setting", value)

    @pytest.mark.parametrize("value", ["b3-multi", "-b3", "w3c b3"])
    def test_bad_ones(self, value: str) -> None:
        """Any other is refused, and those there are, are named."""
        assert "not one of w3c, b3" == _refused(options.each_of("w3c", "b3"), value)


class TestTexts:
    """Lists of texts."""

    @pytest.mark.parametrize("value", [None, 5, b"a,b", True])
    def test_no_list(self, value: object) -> None:
        """What is neither a text nor a list is refused."""
        assert "neither a text with commas nor a list of texts" == _refused(options.texts, value)

    @pytest.mark.parametrize("value", [[1], [None], [b"a"], [["a"]], ("a", 1)])
    def test_no_texts(self, value: object) -> None:
        """A list of anything but texts is refused."""
        assert "not a text" == _refused(options.texts, value)

    def test_an_object_of_a_class(self) -> None:
        """A setting may want an object of one class, and names it."""
        parse = options.instance_of(int)
        assert 5 == parse("setting", 5)
        assert "give a meshtrace.int(...)" == _refused(parse, "5")

"""Calls are put together by the place that they go to."""

from collections.abc import Sequence

from meshtrace.checker.attribution import Made, Window
from meshtrace.checker.judged import AT_ONCE, Endpoint, judge
from meshtrace.checker.probes import Probe, burst
from tests.checker.judging import call, probe


def _endpoints(*paths: str, probes: Sequence[Probe] = (), host: str = "reviews") -> list[Endpoint]:
    each = probes or [probe("zipkin, sampled") for _ in paths]
    made = [
        Made(call(one.fields, path=path, host=host), one, Window((one,), "/"))
        for path, one in zip(paths, each, strict=True)
    ]
    return judge(made, each, bool)


def test_the_same_path() -> None:
    """Calls of several requests to one address are one endpoint, shown with that address."""
    assert ["GET http://reviews/reviews/0"] == [
        str(endpoint) for endpoint in _endpoints("/reviews/0?a=1", "/reviews/0")
    ]


def test_paths_with_ids() -> None:
    """What differs from call to call, and looks like an id, is shown as a star."""
    assert ["GET http://reviews/reviews/*/stars"] == [
        str(endpoint) for endpoint in _endpoints("/reviews/7/stars", "/reviews/8/stars")
    ]


def test_two_calls_of_a_request() -> None:
    """The second call to the same place is told from the first."""
    one = probe("zipkin, sampled")
    assert ["GET http://reviews/a/1", "GET http://reviews/a/2 (call 2 of a request)"] == [
        str(endpoint) for endpoint in _endpoints("/a/1", "/a/2", probes=[one, one])
    ]


def test_an_address_of_ipv6() -> None:
    """An IPv6 address is written in brackets."""
    assert ["GET http://[fd00::1]/a"] == [
        str(endpoint) for endpoint in _endpoints("/a", host="fd00::1")
    ]


def test_probes_sent_at_once() -> None:
    """They have one name for all of them."""
    probes = burst()
    made = [Made(call(each.fields), each, Window(tuple(probes), "/")) for each in probes]
    [endpoint] = judge(made, probes, bool)
    assert {AT_ONCE} == {judged.sent_as for judged in endpoint.judged}

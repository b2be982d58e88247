"""Which call was made for which probe."""

from collections.abc import Sequence

from meshtrace.checker.attribution import Made, Window, assign
from meshtrace.checker.judged import Judged, judge
from meshtrace.checker.probes import Probe, bare, burst
from tests.checker.judging import Fields, call, probe


def _judged_among(probes: Sequence[Probe], headers: Fields, owner: Probe) -> list[Judged]:
    made = Made(call(headers), owner, Window(tuple(probes), "/"))
    return [each for endpoint in judge([made], probes, bool) for each in endpoint.judged]


def _alone(*probes: Probe) -> list[Window]:
    return [Window((each,), "/") for each in probes]


def _names(made: Sequence[Made], probes: Sequence[Probe]) -> list[int]:
    return [probes.index(each.probe) for each in made]


def test_a_call_with_the_ids_of_its_window() -> None:
    """It is that probe's."""
    probes = [probe("zipkin, sampled"), probe("opentelemetry, sampled")]
    calls = [call(each.fields, window=number) for number, each in enumerate(probes)]
    assert [0, 1] == _names(assign(_alone(*probes), calls), probes)


def test_a_call_without_ids() -> None:
    """It is the probe's that was being served."""
    probes = [probe("zipkin, sampled"), bare()]
    calls = [call([], window=0), call([], window=1)]
    assert [0, 1] == _names(assign(_alone(*probes), calls), probes)


def test_a_call_before_the_first_window() -> None:
    """What a service calls when it starts is nobody's."""
    assert [] == assign(_alone(bare()), [call([], window=-1)])


def test_a_late_call() -> None:
    """It carries the ids of a probe that was served before, and is that one's."""
    probes = [probe("zipkin, sampled"), probe("zipkin, sampled"), bare()]
    calls = [
        call(probes[0].fields, window=1),
        call(probes[1].fields, window=2),
        call([], window=2),
    ]
    assert [0, 1, 2] == _names(assign(_alone(*probes), calls), probes)


def test_a_leak_from_one_request_to_the_next() -> None:
    """A probe's ids on every later call are mixed: the others have too few calls."""
    probes = [probe("zipkin, sampled"), probe("zipkin, sampled"), bare()]
    calls = [call(probes[0].fields, window=number) for number in range(3)]
    assert [0, 1, 2] == _names(assign(_alone(*probes), calls), probes)


def test_a_leak_among_many_at_once() -> None:
    """The calls that are too many for one probe are those of the ones that have too few."""
    probes = burst()
    calls = [call(probes[3].fields, window=0) for _ in probes]
    made = assign([Window(tuple(probes), "/")], calls)
    assert {*range(12)} == {*_names(made, probes)}


def test_a_call_with_the_ids_of_two() -> None:
    """It is rather that of the one that is being served."""
    probes = [probe("zipkin, sampled"), probe("opentelemetry, sampled")]
    calls = [
        call(probes[0].fields, window=0),
        call([*probes[0].fields, *probes[1].fields], window=1),
    ]
    assert [0, 1] == _names(assign(_alone(*probes), calls), probes)


def test_one_call_more() -> None:
    """With everybody served, a call too many is its owner's, or that of who is served."""
    probes = [probe("zipkin, sampled"), probe("zipkin, sampled"), bare()]
    calls = [
        *(call(each.fields, window=number) for number, each in enumerate(probes)),
        call(probes[0].fields, window=0),
    ]
    assert [0, 1, 2, 0] == _names(assign(_alone(*probes), calls), probes)
    calls[-1] = call([], window=1)
    assert [0, 1, 2, 1] == _names(assign(_alone(*probes), calls), probes)


def test_mixed_ids_are_a_finding() -> None:
    """Another request's ids are found, and nothing else is said of such a call."""
    one, other = probe("zipkin, sampled"), probe("zipkin, sampled")
    [each] = _judged_among([one, other], other.fields, one)
    assert ["mixed"] == [effect.code for effect in each.effects]


def test_each_path_by_itself() -> None:
    """What is called for one path does not count for another."""
    first, second = probe("zipkin, sampled"), probe("zipkin, sampled")
    windows = [Window((first,), "/a"), Window((second,), "/b")]
    calls = [call([], window=1), call([], window=1)]
    assert [second, second] == [each.probe for each in assign(windows, calls)]


def test_each_place_by_itself() -> None:
    """A request that calls a second place has no call too many for the first."""
    probes = [probe("zipkin, sampled"), probe("opentelemetry, sampled")]
    calls = [call([], path=path, window=0) for path in ("/a", "/b")]
    calls += [call([], path="/a", window=1)]
    assert [0, 1, 0] == _names(assign(_alone(*probes), calls), probes)


def test_some_of_many_at_once() -> None:
    """Calls that nothing tells apart are of as many requests."""
    probes = burst()
    window = Window(tuple(probes), "/")
    made = assign([*_alone(bare(), bare(), bare()), window], [call([], window=3) for _ in "12345"])
    assert 5 == len({each.probe for each in made})


def test_no_call_of_a_later_request() -> None:
    """A call too many is not one that a later request has yet to make."""
    probes = [probe("zipkin, sampled"), probe("zipkin, sampled"), bare()]
    calls = [call([], window=number) for number in (0, 0, 2)]
    assert [0, 0, 2] == _names(assign(_alone(*probes), calls), probes)
    calls = [call(probes[0].fields, window=0) for _ in range(2)]
    assert [0, 0] == _names(assign(_alone(*probes), calls), probes)

"""Whatever comes: what goes out came, is good, and is no more than may be."""

import re

from hypothesis import given

from meshtrace.formats import b3
from meshtrace.relay.extract import from_asgi, from_environ
from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.rules import InboundRules
from tests.relay.judging import all_of
from tests.relay.strategies import Pairs, anything, options

rules_of_all_kinds = options.map(lambda given_options: InboundRules.of(**given_options))

_field_value = re.compile(r"[!-~](?:[\t -~]*[!-~])?").fullmatch


def _lines(pairs: Pairs, name: str) -> list[str]:
    return [value.strip(" \t") for other, value in pairs if other == name]


def _may_be_relayed(name: str, value: str, lines: list[str]) -> bool:
    """Tell whether a value is what came, changed only as the rules allow it."""
    if name == "tracestate":
        return value == ",".join(filter(None, lines))
    if name == "baggage":
        members = [member.strip(" \t") for line in lines for member in line.split(",")]
        return all(member.strip(" \t") in members for member in value.split(","))
    (line,) = set(lines)
    return value == line or (name == "b3" and line.startswith(value + "-"))


@given(anything, rules_of_all_kinds)
def test_whatever_comes_goes_out_as_it_came_or_not_atall_of(
    pairs: Pairs, rules: InboundRules
) -> None:
    """No bytes raise; what goes out came, is good HTTP, and is within the limits."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    accepted = from_asgi(headers, rules).accepted
    relayed = all_of(accepted)
    assert relayed.keys() <= {name for name, _ in pairs if rules.name(name)}
    assert [] == [name for name, value in relayed.items() if not _field_value(value)]
    assert [] == [
        name for name in relayed if not _may_be_relayed(name, relayed[name], _lines(pairs, name))
    ]
    assert sum(len(name) + len(value) for name, value in relayed.items()) <= rules.limits.total
    assert relayed.keys().isdisjoint(accepted.dropped)
    empty_tracestate = {"tracestate"} if accepted.empty_tracestate else set()
    assert {name for name, _ in pairs if rules.name(name)} == {
        *relayed,
        *accepted.dropped,
        *empty_tracestate,
    }


@given(anything, rules_of_all_kinds)
def test_whole_formats_go_out(pairs: Pairs, rules: InboundRules) -> None:
    """What goes out would be accepted again, and no format is left without its half."""
    picked = [(name, value.strip(" \t")) for name, value in pairs if rules.name(name)]
    accepted = judge(picked, rules)
    relayed = all_of(accepted)
    assert relayed == all_of(judge([*relayed.items()], rules))
    assert ("x-b3-traceid" in relayed) is ("x-b3-spanid" in relayed)
    assert "traceparent" in relayed or "tracestate" not in relayed
    b3.parse_b3_multi(relayed)


@given(anything, rules_of_all_kinds)
def test_a_glance_sees_what_judging_sees(pairs: Pairs, rules: InboundRules) -> None:
    """The common case, recognised by its shape, is judged as field by field."""
    picked = [(name, value.strip(" \t")) for name, value in pairs if rules.name(name)]
    expected = judge(picked, rules)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    seen = from_asgi(headers, rules).accepted
    assert _parts(expected) == _parts(seen)


@given(anything, rules_of_all_kinds)
def test_an_environ_brings_what_asgi_brings(pairs: Pairs, rules: InboundRules) -> None:
    """Where no line has a comma of its own, folding the lines as WSGI does costs no id."""
    pairs = [(name, value.replace(",", ";")) for name, value in pairs if name != "x-datadog-tags"]
    environ: dict[str, str] = {}
    for name, value in pairs:
        key = "HTTP_" + name.upper().replace("-", "_")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    by_asgi, by_wsgi = from_asgi(headers, rules), from_environ(environ, rules)
    assert by_asgi.accepted.ids == by_wsgi.accepted.ids


def _parts(accepted: Accepted) -> tuple[object, ...]:
    return tuple(getattr(accepted, name) for name in Accepted.__slots__)

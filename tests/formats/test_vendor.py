"""Fields that are relayed without being understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace.formats.vendor import is_visible


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("e760f6fc-9470-959d-825a-2128391da21f", id="a request id"),
        pytest.param("order-4711", id="a request id of somebody's own"),
        pytest.param("1-ZGZnLQ==-MTIzNA==-1-c3Zj-aW5z-L2FwaQ==-cmF0aW5ncw==", id="sw8"),
        pytest.param("Root=1-67891233-abcdef012345678912345678;Sampled=1", id="X-Ray's"),
        pytest.param("_dd.p.tid=6b0365c200000000,_dd.p.dm=-0", id="Datadog's tags"),
        pytest.param("-1", id="a negative priority"),
        pytest.param("!", id="the first visible character"),
        pytest.param("~", id="the last visible character"),
        pytest.param("a b", id="a space inside"),
        pytest.param("a\tb", id="a tab inside"),
        pytest.param("a \t b", id="blanks inside"),
    ],
)
def test_visible_ascii_may_be_sent(value: str) -> None:
    """Visible ASCII, with blanks inside, is relayed."""
    assert is_visible(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty: an empty field is never sent"),
        pytest.param(" ", id="a space alone"),
        pytest.param("\t", id="a tab alone"),
        pytest.param(" a", id="a space before, at which requests would raise"),
        pytest.param("a\t", id="a tab behind"),
        pytest.param("a\r\nx-admin: 1", id="a line that breaks through"),
        pytest.param("a\n", id="a line feed behind"),
        pytest.param("a\x00b", id="a zero byte"),
        pytest.param("a\x1fb", id="a control character"),
        pytest.param("a\x7f", id="delete"),
        pytest.param("caf\u00e9", id="latin-1"),
        pytest.param("\u20ac", id="what latin-1 does not have"),
        pytest.param("a\xa0b", id="a blank that is not ASCII"),
        pytest.param("\ud800", id="half of a character"),
    ],
)
def test_everything_else_may_not(value: str) -> None:
    """What a client library would refuse, or a receiver read as something else, is not relayed."""
    assert not is_visible(value)


@given(st.text() | st.text("\t !~a\x7f\n", max_size=4))
def test_what_is_visible_is_a_field_value(value: str) -> None:
    """A text is visible exactly if it has the form that HTTP gives to field values."""
    characters = set(map(chr, range(0x21, 0x7F)))
    inside = characters | {" ", "\t"}
    expected = value[:1] in characters and value[-1:] in characters and inside.issuperset(value)
    assert expected == is_visible(value)

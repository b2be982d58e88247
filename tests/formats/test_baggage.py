"""W3C Baggage, raw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrace.formats.baggage import select_members


@pytest.mark.parametrize(
    ("value", "keys", "kept"),
    [
        pytest.param(
            "okteto-divert=blue,user=al%20ice;ttl=1,x=a+b",
            None,
            "okteto-divert=blue,user=al%20ice;ttl=1,x=a+b",
            id="all of it, with properties and encodings as they came",
        ),
        pytest.param(" a=1 ,\tb=2", None, " a=1 ,\tb=2", id="all of it, blanks and all"),
        pytest.param(
            "a=1, user=al%20ice;ttl=1", {"user"}, "user=al%20ice;ttl=1", id="one key, encoded"
        ),
        pytest.param("a=1,b=2,a=3", {"a"}, "a=1,a=3", id="a key that repeats"),
        pytest.param("a =1", {"a"}, "a =1", id="blanks around the equals sign"),
        pytest.param("a;p=1", {"a"}, "a;p=1", id="a key without a value"),
        pytest.param("a=1;b=2", {"b"}, "", id="a property is no key"),
        pytest.param("A=1,a=2", {"a"}, "a=2", id="keys are told apart by case"),
        pytest.param("x=%0d%0ay", {"x"}, "x=%0d%0ay", id="an encoded line break stays encoded"),
        pytest.param("a=1,no member,b=2", {"b"}, "b=2", id="a bad member costs no other"),
        pytest.param("a=1,,b=2,", {"a", "b"}, "a=1,b=2", id="empty members are left out"),
        pytest.param("a=1", {"b"}, "", id="nothing that was asked for"),
        pytest.param("a=1", set(), "", id="nothing asked for"),
        pytest.param("=1", {"b"}, "", id="a member without a key"),
    ],
)
def test_the_members_asked_for_are_kept_as_they_came(
    value: str, keys: set[str] | None, kept: str
) -> None:
    """Members are chosen by their key and never decoded."""
    assert kept == select_members(value, keys)


@pytest.mark.parametrize(
    ("value", "limits", "kept"),
    [
        pytest.param("a=1,b=2,c=3", {"members": 3}, "a=1,b=2,c=3", id="as many as there may be"),
        pytest.param("a=1,b=2,c=3", {"members": 2}, "a=1,b=2", id="more: the first are kept"),
        pytest.param("a=1,,b=2,", {"members": 2}, "a=1,b=2", id="empty members do not count"),
        pytest.param("a=1,b=2", {"size": 7}, "a=1,b=2", id="as long as it may be"),
        pytest.param("a=1,b=2", {"size": 6}, "a=1", id="longer: no member is cut"),
        pytest.param(
            "a=1,long=value,b=2",
            {"size": 8},
            "a=1",
            id="the member that does not fit ends the list",
        ),
        pytest.param("a=1", {"size": 2}, "", id="not even one fits"),
        pytest.param("a=1,b=2", {"members": 0}, "", id="none may be kept"),
    ],
)
def test_what_is_too_much_is_left_out(value: str, limits: dict[str, int], kept: str) -> None:
    """Whole members are kept up to the limits."""
    assert kept == select_members(value, None, **limits)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(",".join(["k=v"] * 65), ",".join(["k=v"] * 64), id="65 members"),
        pytest.param("k=v,k=" + "v" * 8187, "k=v", id="8193 characters"),
    ],
)
@pytest.mark.parametrize("keys", [None, {"k"}])
def test_no_more_is_kept_by_default(value: str, kept: str, keys: set[str] | None) -> None:
    """There is room for 64 members and 8192 characters, and not for one more."""
    assert kept == select_members(value, keys)


@pytest.mark.parametrize(
    ("count", "length"),
    [
        pytest.param(64, 8, id="64 members"),
        pytest.param(3, 2730, id="8192 characters, commas included"),
    ],
)
def test_what_the_specification_asks_for_fits(count: int, length: int) -> None:
    """By default there is room for 64 members and for 8192 characters."""
    value = ",".join(f"k={'v' * (length - 2)}" for _ in range(count))
    assert value == select_members(value, None)
    assert value == select_members(value, {"k"})


_members = st.lists(st.text("ab=;% \t,\u00e9"), max_size=8).map(",".join)
_few = st.integers(0, 6)


@given(_members, st.none() | st.sets(st.sampled_from(["a", "b", ""])), _few, st.integers(0, 20))
def test_what_is_kept_came_and_fits(
    value: str, keys: set[str] | None, members: int, size: int
) -> None:
    """Of any text only whole members are kept, in their order, and no more than may be."""
    kept = select_members(value, keys, members=members, size=size)
    assert len(kept) <= size
    came = iter([member.strip(" \t") for member in value.split(",")])
    chosen = [member.strip(" \t") for member in kept.split(",")] if kept else []
    assert all(member in came for member in chosen)
    assert len([member for member in chosen if member]) <= members


@given(_members, st.sets(st.sampled_from(["a", "b"])))
def test_choosing_twice_is_choosing_once(value: str, keys: set[str]) -> None:
    """What was chosen is chosen again, so that relaying changes nothing from hop to hop."""
    once = select_members(value, keys)
    assert once == select_members(once, keys)

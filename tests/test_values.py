"""Immutable values, compared and shown by what they hold."""

import copy
import pickle

import pytest

from meshtrace.values import Value


class Point(Value):
    """A place on a plane."""

    __slots__ = ("x", "y")

    x: int
    y: int

    def __init__(self, x: int, y: int = 0) -> None:
        self.hold(x=x, y=y)


class Size(Point):
    """Holds the same, and is another thing."""

    __slots__ = ()


def test_equal_values_are_equal() -> None:
    """Values of one class that hold the same are equal, and count once in a set."""
    assert Point(1, 2) == Point(1, 2)
    assert 2 == len({Point(1, 2), Point(1, 2), Point(2, 1)})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Point(1, 3), id="a value that holds something else"),
        pytest.param(Size(1, 2), id="a value of another class"),
        pytest.param((1, 2), id="no value"),
    ],
)
def test_others_are_not_equal(other: object) -> None:
    """Another class or another content is another value."""
    assert Point(1, 2) != other


def test_a_value_is_shown_by_what_it_holds() -> None:
    """Its text names the class and the slots."""
    assert "Point(x=1, y=2)" == repr(Point(1, 2))


def test_a_value_stays_as_it_is() -> None:
    """No slot can be set or deleted, and nothing can be added; the message says which."""
    point = Point(1, 2)
    with pytest.raises(AttributeError, match="Point is immutable: cannot set 'x'"):
        point.x = 3
    with pytest.raises(AttributeError, match="Point is immutable: cannot delete 'x'"):
        del point.x
    with pytest.raises(AttributeError, match="cannot set 'z'"):
        point.z = 3
    assert Point(1, 2) == point


def test_a_value_can_be_taken_elsewhere() -> None:
    """It is copied and pickled whole."""
    point = Point(1, 2)
    assert [point] * 3 == [
        copy.copy(point),
        copy.deepcopy(point),
        pickle.loads(pickle.dumps(point)),  # noqa: S301 - pickled here
    ]

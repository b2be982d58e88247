"""Which call of one request is which call of another."""

from collections.abc import Iterable

import pytest

from meshtrace.checker.alignment import align
from meshtrace.checker.attribution import Made, Window
from meshtrace.checker.calls import Call, Note
from meshtrace.checker.probes import Probe
from tests.checker.judging import FACTS, Fields, call, probe

ONE, OTHER, THIRD = (probe("zipkin, sampled") for _ in range(3))
URLLIB3 = Note(("shop.py:7 in show",), facts=FACTS)
HTTPX = Note(("shop.py:9 in show",), facts=FACTS)


def _made(owner: Probe, headers: Fields = (), note: Note | None = None, path: str = "/a") -> Made:
    return Made(call(headers, note=note, path=path), owner, Window((owner,), "/"))


def _columns(made: Iterable[Made]) -> list[list[Call]]:
    return [[each.call for each in column] for column in align(made)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((ONE.fields, None), (ONE.fields, None), id="the same headers"),
        pytest.param(
            ((("x-try", "1"),), URLLIB3), ((("x-try", "2"),), URLLIB3), id="the same line"
        ),
    ],
)
def test_a_call_that_is_tried_again(
    first: tuple[Fields, Note | None], second: tuple[Fields, Note | None]
) -> None:
    """What is sent once more is no second call."""
    [column] = align([_made(ONE, *first), _made(ONE, *second)])
    assert 2 == len(column)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(((), URLLIB3, "/1"), ((), URLLIB3, "/2"), id="another address"),
        pytest.param(((), URLLIB3), ((), HTTPX), id="another line"),
        pytest.param((ONE.fields, URLLIB3), ((), URLLIB3), id="one has ids, the other has not"),
        pytest.param(((("x-a", "1"),), None), ((("x-a", "2"),), None), id="other headers"),
        pytest.param(((("x-a", "1"),), URLLIB3), ((), None), id="one that was not seen being made"),
    ],
)
def test_two_calls(first: tuple[Fields], second: tuple[Fields]) -> None:
    """What differs is another call."""
    assert [1, 1] == [len(column) for column in align([_made(ONE, *first), _made(ONE, *second)])]


def test_calls_in_any_order() -> None:
    """A call made at the same time as another is known by its line, not by which came first."""
    made = [
        *(_made(ONE, (), URLLIB3), _made(ONE, ONE.fields, HTTPX)),
        *(_made(OTHER, OTHER.fields, HTTPX), _made(OTHER, (), URLLIB3)),
    ]
    [urllib3, httpx] = _columns(made)
    assert [made[0].call, made[3].call] == urllib3
    assert [made[1].call, made[2].call] == httpx


def test_calls_in_any_order_of_which_no_line_is_known() -> None:
    """They are known by whether they carry anything on."""
    made = [
        *(_made(ONE, ONE.fields), _made(ONE)),
        *(_made(OTHER), _made(OTHER, OTHER.fields)),
    ]
    [kept, lost] = _columns(made)
    assert [made[0].call, made[3].call] == kept
    assert [made[1].call, made[2].call] == lost


def test_a_request_that_makes_the_second_call_alone() -> None:
    """It is the second call, though it is this request's only one; calls stay in their order."""
    made = [_made(THIRD, (), HTTPX), _made(ONE, (), URLLIB3), _made(ONE, (), HTTPX)]
    assert [[made[1].call], [made[0].call, made[2].call]] == _columns(made)


def test_requests_that_make_one_call_each() -> None:
    """From whatever line they come, there is no second call where nobody makes two."""
    made = [_made(ONE, (), URLLIB3), _made(OTHER, (), HTTPX)]
    assert [[each.call for each in made]] == _columns(made)

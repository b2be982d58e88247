"""
Which call of one request is which call of another, where several go to the same place.

They are told apart by the line that makes them, by their address and by whether they carry ids at
all. Their order says little, as calls made at once come in any. The same call again, in a loop or
by a client that tries once more, is one call.
"""

from collections.abc import Iterable

from meshtrace.checker.attribution import Made
from meshtrace.checker.probes import Probe

__all__ = ["align"]


def align(made: Iterable[Made]) -> list[list[Made]]:
    """
    Put together what is the same call of each request.

    Args:
        made: Calls to one place, in the order in which they came.

    Returns:
        For each call of the request that makes most of them, that one and its like.
    """
    order: dict[int, int] = {}
    requests: dict[Probe, list[list[Made]]] = {}
    for number, each in enumerate(made):
        order[id(each)] = number
        calls = requests.setdefault(each.probe, [])
        again = next((call for call in calls if _is_again(call[0], each)), None)
        if again is None:
            calls.append([each])
        else:
            again.append(each)
    first, *others = sorted(requests.values(), key=len, reverse=True)
    columns = [[*call] for call in first]
    for calls in others:
        for column, call in _paired(columns, calls):
            column.extend(call)
    return [sorted(column, key=lambda each: order[id(each)]) for column in columns]


def _paired(
    columns: list[list[Made]], calls: list[list[Made]]
) -> Iterable[tuple[list[Made], list[Made]]]:
    """Give each call a column of its own, those first that are most alike."""
    places = [(column, call) for column in range(len(columns)) for call in range(len(calls))]
    places.sort(key=lambda place: -_likeness(columns[place[0]][0], calls[place[1]][0]))
    free, waiting = set(range(len(columns))), set(range(len(calls)))
    for column, call in places:
        if column in free and call in waiting:
            free.remove(column)
            waiting.remove(call)
            yield columns[column], calls[call]


def _likeness(one: Made, other: Made) -> int:
    return sum(
        (
            one.call.line_of_code == other.call.line_of_code,
            one.call.path == other.call.path,
            one.carries_ids == other.carries_ids,
        )
    )


def _is_again(first: Made, made: Made) -> bool:
    """Tell whether a call is the first one again."""
    one, other = first.call, made.call
    if (one.path, one.body) != (other.path, other.body) or first.carries_ids != made.carries_ids:
        return False
    if one.note is not None and other.note is not None:
        return one.note.frames == other.note.frames
    return one.headers == other.headers

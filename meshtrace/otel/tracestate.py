"""``tracestate`` as it came, on its way through OpenTelemetry's samplers and spans."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView

from opentelemetry.trace import TraceState

from meshtrace.errors import MalformedHeaderError
from meshtrace.formats import w3c

__all__ = ["RelayedTraceState", "tracestate_of"]

Members = tuple[tuple[str, str], ...]

_LONG = 128
"""The members that may be left out first (W3C Trace Context, section 3.3.1.5)."""


class RelayedTraceState(TraceState):
    """
    The members of a ``tracestate``, and its text while nobody has changed them.

    OpenTelemetry's own class gives up a whole list over one repeated key or one key that begins
    with a digit, and writes what is left in its own spelling. The SDK's samplers hand a parent's
    object on to its children as it is, so that the text comes out again at the other end.

    Args:
        entries: (key, value) pairs, which replace *text*.
        text: A list as it came, already judged.

    Attributes:
        text: What goes out.

    >>> state = RelayedTraceState(text="a=1 ,a=2,,9b=3")
    >>> state.to_header(), bool(state), state["a"]
    ('a=1 ,a=2,,9b=3', True, '1')
    >>> state.add("c", "4").to_header()
    'c=4,a=1,a=2,9b=3'
    """

    # Nothing of the base class's own state is used.
    def __init__(self, entries: Sequence[tuple[str, str]] | None = None, *, text: str = "") -> None:
        self.text = w3c.format_tracestate(tuple(entries)) if entries else text

    def _members(self) -> Members:
        return w3c.parse_tracestate(self.text)

    def _first_of_each(self) -> Mapping[str, str]:
        return dict(reversed(self._members()))

    def __getitem__(self, key: str) -> str:
        return self._first_of_each()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._first_of_each()

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._members()))

    def __len__(self) -> int:
        return len(self._first_of_each())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} members)"

    def keys(self) -> KeysView[str]:
        """Give the keys, in order."""
        return KeysView(self)

    def items(self) -> ItemsView[str, str]:
        """Give the pairs, in order."""
        return ItemsView(self)

    def values(self) -> ValuesView[str]:
        """Give the values, in order."""
        return ValuesView(self)

    def to_header(self) -> str:
        """Give the text: as it came, until something is changed."""
        return self.text

    def add(self, key: str, value: str) -> TraceState:
        """Put a member first; one that is there already, or cannot be written, changes nothing."""
        return self if key in self else self.update(key, value)

    def update(self, key: str, value: str) -> TraceState:
        """Put a member first, in place of what has its key; one that is not valid does nothing."""
        others = [member for member in self._members() if member[0] != key]
        while len(others) >= w3c.MAX_MEMBERS:
            long = [number for number, pair in enumerate(others) if len("=".join(pair)) > _LONG]
            others.pop(long[-1] if long else -1)
        try:
            return type(self)([(key, value), *others])
        except MalformedHeaderError:
            return self

    def delete(self, key: str) -> TraceState:
        """Take a member out."""
        if key not in self:
            return self
        return type(self)([member for member in self._members() if member[0] != key])


def tracestate_of(state: TraceState, came: str) -> str:
    """
    Give the ``tracestate`` that goes out with a span: what came, unless somebody changed it.

    Args:
        state: The span's.
        came: The text that came; may be empty.

    >>> tracestate_of(TraceState([("a", "1")]), "a=1 ,")
    'a=1 ,'
    >>> tracestate_of(TraceState([("b", "2"), ("a", "1")]), "a=1 ,")
    'b=2,a=1'
    """
    if isinstance(state, RelayedTraceState):
        return state.text
    members = tuple(state.items())
    # OpenTelemetry has an empty list, too, where it did not like one member of what came.
    if not members or members == w3c.parse_tracestate(came):
        return came
    text = state.to_header()
    return text if w3c.is_tracestate(text) else came

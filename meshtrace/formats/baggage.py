"""
W3C Baggage, raw: whole members are kept or left out, and none is ever decoded.

    baggage  okteto-divert=blue,user=al%20ice;ttl=1
             member         ,member  ;property

Decoding and encoding again corrupts values and lets an encoded line break through, so there is no
value here, only text. Source: https://www.w3.org/TR/baggage/, section 3.3.
"""

from collections.abc import Iterable

__all__ = ["select_members"]


def select_members(
    value: str, keys: Iterable[str] | None, *, members: int = 64, size: int = 8192
) -> str:
    """
    Keep the members of a ``baggage`` value that were asked for and fit, as they came.

    Args:
        value: The header's text; several lines of it joined with ``,``.
        keys: The keys to keep; None keeps all.
        members: The most members to keep.
        size: The longest result, in characters. A member that does not fit ends the list; it is
            never cut.

    Returns:
        The members joined with ``,``, or an empty text.

    >>> select_members("okteto-divert=blue, user=al%20ice;ttl=1", {"user"})
    'user=al%20ice;ttl=1'
    >>> select_members("a=1,b=2,c=3", None, members=2)
    'a=1,b=2'
    """
    if keys is None and len(value) <= size and value.count(",") < members:
        return value
    wanted = None if keys is None else frozenset(keys)
    kept: list[str] = []
    length = -1
    for member in value.split(","):
        text = member.strip(" \t")
        if text and (wanted is None or _key(text) in wanted):
            length += 1 + len(text)
            if length > size or len(kept) == members:
                break
            kept.append(text)
    return ",".join(kept)


def _key(member: str) -> str:
    return member.partition(";")[0].partition("=")[0].strip(" \t")

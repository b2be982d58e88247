"""
Sentry's own ``baggage``, beside what is relayed: one line of it goes out, with all of both.

On calls of httpx and aiohttp Sentry's SDK writes it before meshtrace decides. On those of
http.client, and so of urllib3 and of requests, it does when a connection puts the head together,
whatever is in it: that is a second line. W3C Baggage has the two mean the same as one with a comma
between. Nothing is replaced there before a call has baggage of ours.
"""

import http.client
import re
from collections.abc import Mapping
from typing import Any

from meshtrace.relay.inject import Sent, lower
from meshtrace.replacing import Function, Replacement

__all__ = ["baggage_on", "go_beside", "unpatch"]

_BY_HTTP_CLIENT = frozenset({"requests", "urllib3", "urllib", "http.client"})

_line = re.compile(rb"\r\nbaggage:[ \t]*([^\r\n]*)", re.IGNORECASE)
_sentrys = re.compile(r"\s*sentry-[^,]*(,\s*sentry-[^,]*)*").fullmatch


def baggage_on(carrier: Mapping[Any, Any]) -> dict[Any, str]:
    """
    Give the ``baggage`` of a call if it is all Sentry's, under its name as spelled.

    One that a signature covers is the caller's, and has to stay as it is.

    Args:
        carrier: The headers, without ours.

    >>> baggage_on({"Baggage": "sentry-sampled=true", "b3": "0"})
    {'Baggage': 'sentry-sampled=true'}
    """
    theirs = [(name, str(carrier[name])) for name in carrier if lower(name) == "baggage"]
    signs = [str(carrier[name]) for name in carrier if lower(name) == "authorization"]
    if any("baggage" in sign.lower() for sign in signs):
        return {}
    # Of several lines a carrier gives the first alone.
    return {name: value for name, value in theirs if len(theirs) == 1 and _sentrys(value)}


def go_beside(sent: Sent, theirs: Mapping[Any, str], library: str) -> None:
    """
    Have what a call is given stand in one line with Sentry's.

    Args:
        sent: What the call is given, decided without *theirs*; is changed.
        theirs: What `baggage_on` gave.
        library: What makes the call.
    """
    if all(name != "baggage" for name, _ in sent.fields):
        return
    if library in _BY_HTTP_CLIENT:
        _endheaders.put()
        _send.put()
    if theirs:
        sent.replaced = {**sent.replaced, **theirs}
        sent.fields = tuple(
            (name, ",".join((value, *theirs.values())) if name == "baggage" else value)
            for name, value in sent.fields
        )


def unpatch() -> None:
    """
    Leave connections as they are, until the next call that has baggage.

    >>> unpatch()
    """
    _endheaders.give_back()
    _send.give_back()


def _ending(original: Function) -> Function:
    def endheaders(self: http.client.HTTPConnection, *args: object, **kwargs: object) -> object:
        # What is sent next is the head.
        vars(self)["meshtrace_head"] = True
        return original(self, *args, **kwargs)

    return endheaders


def _sending(original: Function) -> Function:
    def send(self: http.client.HTTPConnection, data: object) -> object:
        is_head = vars(self).pop("meshtrace_head", False)
        return original(self, _in_one_line(data) if is_head and isinstance(data, bytes) else data)

    return send


_endheaders = Replacement(http.client.HTTPConnection, "endheaders", _ending)
_send = Replacement(http.client.HTTPConnection, "send", _sending)


def _in_one_line(sent: bytes) -> bytes:
    # botocore sends a body with the head.
    head, end, body = sent.partition(b"\r\n\r\n")
    lines = _line.findall(head)
    theirs = [line for line in lines if _sentrys(line.decode("latin-1"))]
    ours = [line for line in lines if line not in theirs]
    first = _line.search(head)
    if not theirs or not ours or first is None:
        return sent
    one = b"\r\nbaggage: " + b",".join(ours + theirs)
    return head[: first.start()] + one + _line.sub(b"", head[first.end() :]) + end + body

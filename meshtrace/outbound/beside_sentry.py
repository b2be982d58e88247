"""
Beside Sentry: one line of ``baggage``, where http.client sends the head of a request.

Sentry's SDK puts its own ``baggage`` on every request of http.client, and so of urllib3 and of
requests, when a connection puts the head together, whatever is in it. Beside what is relayed that
is a second line. W3C Baggage has the two mean the same as one with a comma between: that one goes.
"""

import http.client
import re

from meshtrace.replacing import Function, Replacement

__all__ = ["patch", "unpatch"]

_line = re.compile(rb"\r\nbaggage:[ \t]*([^\r\n]*)", re.IGNORECASE)
_sentrys = re.compile(rb"\s*sentry-[^,]*(,\s*sentry-[^,]*)*").fullmatch


def patch() -> None:
    """
    Have one line of baggage.

    >>> patch()
    >>> unpatch()
    """
    _endheaders.put()
    _send.put()


def unpatch() -> None:
    """Undo `patch`."""
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
    theirs = [line for line in lines if _sentrys(line)]
    ours = [line for line in lines if line not in theirs]
    first = _line.search(head)
    if not theirs or not ours or first is None:
        return sent
    one = b"\r\nbaggage: " + b",".join(ours + theirs)
    return head[: first.start()] + one + _line.sub(b"", head[first.end() :]) + end + body

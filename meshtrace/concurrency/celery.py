"""
Celery: a task runs for the request that sent it, in whatever process a worker takes it up.

The headers of the message carry what `meshtrace.capture` gives, user data included: both sides, web
application and worker, call ``patch("celery")``. An eager task runs for its caller.
"""

from collections.abc import Mapping
from typing import Any

from celery import Task, signals

from meshtrace import notices
from meshtrace.handover import capture, use

__all__ = ["HEADER", "patch", "unpatch"]

HEADER = "meshtrace"
"""The message header that carries the context."""

_UID = "meshtrace"


def patch() -> None:
    """
    Make every task run for the request that sent it; one that was sent outside any, for none.

    >>> patch()
    >>> unpatch()
    """
    for signal, receiver in (*_BEGINNINGS, (signals.task_postrun, _end)):
        signal.connect(receiver, dispatch_uid=_UID)


def unpatch() -> None:
    """Undo `patch`; tasks that are at work go on for their request, and end as they would have."""
    for signal, receiver in _BEGINNINGS:
        signal.disconnect(receiver, dispatch_uid=_UID)


def _put_on(headers: dict[str, Any], **_: object) -> None:
    try:
        captured = capture()
        if captured:
            headers[HEADER] = captured
    except Exception:  # noqa: BLE001 - the task must be sent
        notices.fault("sending a task of Celery")


def _begin(task: Task, **_: object) -> None:
    try:
        request = task.request
        if request.is_eager:
            return
        captured = request.get(HEADER)
        # Also where there is no context: nothing of an earlier task's may be there.
        entered = use(captured if isinstance(captured, Mapping) else None)
        entered.__enter__()
        request.meshtrace_entered = entered
    except Exception:  # noqa: BLE001 - the task must run
        notices.fault("starting a task of Celery")


def _end(task: Task, **_: object) -> None:
    entered = task.request.get("meshtrace_entered")
    if entered is not None:
        entered.__exit__(None, None, None)


_BEGINNINGS = ((signals.before_task_publish, _put_on), (signals.task_prerun, _begin))

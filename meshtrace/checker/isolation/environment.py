"""The environment of the checked service: what tells its interpreter, and its clients, of us."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["MARK", "environment"]

_INTERPRETER = Path(__file__).parent.parent / "interpreter"
MARK = "_MESHTRACE_CHECK"
"""The variable that tells an interpreter of the check; no two checks have the same value."""


def environment(
    own: Mapping[str, str],
    *,
    control: int,
    recorder: int,
    redirect: bool,
    before: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """
    Give the environment to start the service with.

    Args:
        own: What the user sets.
        control: The port on which notes are taken.
        recorder: The port of the recorder.
        redirect: Whether calls must be led to the recorder from inside the service.
        before: The environment that it would have had.
    """
    settings = {"port": control, "redirect": redirect, "leave": [control, recorder]}
    given = {**before, **own}
    paths = [str(_INTERPRETER), given.get("PYTHONPATH", "")]
    made = {
        # What an SDK of OpenTelemetry exports is to be seen soon.
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **given,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        MARK: json.dumps(settings),
    }
    if redirect:
        proxy = f"http://127.0.0.1:{recorder}"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            made[name] = proxy
        made["NO_PROXY"] = made["no_proxy"] = ""
    return made

"""What the Envoys note about headers, read back."""

from __future__ import annotations

import json
from pathlib import Path

from examples.bookinfo.runner.headers import Passage, passages

TRACEPARENT = "00-{}-{}-01"


def _note(file: Path, moment: str, request: str, **headers: str | None) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    line = json.dumps({"moment": moment, "request": request, "headers": named})
    with file.open("a") as notes:
        notes.write(line + "\n")


def test_what_came_and_what_went_belong_together(tmp_path: Path) -> None:
    """By the request, also when two are going on at once; the span's id is on what went."""
    file = tmp_path / "details.headers"
    _note(file, "DownstreamStart", "1", x_b3_spanid="a", host="details")
    _note(file, "DownstreamStart", "2", traceparent=TRACEPARENT.format("t", "b"))
    _note(file, "DownstreamEnd", "2", traceparent=TRACEPARENT.format("t", "c"))
    _note(file, "DownstreamEnd", "1", x_b3_spanid="d", host="details")
    before, after = TRACEPARENT.format("t", "b"), TRACEPARENT.format("t", "c")
    assert {
        "c": Passage({"traceparent": before}, {"traceparent": after}),
        "d": Passage(
            {"x-b3-spanid": "a", "host": "details"}, {"x-b3-spanid": "d", "host": "details"}
        ),
    } == passages(tmp_path)


def test_older_envoys_write_null_for_what_is_not_there(tmp_path: Path) -> None:
    """It is not there."""
    file = tmp_path / "details.headers"
    _note(file, "DownstreamStart", "1", b3=None)
    _note(file, "DownstreamEnd", "1", b3=None, x_b3_spanid="a", tracestate="")
    assert {"a": Passage({}, {"x-b3-spanid": "a"})} == passages(tmp_path)


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    """Envoy writes while we read."""
    file = tmp_path / "details.headers"
    _note(file, "DownstreamEnd", "1", x_b3_spanid="a")
    with file.open("a") as notes:
        notes.write('{"moment": "Downstr')
    assert {"a"} == set(passages(tmp_path))

"""What calls are answered with."""

from pathlib import Path

import pytest

from meshtrace.checker.answers import Answers


def test_files_by_pattern(tmp_path: Path) -> None:
    """The first pattern that fits decides, by host and path, with and without the port."""
    (tmp_path / "a.json").write_text("[1]")
    (tmp_path / "b").write_text("b")
    answers = Answers([f"ratings:9080/*={tmp_path}/a.json", f"ratings/*={tmp_path}/b", "*=503"])
    assert (200, "application/json", b"[1]") == answers.to("ratings", 9080, "/0?x=1")
    assert (200, "text/plain", b"b") == answers.to("ratings", 80, "/0")
    assert (503, "text/plain", b"") == answers.to("reviews", 80, "/0")


def test_a_file_for_all(tmp_path: Path) -> None:
    """A file without a pattern is for every call, also where its name is a number."""
    (tmp_path / "503").write_text("five")
    assert b"five" == Answers([f"{tmp_path}/503"]).to("reviews", 80, "/").body


def test_answers_in_turn() -> None:
    """A pattern that is given again has its answers used one after another."""
    answers = Answers(["*=500", "*=200"])
    assert [500, 200, 200] == [answers.to("a", 80, "/").status for _ in range(3)]


@pytest.mark.parametrize(
    ("given", "error"), [("*=/no/such/file", OSError), ("*=999", ValueError), ("*=", OSError)]
)
def test_what_cannot_be_used(given: str, error: type[Exception]) -> None:
    """A file that is not there, and a status that is none, are errors at the start."""
    with pytest.raises(error):
        Answers([given])

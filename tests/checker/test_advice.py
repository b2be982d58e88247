"""What to write into a command, so that it listens where the checker looks."""

import pytest

from meshtrace.checker.advice import where_to_listen


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        pytest.param("python -m flask run", "of flask: --port {port}", id="a module"),
        pytest.param("/opt/bin/gunicorn -w 4 shop:app", "--bind 127.0.0.1:{port}", id="a path"),
    ],
)
def test_what_to_add(command: str, advice: str) -> None:
    """It is said as the server has it."""
    assert where_to_listen(command.split()).endswith(advice)


def test_no_known_server() -> None:
    """Of a program that nobody knows, nothing is said."""
    assert "" == where_to_listen(["python", "shop.py"])

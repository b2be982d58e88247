"""The errors, and whose fault each one is."""

import pickle

import pytest

from meshtrace import ConfigurationError, MalformedHeaderError, MeshTraceError
from meshtrace.formats import b3


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(MalformedHeaderError("b3", "no"), id="a malformed header"),
        pytest.param(ConfigurationError("no"), id="a wrong setting"),
    ],
)
def test_every_error_has_one_root(error: Exception) -> None:
    """Each error is a MeshTraceError and a ValueError."""
    assert isinstance(error, MeshTraceError)
    assert isinstance(error, ValueError)


def test_a_malformed_header_says_which_and_why() -> None:
    """The field and the reason are there apart, and together as the message."""
    error = MalformedHeaderError("b3", "the span id is not 16 hex digits")
    assert ("b3", "the span id is not 16 hex digits") == (error.field, error.reason)
    assert "b3: the span id is not 16 hex digits" == str(error)


def test_a_malformed_header_survives_pickling() -> None:
    """A process pool can hand it back."""
    error = pickle.loads(pickle.dumps(MalformedHeaderError("b3", "no")))  # noqa: S301 - pickled here
    assert ("b3", "no", "b3: no") == (error.field, error.reason, str(error))


def test_a_malformed_header_does_not_repeat_what_came() -> None:
    """The text came from outside, and a message ends up in a log."""
    with pytest.raises(MalformedHeaderError) as raised:
        b3.parse_b3("secret-from-outside")
    assert "secret" not in f"{raised.value} {raised.value!r} {raised.value.args}"

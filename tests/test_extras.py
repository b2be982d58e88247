"""A missing library is told with what to type; whatever else goes wrong is told as ever."""

import importlib

import pytest

from meshtrace.extras import needed


def test_a_missing_library() -> None:
    """The message names the library, and the extra that brings it; nothing else is shown."""
    with pytest.raises(ModuleNotFoundError) as raised, needed("grpc"):
        importlib.import_module("meshtrace_test_nowhere")
    assert (
        "meshtrace_test_nowhere is not installed: pip install 'meshtrace[grpc]'",
        "meshtrace_test_nowhere",
        True,
    ) == (str(raised.value), raised.value.name, raised.value.__suppress_context__)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(
            ModuleNotFoundError("half", name="json.nowhere"),
            ModuleNotFoundError,
            id="a part that is missing",
        ),
        pytest.param(
            ModuleNotFoundError("unnamed"), ModuleNotFoundError, id="a module without a name"
        ),
        pytest.param(ValueError("broken"), ValueError, id="a library that fails"),
    ],
)
def test_another_error(error: Exception, kind: type[Exception]) -> None:
    """What is not a missing library is not changed."""
    with pytest.raises(kind) as raised, needed("grpc"):
        raise error
    assert error is raised.value

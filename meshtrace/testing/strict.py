"""``pytest --meshtrace-strict``: no test may let a call lose what its request brought."""

from collections.abc import Generator

import pytest

from meshtrace.testing.recorder import Recorder
from meshtrace.testing.verdict import difference, says

__all__ = ["Strict"]


class Strict:
    """Judges every call that is made while a test runs."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run one test, and fail it for what its calls lost."""
        marker = item.get_closest_marker("meshtrace")
        if marker is not None and not marker.kwargs.get("strict", True):
            return (yield)
        with Recorder() as recorder:
            result = yield
        lost = [
            says(call, found, was_read=recorder.has_read)
            for call in recorder.calls
            if not call.delivers and (found := difference(call))
        ]
        if lost:
            pytest.fail("--meshtrace-strict: " + "\n".join(lost), pytrace=False)
        return result

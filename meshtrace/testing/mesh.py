"""The fixture ``meshtrace``: the mesh around the application under test."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import meshtrace
from meshtrace.handover import use
from meshtrace.testing.envoy import FakeEnvoy
from meshtrace.testing.recorder import Outgoing, Recorder
from meshtrace.testing.verdict import difference, says

__all__ = ["Mesh"]


class Mesh:
    """
    What sends requests to the application under test, and sees the calls that it makes for them.

    Every name of the module ``meshtrace``, which a parameter of this name hides, is here as well:
    ``meshtrace.wrap(session)``, ``meshtrace.patch()``, ``meshtrace.explain()``.

    Attributes:
        recorder: What keeps the calls.
    """

    def __init__(self) -> None:
        self.recorder = Recorder()

    def __enter__(self) -> Self:
        self.recorder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.recorder.__exit__(*error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever meshtrace has
        return getattr(meshtrace, name)

    def envoy(
        self,
        provider: str = "zipkin",
        *,
        sampled: bool | None = True,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """
        Make the headers of one request, as a sidecar sends it to the application.

        Args:
            provider: As `FakeEnvoy` takes it.
            sampled: As `FakeEnvoy` takes it.
            headers: Headers beside those of the sidecar, such as ``{"end-user": "jason"}``.
        """
        made = FakeEnvoy(provider, sampled=sampled).headers(headers)
        self.recorder.tell(made)
        return made

    @contextmanager
    def request(
        self,
        provider: str = "zipkin",
        *,
        sampled: bool | None = True,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[dict[str, str]]:
        """
        Run code for one request, where no application is to be called.

        Args:
            provider: As `FakeEnvoy` takes it.
            sampled: As `FakeEnvoy` takes it.
            headers: Headers beside those of the sidecar.
        """
        made = self.envoy(provider, sampled=sampled, headers=headers)
        with use(made):
            yield made

    @property
    def calls(self) -> list[Outgoing]:
        """The calls made so far, in the order in which they began, but for the test's own."""
        return [call for call in self.recorder.calls if not call.delivers]

    def assert_propagated(
        self, to: str = "", *, times: int | None = None, also: Sequence[str] = ()
    ) -> None:
        """
        Assert that calls were made, and that each left with what its request brought.

        Args:
            to: Where to: a host, ``host:port``, or the beginning of a URL; empty means anywhere.
            times: How many calls, exactly; None means at least one.
            also: Names that each call must have, too: ``("end-user",)``.

        Raises:
            AssertionError: None was made, or another number; or one lost or changed something.
        """
        __tracebackhide__ = True
        among = self.recorder.calls if to else self.calls
        calls = [call for call in among if not to or call.goes_to(to)]
        if not calls or times not in {None, len(calls)}:
            wanted = "one call at least" if times is None else f"{times} calls"
            seen = "\n".join(f"  {call!r}" for call in self.calls) or "  none"
            raise AssertionError(
                f"{wanted}{to and ' to '}{to} expected, {len(calls)} made; calls seen:\n{seen}"
            )
        for call in calls:
            if not call.came:
                raise AssertionError(
                    f"{call!r} was made for no request that brought trace headers: send one with "
                    "headers=meshtrace.envoy(), or make the call in `with meshtrace.request():`"
                )
            found = difference(call, also)
            if found:
                raise AssertionError(says(call, found, was_read=self.recorder.has_read))

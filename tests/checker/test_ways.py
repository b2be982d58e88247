"""Which way is used, and what is said of it."""

import pytest

from meshtrace.checker.check import Checked
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.isolation import namespace
from meshtrace.checker.plan import Isolate, Plan
from meshtrace.checker.prober import Request
from meshtrace.checker.ways import Way, choose

PLAN = Plan((Request(),))
RUNNING = Plan((Request(),), listen=("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("isolate", "plan", "inside", "allowed", "way"),
    [
        pytest.param(
            "auto", PLAN, False, True, Way("namespace", ("-U",)), id="a namespace can be had"
        ),
        pytest.param("auto", PLAN, True, True, Way("namespace"), id="inside it"),
        pytest.param("auto", PLAN, False, False, Way("redirect", reason="no"), id="it cannot"),
        pytest.param("never", PLAN, False, True, Way("redirect"), id="it is not wanted"),
        pytest.param("auto", RUNNING, False, True, Way("told"), id="the service runs already"),
    ],
)
def test_the_way(  # noqa: PLR0913, PLR0917 - all that it depends on
    isolate: Isolate,
    plan: Plan,
    inside: bool,  # noqa: FBT001 - the case
    allowed: bool,  # noqa: FBT001 - the case
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A namespace where it can be had and is wanted, else from inside the interpreter."""
    monkeypatch.setattr(namespace, "flags", lambda: (["-U"], "") if allowed else ([], "no"))
    assert way == choose(isolate, plan, inside=inside)


@pytest.mark.parametrize("plan", [PLAN, RUNNING])
def test_a_namespace_that_must_be(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be had, the service is not checked."""
    monkeypatch.setattr(namespace, "flags", lambda: ([], "no"))
    with pytest.raises(CannotCheckError):
        choose("always", plan, inside=False)


@pytest.mark.parametrize(
    ("way", "redirected", "said"),
    [
        (Way("namespace"), False, "nothing left this machine"),
        (Way("namespace", forward_to="db"), False, "but what was passed on to db"),
        (Way("told"), False, "what the service was told to send here"),
        (Way("redirect", reason="no unshare"), True, "not isolated (no unshare): the probes'"),
        (Way("redirect"), True, "redirecting Python's connections"),
        (Way("redirect"), False, "HTTP_PROXY and {recorder} only"),
    ],
)
def test_what_is_said(way: Way, redirected: bool, said: str) -> None:  # noqa: FBT001 - the case
    """The report says how calls were caught, and what that cannot see."""
    assert said in "\n".join(way.said(Checked(redirected=redirected)))

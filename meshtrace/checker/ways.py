"""Which way a service's calls are caught, and what that way cannot see."""

from dataclasses import dataclass

from meshtrace.checker.check import Checked
from meshtrace.checker.errors import CannotCheckError
from meshtrace.checker.isolation import namespace
from meshtrace.checker.plan import Isolate, Plan

__all__ = ["Way", "choose"]


@dataclass(frozen=True)
class Way:
    """
    A way.

    Attributes:
        kind: ``namespace``, ``redirect`` or ``told``.
        flags: What to enter the namespace with; empty when it is not to be entered.
        reason: Why there is no namespace; empty when nobody wanted one.
        forward_to: Where calls are passed on to.
    """

    kind: str
    flags: tuple[str, ...] = ()
    reason: str = ""
    forward_to: str = ""

    def said(self, checked: Checked) -> list[str]:
        """Give the lines of the report about it."""
        lines = []
        if self.kind == "namespace":
            but = f", but what was passed on to {self.forward_to}" if self.forward_to else ""
            lines.append(f"caught in a network of its own: nothing left this machine{but}")
        elif self.kind == "told":
            lines.append("not isolated: seen is what the service was told to send here, no other")
        else:
            why = f" ({self.reason})" if self.reason else ""
            lines.append(f"not isolated{why}: the probes' headers may have reached other hosts")
            if checked.redirected:
                lines.append(
                    "caught by redirecting Python's connections; not seen: other languages that "
                    "do not obey HTTP_PROXY"
                )
            else:
                lines.append(
                    "caught by HTTP_PROXY and {recorder} only; not seen: clients that obey no "
                    "proxy variable, such as Node's"
                )
        return lines


def choose(isolate: Isolate, plan: Plan, *, inside: bool) -> Way:
    """
    Choose a way.

    Args:
        isolate: What the user wants.
        plan: What is checked.
        inside: Whether this process is in the namespace already.

    Raises:
        CannotCheckError: A namespace is wanted, and cannot be had.
    """
    if plan.listen is not None:
        if isolate == "always":
            raise CannotCheckError("a service that runs already cannot be isolated")
        return Way("told")
    if inside:
        return Way("namespace", forward_to=plan.forward_to)
    if isolate == "never":
        return Way("redirect")
    flags, reason = namespace.flags()
    if flags:
        return Way("namespace", tuple(flags))
    if isolate == "always":
        raise CannotCheckError(f"no network namespace can be had: {reason}")
    return Way("redirect", reason=reason)

"""Judging in few words."""

from typing import Unpack

from meshtrace.relay.judge import Accepted, judge
from meshtrace.relay.rules import InboundRules
from meshtrace.settings import Options


def judged(*pairs: tuple[str, str], **options: Unpack[Options]) -> Accepted:
    """Judge fields under some settings."""
    return judge(pairs, InboundRules.of(**options))


def all_of(accepted: Accepted) -> dict[str, str]:
    """Give all that a host of the mesh gets."""
    return {**accepted.ids, **accepted.vendor_data, **accepted.user_data}


def goes_on(*pairs: tuple[str, str], **options: Unpack[Options]) -> dict[str, str]:
    """Give what a host of the mesh gets of some fields."""
    return all_of(judged(*pairs, **options))

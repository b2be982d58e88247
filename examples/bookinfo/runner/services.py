"""The services of the bookshop, as a Kubernetes manifest would list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Service:
    """
    One workload: what runs, and what is special in its environment.

    Args:
        workload: Its own name, unlike every other's.
        module: What ``python -m`` is to run.
        environment: Variables on top of those that every service gets; ``${directory}`` in them
            is where this run of the mesh keeps its files.
    """

    workload: str
    module: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that it is called by, shared by its versions."""
        return self.workload.partition("-")[0]


# Only what came in with a request goes out again, and of that the trace headers alone, unless told.
CARRIES_THE_USER = {"MESHTRACE_FORWARD": "end-user"}

BOOKINFO = (
    Service("productpage", "examples.bookinfo.productpage"),
    Service("details", "examples.bookinfo.details"),
    Service("reviews-v1", "examples.bookinfo.reviews", {"VERSION": "v1", **CARRIES_THE_USER}),
    Service("reviews-v2", "examples.bookinfo.reviews", {"VERSION": "v2", **CARRIES_THE_USER}),
    Service("reviews-v3", "examples.bookinfo.reviews", {"VERSION": "v3", **CARRIES_THE_USER}),
    Service("ratings", "examples.bookinfo.ratings", {"RATINGS_DB": "${directory}/ratings.sqlite"}),
)

"""Bookinfo's four services pass, and a hop that does not forward is named."""

import os
import sys
from pathlib import Path

import pytest

from tests.checker.checking import Said, check, needs_namespace, on_one_python

SERVICES = {
    "productpage": ("/productpage", ()),
    "details": ("/details/0", ("--leaf",)),
    "reviews": ("/reviews/0", ("--env", "VERSION=v2")),
    "ratings": ("/ratings/0", ("--leaf",)),
}


def _check(service: str, directory: Path, *more: str) -> Said:
    path, options = SERVICES[service]
    return check(
        *("--json", "--path", path, "--env", "PORT={port}", *options, *more),
        *("--env", f"RATINGS_DB={directory / 'ratings.sqlite'}"),
        *("--", sys.executable, "-m", f"examples.bookinfo.{service}"),
        env={name: value for name, value in os.environ.items() if name != "LISTEN_FD"},
    )


@on_one_python
@needs_namespace
@pytest.mark.parametrize("service", SERVICES)
def test_each_service_passes(service: str, tmp_path: Path) -> None:
    """What comes to a service of bookinfo goes on; the two that call nobody are leaves."""
    said = _check(service, tmp_path)
    assert (0, set()) == (said.status, said.faults)


@on_one_python
@needs_namespace
def test_a_hop_that_does_not_forward_is_named(tmp_path: Path) -> None:
    """With forwarding off in reviews, the check of reviews names its call to ratings."""
    said = _check("reviews", tmp_path, "--env", "MESHTRACE_DISABLED=1")
    assert (1, {("GET http://ratings:9080/ratings/0", "disabled")}) == (said.status, said.faults)


@on_one_python
@needs_namespace
def test_one_call_of_two_is_named(tmp_path: Path) -> None:
    """When productpage gives one of the services nothing, the call to that one is the finding."""
    said = _check("productpage", tmp_path, "--env", "MESHTRACE_DENY_HOSTS=reviews")
    fault = ("GET http://reviews:9080/reviews/0", "client-not-wrapped")
    assert (1, {fault}) == (said.status, said.faults)

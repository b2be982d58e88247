"""What can be asked of the demo: each as a flag and, for ``make demo``, as a variable."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from examples.bookinfo.runner import export, sidecars

T = TypeVar("T", int, float)

# The variable beside each flag that has one; a flag without a value is set by 1.
VARIABLES = {
    "TRACER": "--tracer",
    "SAMPLING": "--sampling",
    "WITHOUT": "--without",
    "SPANS": "--spans",
    "ENVOY": "--envoy",
    "ENVOY_VERSION": "--envoy-version",
    "ONCE": "--once",
    "EXPORT": "--export",
}
SWITCHES = {"WITHOUT", "SPANS", "ONCE"}
OFF = {"0", "false", "no", "off"}


@dataclass(frozen=True)
class Options:
    """What the user wants to see."""

    tracer: str
    sampling: float
    without: bool
    spans: bool
    envoy: str | None
    envoy_version: str | None
    once: bool
    port: int
    export: str | None


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Read the flags, and the variables for those not given; a wrong one ends the program."""
    given = _parser().parse_args([*_as_flags(environment), *arguments])
    return Options(**vars(given))


def _as_flags(environment: Mapping[str, str]) -> list[str]:
    flags = []
    for variable, flag in VARIABLES.items():
        value = environment.get(variable, "")
        if variable not in SWITCHES and value:
            flags.append(f"{flag}={value}")
        elif value and value.lower() not in OFF:
            flags.append(flag)
    return flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.bookinfo",
        description="Four services behind real Envoy sidecars, and one trace through all of them.",
        epilog=f"Also as variables: {', '.join(VARIABLES)}; WITHOUT=1, SPANS=1, ONCE=1 switch on.",
    )
    parser.add_argument(
        "--tracer",
        choices=sorted(sidecars.TRACERS),
        default="zipkin",
        help="how the Envoys trace (default: zipkin, as Istio does)",
    )
    parser.add_argument(
        "--sampling",
        type=_percentage,
        default=100,
        metavar="PERCENT",
        help="how many of a hundred requests are traced (default: 100)",
    )
    parser.add_argument(
        "--without", action="store_true", help="switch meshtrace off, and see the traces break"
    )
    parser.add_argument(
        "--spans",
        action="store_true",
        help="let the services make spans of their own, between those of the Envoys",
    )
    parser.add_argument("--envoy", metavar="PATH", help="the Envoy binary to run")
    parser.add_argument(
        "--envoy-version",
        metavar="VERSION",
        help="install this version of Envoy beside the project's, and run it",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="do not go on serving: end, with status 0 if all is well",
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="where to serve the page (default: any free port)"
    )
    parser.add_argument(
        "--export",
        type=_collector,
        metavar="URL",
        help="send the spans on to a collector of yours: to Zipkin at .../api/v2/spans, or by "
        "OTLP over HTTP to .../v1/traces",
    )
    return parser


def _collector(text: str) -> str:
    try:
        return export.checked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _percentage(text: str) -> float:
    return _number(text, float, 100, "a percentage")


def _port(text: str) -> int:
    return _number(text, int, (1 << 16) - 1, "a port")


def _number(text: str, kind: type[T], most: float, what: str) -> T:
    try:
        value = kind(text)
    except ValueError:
        value = kind(-1)
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return value

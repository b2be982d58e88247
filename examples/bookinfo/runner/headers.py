"""The headers that each Envoy saw: as they came to it, and as it passed them on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".headers"


@dataclass(frozen=True)
class Passage:
    """One request going through one Envoy."""

    came: Mapping[str, str]
    went: Mapping[str, str]


def passages(directory: Path) -> dict[str, Passage]:
    """
    Return what the Envoys noted in *directory*, by the id of the span that they reported for it.

    Envoy puts the id of its own span on what it passes on; that tells which request it was.
    """
    return {
        span_id: passage
        for file in sorted(directory.glob(f"*{SUFFIX}"))
        for passage in _passages(file)
        if (span_id := _span_id(passage.went))
    }


def _passages(file: Path) -> Iterator[Passage]:
    came: dict[str, dict[str, str]] = {}
    for line in _lines(file):
        # Before 1.37 Envoy writes null for what is not there.
        headers = {name: value for name, value in line["headers"].items() if value}
        if line["moment"] == "DownstreamStart":
            came[line["request"]] = headers
        else:
            yield Passage(came.pop(line["request"], {}), headers)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # else it is still being written
            yield json.loads(line)


def _span_id(headers: Mapping[str, str]) -> str | None:
    if "traceparent" in headers:
        return headers["traceparent"].split("-")[2]
    return headers.get("x-b3-spanid")

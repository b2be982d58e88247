"""The Envoy files in ``sidecars/``, with their blanks filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

import yaml

DIRECTORY = Path(__file__).parents[1] / "sidecars"
TRACERS = {file.stem: file for file in sorted((DIRECTORY / "tracers").glob("*.yaml"))}


def render(name: str, values: Mapping[str, object], replaced: Mapping[str, Path]) -> str:
    """
    Return the configuration that an Envoy gets.

    Args:
        name: The file to begin with.
        values: What to put for each ``${placeholder}``.
        replaced: Files to take instead of those of ours with these names.
    """
    return yaml.safe_dump(_load(name, values, replaced), sort_keys=False, width=120)


def _load(name: str, values: Mapping[str, object], replaced: Mapping[str, Path]) -> object:
    class Loader(yaml.SafeLoader):
        """Understands ``!include``."""

    def include(loader: Loader, node: yaml.ScalarNode) -> object:
        return _load(str(loader.construct_scalar(node)), values, replaced)

    Loader.add_constructor("!include", include)
    file = replaced.get(name, DIRECTORY / name)
    content: object = yaml.load(Template(file.read_text()).substitute(values), Loader)  # noqa: S506 - a SafeLoader
    return content

"""How Sphinx makes the documentation."""

import importlib.metadata

project = "meshtrace"
author = "The meshtrace authors"
release = importlib.metadata.version("meshtrace")

extensions = ["myst_parser"]
html_theme = "furo"
html_title = f"meshtrace {release}"

"""What is here runs where nothing is installed beside meshtrace: ``make nooptionals``."""

from importlib.util import find_spec

collect_ignore_glob = ["test_*.py"] if find_spec("requests") else []

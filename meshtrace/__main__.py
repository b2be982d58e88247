"""``python -m meshtrace``: the command ``meshtrace``."""

import sys

from meshtrace.cli import main

if __name__ == "__main__":
    sys.exit(main())

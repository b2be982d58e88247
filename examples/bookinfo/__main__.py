"""``python -m examples.bookinfo``: see `runner.options` for what it can be told."""

from __future__ import annotations

import os
import signal
import sys

from rich.text import Text

from examples.bookinfo.runner import demo, options, report
from examples.bookinfo.runner.errors import DemoError

INTERRUPTED = 130


def main() -> int:
    """Run the demo and return the exit status."""
    wanted = options.read(sys.argv[1:], os.environ)
    # However we are asked to end, we end as for Ctrl-C: tidily.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    terminal = sys.stdout.isatty()
    console = report.console(terminal=terminal)
    try:
        good = demo.run(wanted, console, keep_serving=terminal and not wanted.once)
    except DemoError as error:
        console.print(Text(f"bookinfo: {error}", style="bold red"), soft_wrap=True)
        for line in error.output:
            console.print(Text(f"  {line}"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""The program's first step, which imports next to nothing: its parent stays as small as this."""

import os
import sys
from itertools import pairwise

from cnn_tui.terminal.supervisor import supervise

DASHBOARDS = (None, "run", "watch", "resume", "compare", "import", "explain")
"""Commands that may take the whole screen; None is the browser of runs."""

HEADLESS = {"--no-ui", "--json", "-h", "--help", "--version"}
"""Options with which they do not."""


def main() -> None:
    """Run the command line, under a supervisor where it may open a dashboard."""
    if may_open_dashboard(sys.argv[1:]) and all(os.isatty(number) for number in range(3)):
        supervise()
    from cnn_tui.cli.app import main as run_command_line  # noqa: PLC0415 - in the child alone

    run_command_line()


def may_open_dashboard(arguments: list[str]) -> bool:
    """Whether these ask for a dashboard, by a look that may err: that costs a process at most."""
    command = next(
        (
            word
            for before, word in pairwise(["", *arguments])
            if not word.startswith("-") and before != "--theme"
        ),
        None,
    )
    return command in DASHBOARDS and not HEADLESS.intersection(arguments)

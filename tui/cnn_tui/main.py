"""The entry point. It imports almost nothing, because the supervising parent stays in memory."""

import os
import sys
from itertools import pairwise

from cnn_tui.terminal.environment import is_plain_terminal, normalize_environment
from cnn_tui.terminal.output import prepare_standard_streams
from cnn_tui.terminal.supervisor import supervise

DASHBOARDS = (None, "run", "watch", "resume", "compare", "import", "explain")
"""Commands that may open a dashboard; None is the run browser."""

HEADLESS = {"--no-ui", "--json", "-h", "--help", "--version"}
"""Options that prevent a dashboard."""


def main() -> None:
    """Run the command line, with a supervisor if it may open a dashboard."""
    normalize_environment()
    has_terminal = all(os.isatty(number) for number in range(3)) and not is_plain_terminal()
    if has_terminal and may_open_dashboard(sys.argv[1:]):
        supervise()
    prepare_standard_streams()
    from cnn_tui.cli.app import main as run_command_line  # noqa: PLC0415 - only in the child

    run_command_line()


def may_open_dashboard(arguments: list[str]) -> bool:
    """Return True if the arguments may open a dashboard.

    A false positive only costs an extra process.
    """
    command = next(
        (
            word
            for previous, word in pairwise(["", *arguments])
            if not word.startswith("-") and previous not in ("--theme", "--runs-dir")
        ),
        None,
    )
    return command in DASHBOARDS and not HEADLESS.intersection(arguments)

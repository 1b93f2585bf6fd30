"""`cnn-tui doctor`: abilities of this machine and this terminal."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnn_tui.cli.options import RUNS_DIR_HELP, AsJson
from cnn_tui.terminal.progress_line import ProgressLine
from cnn_tui.text.json import to_json


def doctor(
    runs_dir: Annotated[Path | None, typer.Option(metavar="DIR", help=RUNS_DIR_HELP)] = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and this terminal: PyTorch, GPU, threads, disk, colours, characters.

    Suggests a fix for each problem. PyTorch is loaded only if there may be a GPU.
    """
    from cnn_tui.reports.console import results_console
    from cnn_tui.reports.doctor import find_checks, print_check

    with ProgressLine(sys.stderr) as progress:
        checks = list(find_checks(runs_dir, progress.write))
    if as_json:
        values = [check._asdict() for check in checks]
        for value in values:
            del value["exit_code"]
        print(to_json(values))
    else:
        console = results_console()
        for check in checks:
            print_check(console, check)
    sys.exit(max(check.exit_code for check in checks))

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
    network: Annotated[
        bool, typer.Option("--network", help="Also check that CIFAR-10 can be downloaded.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check this machine and this terminal, and suggest what to do.

    Software, processor, threads, memory, GPU, directories, colours, characters, clipboard.

    Exit code 0 if training works, 2 if PyTorch or a GPU does not, 5 if runs cannot be saved.
    """
    from cnn_tui.doctor.checks import exit_code, find_groups, to_dict
    from cnn_tui.reports.console import results_console
    from cnn_tui.reports.doctor import print_groups

    with ProgressLine(sys.stderr) as progress:
        groups = find_groups(runs_dir, progress.write, network=network)
    if as_json:
        print(to_json(to_dict(groups)))
    else:
        print_groups(results_console(), groups)
    sys.exit(exit_code(groups))

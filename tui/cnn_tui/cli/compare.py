"""`cnn-tui compare`: several runs side by side."""

import sys
from itertools import combinations
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_engine.runs.hints import command_in
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import RUN_HELP, AsJson, RunsDir, display_options, resolve_run
from cnn_tui.settings import DEFAULT_OPTIONS, Options
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.json import to_json


@display_options()
def compare(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help=f"Two or more runs. {RUN_HELP}",
            autocompletion=complete_run,
        ),
    ],
    runs_dir: RunsDir = None,
    as_json: AsJson = False,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Print the comparison.")] = False,
    *,
    options: Options = DEFAULT_OPTIONS,
) -> None:
    """Compare runs: curves, metrics, config differences, classes, significance.

    McNemar's test compares every run with the first, if both were tested on
    the same images. Prints the comparison with --no-ui or outside a terminal.
    """
    if len(references) < 2:
        listing = command_in(runs_dir, "runs")
        raise ConfigError(f"compare: needs two or more runs; list them with: {listing}")
    runs = [resolve_run(reference, runs_dir) for reference in references]
    for earlier, run in combinations(runs, 2):
        if run.path.resolve() == earlier.path.resolve():
            raise ConfigError(f"compare: {run.id} is given twice; name different runs")
    if not as_json and not no_ui and has_terminal():
        from cnn_tui.dashboard.launch import compare_runs

        sys.exit(compare_runs(runs, options))
    from cnn_engine.results import comparison

    compared = comparison.compare(runs)
    if as_json:
        print(to_json(comparison.as_dict(compared)))
    else:
        from cnn_tui.reports.comparison import print_comparison

        print_comparison(compared)

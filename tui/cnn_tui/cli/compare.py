"""`cnn-tui compare`: several runs side by side."""

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_engine.results.group_comparison import RunSet, sets_of_group
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.series import group_of
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.groups import find_group
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
            help=f"Two or more runs or series (group:RUN). {RUN_HELP}",
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
    the same images. Of a series (group:RUN, or the id of its first run), the
    mean ± std of each setting is compared. Prints with --no-ui or outside a terminal.
    """
    sets = find_compared(references, runs_dir)
    if len(sets) < 2:
        listing = command_in(runs_dir, "runs")
        raise ConfigError(f"compare: needs two or more runs; list them with: {listing}")
    if not as_json and not no_ui and has_terminal():
        from cnn_tui.dashboard.launch import compare_runs

        sys.exit(compare_runs(sets, options))
    if any(each.group for each in sets):
        _print_sets(sets, as_json=as_json)
        return
    from cnn_engine.results import comparison

    compared = comparison.compare([run for each in sets for run in each.runs])
    if as_json:
        print(to_json(comparison.as_dict(compared)))
    else:
        from cnn_tui.reports.comparison import print_comparison

        print_comparison(compared)


def _print_sets(sets: Sequence[RunSet], *, as_json: bool) -> None:
    from cnn_engine.results import group_comparison

    compared = group_comparison.compare_sets(sets)
    if as_json:
        print(to_json(group_comparison.as_dict(compared)))
    else:
        from cnn_tui.reports.set_comparison import print_set_comparison

        print_set_comparison(compared)


def find_compared(references: Sequence[str], runs_dir: Path | None) -> list[RunSet]:
    """Return what is compared: runs, and series, which have a set for each setting.

    The id of a first run means its series, unless another run of the series is named, too.

    Raises:
        ConfigError: a reference matches no run, or a run is given twice.
    """
    groups = [find_group(reference, runs_dir, by_first_run=True) for reference in references]
    singles = [
        resolve_run(reference, runs_dir)
        for reference, group in zip(references, groups, strict=True)
        if group is None
    ]
    split = {group_of(run) for run in singles} - {""}
    sets = list[RunSet]()
    for reference, group in zip(references, groups, strict=True):
        if group is None or (group.id in split and reference == group.id):
            run = resolve_run(reference, runs_dir)
            sets.append(RunSet(run.id, (run,)))
        else:
            found = group.read()
            runs = [RunDirectory(group.runs_dir / run.run_id) for run in found.runs]
            sets += sets_of_group(found, runs)
    for earlier, each in combinations(sets, 2):
        known = {run.path.resolve() for run in earlier.runs}
        for run in each.runs:
            if run.path.resolve() in known:
                raise ConfigError(f"compare: {run.id} is given twice; name different runs")
    return sets

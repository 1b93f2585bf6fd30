"""`cnn-tui runs` and `show`: list runs, and print one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.runs.directory import default_runs_dir
from cnn_engine.runs.hints import how_to_start
from cnn_tui.cli.completion import complete_sort_key
from cnn_tui.cli.groups import find_group
from cnn_tui.cli.options import AsJson, RunReference, RunsDir, resolve_run
from cnn_tui.text.json import to_json
from cnn_tui.text.safe import escaped


def list_runs(  # noqa: PLR0913 - one parameter per option
    runs_dir: RunsDir = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="EXPR",
            help="Only matching runs, e.g. 'acc>0.9 lr<=0.001 status=done model~cnn tag=paper "
            "started>7d'; names with spaces or parentheses are quoted: '\"D(x)\">0.5'.",
        ),
    ] = "",
    sort: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="Column, series or config key to sort by; prefix with - for descending.",
            autocompletion=complete_sort_key,
        ),
    ] = "-started",
    groups: Annotated[
        bool,
        typer.Option("--groups", help="List each series in one line instead, with mean ± std."),
    ] = False,
    curves: Annotated[
        bool, typer.Option("--curves", help="Add a column with the validation losses as curves.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    from cnn_engine.runs.run_list import RunList
    from cnn_engine.runs.selection import select_runs
    from cnn_engine.session.holder_process import start_holder

    start_holder()
    directory = runs_dir or default_runs_dir()
    found = RunList(directory)
    found.refresh()
    selected = select_runs(found.runs, filter_, sort)
    if groups:
        from cnn_engine.runs.groups import find_groups

        by_id = find_groups(found.runs, directory)
        ids = dict.fromkeys(run.group for run in selected.runs if run.group)
        shown = [by_id[group] for group in ids]
        if as_json:
            print(to_json([group.as_dict() for group in shown]))
        elif shown:
            from cnn_tui.reports.runs import print_groups

            print_groups(shown)
        else:
            text = "No series of runs; start one with run --repeat, --sweep or --folds"
            print(text, file=sys.stderr)
    elif as_json:
        print(to_json([run.as_dict() for run in selected.runs]))
    elif selected.runs:
        from cnn_tui.reports.runs import print_runs

        print_runs(selected.runs, selected.columns, curves=curves)
    elif found.runs:
        text = f"None of {len(found.runs):,} runs in {directory} matches: {filter_}"
        print(f"cnn-tui: {escaped(text, 4000)}", file=sys.stderr)
    else:
        text = f"No runs in {directory} yet; {how_to_start(directory)}"
        print(escaped(text, 4000), file=sys.stderr)


def show(
    reference: RunReference = "latest",
    mistakes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Instead, write a list of the misclassified test images as CSV."
        ),
    ] = None,
    runs_dir: RunsDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a summary of a run: metrics, loss curve, classes and test results.

    Of a series, as group:RUN, the table of mean ± std and the runs.
    """
    if mistakes is None and (group := find_group(reference, runs_dir)) is not None:
        from cnn_tui.reports.series import as_dict, show_series

        found = group.read()
        if as_json:
            print(to_json(as_dict(found, group.runs_dir)))
        else:
            show_series(found, group.runs_dir)
        return
    run = resolve_run(reference, runs_dir)
    if mistakes is not None:
        from cnn_engine.runs.summary import read_state
        from cnn_tui.exports.mistakes import write_mistakes

        count = write_mistakes(run, read_state(run)[0], mistakes)
        path = escaped(str(mistakes), 1000)
        print(f"{count:,} misclassified images written to {path}", file=sys.stderr)
    elif as_json:
        from cnn_tui.exports.record import read_record, to_dict

        print(to_json(to_dict(read_record(run))))
    else:
        from cnn_tui.reports.run import show_run

        show_run(run)

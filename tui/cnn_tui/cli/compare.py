"""`cnn-tui compare`: several runs side by side."""

import sys
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import Ascii, AsJson, NoMouse, RunsDir, Theme, resolve_run
from cnn_tui.settings import Options, ThemeName
from cnn_tui.terminal.tty import has_terminal
from cnn_tui.text.json import to_json


def compare(  # noqa: PLR0913 - one parameter per option
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Ids of runs, the starts of ids, or 'latest'; two or more.",
            autocompletion=complete_run,
        ),
    ],
    runs_dir: RunsDir = None,
    as_json: AsJson = False,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Print instead of the screen.")] = False,
    theme: Theme = ThemeName.DARK,
    ascii_only: Ascii = False,
    no_mouse: NoMouse = False,
) -> None:
    """Show runs side by side: curves, figures, what was set differently, classes.

    Without a terminal, or with --no-ui, it prints, and says whether they differ by more than
    chance: every run is compared with the first by McNemar's test, where both were tested on the
    same images.
    """
    if len(references) < 2:
        raise ConfigError("compare: give two runs or more; see: cnn-tui runs")
    compared = [resolve_run(reference, runs_dir) for reference in references]
    if not as_json and not no_ui and has_terminal():
        from cnn_tui.dashboard.launch import compare_runs

        sys.exit(compare_runs(compared, Options(theme, ascii_only, not no_mouse)))
    from cnn_engine.results import comparison

    found = comparison.compare(compared)
    if as_json:
        print(to_json(comparison.as_dict(found)))
    else:
        from cnn_tui.reports.comparison import print_comparison

        print_comparison(found)

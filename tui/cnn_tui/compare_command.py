"""`cnn-tui compare`: several runs side by side."""

from typing import Annotated

import typer

from cnn_engine import runs
from cnn_engine.errors import ConfigError
from cnn_tui.format import to_json
from cnn_tui.options import RunsDir


def compare(
    references: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...", help="Ids of runs, the starts of ids, or 'latest'; two or more."
        ),
    ],
    runs_dir: RunsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs have different, and whether they differ by more than chance.

    Every run is compared with the first by McNemar's test, where both were tested on the same
    images.
    """
    if len(references) < 2:
        raise ConfigError("compare: give two runs or more; see: cnn-tui runs")
    from cnn_engine import comparison

    directory = runs_dir or runs.default_runs_dir()
    found = comparison.compare([runs.find(directory, reference) for reference in references])
    if as_json:
        print(to_json(comparison.as_dict(found)))
    else:
        from cnn_tui.compare_report import print_comparison

        print_comparison(found)

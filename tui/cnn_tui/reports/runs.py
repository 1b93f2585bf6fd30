"""The report of `cnn-tui runs`; without rich, so that 10,000 runs print within a second."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.groups import RunGroup
from cnn_engine.runs.summary import RunSummary
from cnn_tui.charts.curves import curve_text
from cnn_tui.terminal.ascii import for_locale
from cnn_tui.terminal.environment import terminal_columns
from cnn_tui.text.columns import MAX_NAME_LENGTH, columns_with
from cnn_tui.text.numbers import date, duration
from cnn_tui.text.safe import safe_text
from cnn_tui.text.spreads import spread_text
from cnn_tui.text.width import Justify, pad, widest

GAP = "  "

CURVE_WIDTH = 12
CURVE_POSITION = 4
"""Columns before the curve, which also a narrow terminal shows: run, status, config, epochs."""

UNLIMITED = sys.maxsize
"""Columns if stdout is not a terminal."""


def print_runs(
    runs: Sequence[RunSummary], extra_columns: Sequence[RunColumn] = (), *, curves: bool = False
) -> None:
    """Print a table of runs; on a terminal, as many columns as fit.

    Args:
        runs: At least one run.
        extra_columns: Columns after the usual ones.
        curves: Add a column with the validation losses as sparklines.
    """
    columns = [
        _TextColumn(
            [column.heading, *map(column.cell, runs)],
            column.justify,
            is_needed=column.source.key == "run",
        )
        for column in columns_with(extra_columns)
    ]
    if curves:
        cells = [curve_text(run, CURVE_WIDTH) for run in runs]
        columns.insert(CURVE_POSITION, _TextColumn(["val loss", *cells]))
    _print_table(columns)


def print_groups(groups: Sequence[RunGroup]) -> None:
    """Print a table of series; on a terminal, as many columns as fit.

    Args:
        groups: At least one series.
    """
    accuracies = {
        heading: [_accuracy(group, metric) for group in groups]
        for heading, metric in (("acc", "best_val_accuracy"), ("test", "test_accuracy"))
    }
    started = [date(group.summary.started) for group in groups]
    columns = [
        _TextColumn(["series", *(safe_text(group.id, 40) for group in groups)], is_needed=True),
        _TextColumn(["status", *(group.status for group in groups)]),
        _TextColumn(["config", *(safe_text(group.runs[0].preset, 16) for group in groups)]),
        _TextColumn(["runs", *(f"{group.done}/{group.planned}" for group in groups)], "right"),
        *(_TextColumn([heading, *cells], "right") for heading, cells in accuracies.items()),
        _TextColumn(["time", *(duration(group.summary.seconds) for group in groups)], "right"),
        _TextColumn(["started", *started]),
        _TextColumn(["name", *(safe_text(group.name, MAX_NAME_LENGTH) for group in groups)]),
        _TextColumn(["swept", *(safe_text(group.swept, 80) for group in groups)]),
    ]
    _print_table(columns)


def _accuracy(group: RunGroup, metric: str) -> str:
    """Return the spread over all runs of a single setting; of several, the best mean."""
    spread = group.best(metric)
    return "–" if spread is None else f"{spread_text(spread)} %"


class _TextColumn(NamedTuple):
    cells: list[str]
    """The heading, and a cell per row."""

    justify: Justify = "left"
    is_needed: bool = False
    """True to print it even if it does not fit."""


def _print_table(columns: Iterable[_TextColumn]) -> None:
    """Print columns; on a terminal, as many as fit, and none without any text."""
    room = terminal_columns(sys.stdout, UNLIMITED)
    lines: list[str] = []
    used = 0
    for cells, justify, is_needed in columns:
        if not any(cells[1:]):  # no run has a name or a tag
            continue
        width = widest(cells)
        used += width + len(GAP)
        if used - len(GAP) > room and not is_needed:
            break
        lines = [
            line + pad(cell, width, justify) + GAP
            for line, cell in zip(lines or [""] * len(cells), cells, strict=True)
        ]
    for_locale(sys.stdout).write("\n".join(map(str.rstrip, lines)) + "\n")

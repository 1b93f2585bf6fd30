"""The report of `cnn-tui runs`; without rich, so that 10,000 runs print within a second."""

import sys
from collections.abc import Sequence

from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.summary import RunSummary
from cnn_tui.terminal.ascii import for_locale
from cnn_tui.terminal.environment import terminal_columns
from cnn_tui.text.columns import columns_with
from cnn_tui.text.width import pad, widest

GAP = "  "

UNLIMITED = sys.maxsize
"""Columns if stdout is not a terminal."""


def print_runs(runs: Sequence[RunSummary], extra_columns: Sequence[RunColumn] = ()) -> None:
    """Print a table of runs; on a terminal, as many columns as fit.

    Args:
        runs: At least one run.
        extra_columns: Columns after the usual ones.
    """
    room = terminal_columns(sys.stdout, UNLIMITED)
    lines = [""] * (len(runs) + 1)
    used = 0
    for column in columns_with(extra_columns):
        cells = [column.heading, *map(column.cell, runs)]
        if not any(cells[1:]):  # no run has a name or a tag
            continue
        width = widest(cells)
        used += width + len(GAP)
        if used - len(GAP) > room and column.source.key != "run":
            break
        lines = [
            line + pad(cell, width, column.justify) + GAP
            for line, cell in zip(lines, cells, strict=True)
        ]
    for_locale(sys.stdout).write("\n".join(map(str.rstrip, lines)) + "\n")

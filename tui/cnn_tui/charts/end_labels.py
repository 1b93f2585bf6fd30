"""Values at the end of each curve of a chart."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cnn_tui.charts.axes import StyledCells, with_background
from cnn_tui.charts.binning import Scale
from cnn_tui.text.numbers import significant

LABEL_WIDTH = 8
"""Cells of a value and the space before it."""

MIN_WIDTH = 56
"""Cells of the narrowest chart that has room for them."""


class EndLabel(NamedTuple):
    """The last value of a curve."""

    column: int
    """Column of dots of the last point."""

    value: float
    text: str
    style: str


def end_margin(width: int) -> int:
    """Return the cells that a chart of a width leaves free at its right for the values."""
    return LABEL_WIDTH if width >= MIN_WIDTH else 0


def short_number(value: float) -> str:
    """Return a number with four significant digits, or with two if it would be too long."""
    text = significant(value)
    return text if len(text) < LABEL_WIDTH else f"{value:.2g}"


def add_end_labels(
    lines: list[StyledCells], labels: Sequence[EndLabel], scale: Scale, margin: int
) -> None:
    """Append the margin to the lines, and write the values behind the end of the longest curve.

    Args:
        lines: The curves, a line for each row of cells.
        labels: The last values; those with texts that are too long are left out.
        scale: The scale of the curves.
        margin: Cells to append, as from `end_margin`; 0 for no values.
    """
    if not margin:
        return
    for line in lines:
        line.extend([(" ", "")] * margin)
    shown = [label for label in labels if len(label.text) < LABEL_WIDTH]
    if not shown:
        return
    start = max(label.column for label in shown) // 2 + 2
    for row, label in _in_rows(shown, scale, len(lines)):
        line = lines[row]
        for cell, char in enumerate(label.text, start):
            line[cell] = char, with_background(label.style, line[cell][1])


def _in_rows(labels: Sequence[EndLabel], scale: Scale, rows: int) -> Iterator[tuple[int, EndLabel]]:
    """Yield each label with the row of its value, or the next free one below or above."""
    falling = sorted(labels, key=lambda label: -label.value)
    free = -1
    for number, label in enumerate(falling):
        below = len(falling) - 1 - number
        row = min(max(scale.row(label.value) // 4, free + 1), rows - 1 - below)
        if row > free:
            yield row, label
            free = row

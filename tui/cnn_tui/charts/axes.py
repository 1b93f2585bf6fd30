"""What charts of cells have in common: a scale at the left, ticks below, a legend above."""

import math
from collections.abc import Sequence
from typing import TypeAlias

from cnn_tui.charts.binning import Scale, Window, linear_scale, log_scale, round_step

StyledCells: TypeAlias = list[tuple[str, str]]
"""A line: a character and its style for each cell."""

LABEL_WIDTH = 5
MARGIN = LABEL_WIDTH + 1
"""Cells left of the curves."""

MIN_WIDTH, MIN_HEIGHT = MARGIN + 10, 3
MIN_HEIGHT_WITH_LEGEND, MIN_HEIGHT_WITH_LABELS, MIN_HEIGHT_WITH_AXIS = 7, 5, 9

AXIS, NOTE = "$faint", "$muted"


def fit_scale(values: Sequence[float], rows: int, *, log: bool) -> Scale | None:
    """A scale that holds all values on so many rows of cells; None where there is none to hold."""
    if log:
        values = [value for value in values if value > 0]
    if not values:
        return None
    make = log_scale if log else linear_scale
    return make(min(values), max(values), 4 * rows, max(2, rows // 3))


def add_scale(lines: list[StyledCells], scale: Scale) -> list[StyledCells]:
    """The lines behind a scale that names its round values."""
    labels = {scale.row(tick) // 4: _number(tick, scale) for tick in scale.ticks}
    return [
        [
            *((char, NOTE) for char in labels.get(row, "").rjust(LABEL_WIDTH)[:LABEL_WIDTH]),
            ("┤" if row in labels else "│", AXIS),
            *line,
        ]
        for row, line in enumerate(lines)
    ]


def _number(tick: float, scale: Scale) -> str:
    step = tick if scale.log else scale.ticks[1] - scale.ticks[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    text = f"{tick:.{digits}f}"
    return text if len(text) <= LABEL_WIDTH else f"{tick:.0e}"


def axis_ticks(window: Window, unit: float) -> dict[int, str]:
    """Cells and the round numbers that are named there.

    Args:
        window: What is shown.
        unit: How much of what the window counts is 1 on the axis: the steps of an epoch, say.
    """
    first, last = window.first / unit, window.last / unit
    step = round_step((last - first) / max(1, window.columns // 2 // 9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
    return {
        window.column(min(number * step * unit, window.last)) // 2: f"{number * step:.{digits}f}"
        for number in numbers
    }


def draw_cursor(lines: list[StyledCells], cell: int, beneath: str = "") -> None:
    """A line down where values are read, under what is drawn but in no such style."""
    for line in lines:
        if 0 <= cell < len(line) and line[cell][1] in ("", AXIS, beneath):
            line[cell] = ("│", "$foreground")


def draw_axis(ticks: dict[int, str], window: Window) -> StyledCells:
    """The line below the curves, with a mark where a number stands."""
    line = [("┴" if cell in ticks else "─", AXIS) for cell in range(window.columns // 2)]
    return [*((" ", "") for _ in range(LABEL_WIDTH)), ("└", AXIS), *line]


def draw_tick_labels(ticks: dict[int, str], window: Window) -> StyledCells:
    """The numbers below the axis, as many as have room."""
    line = [" "] * (MARGIN + window.columns // 2)
    for cell, label in ticks.items():
        start = min(MARGIN + cell - len(label) // 2, len(line) - len(label))
        if all(char == " " for char in line[max(0, start - 1) : start + len(label) + 1]):
            line[start : start + len(label)] = label
    return [(char, NOTE) for char in line]


def legend_line(
    left: list[tuple[str, str]], right: list[tuple[str, str]], width: int
) -> StyledCells:
    """A line with something at either end; of the left as many whole parts as fit."""
    tail = [(char, style) for text, style in right for char in text]
    room = max(0, width - len(tail))
    line: StyledCells = []
    for text, style in left:
        if len(line) + len(text.rstrip()) > room:
            break
        line += [(char, style) for char in text]
    blank = [(" ", "")] * (room - len(line))
    return [*line[:room], *blank, *tail][:width]

"""The frame of a chart: a scale at the left, ticks below, a legend above."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len

from cnn_tui.charts.binning import Scale, Window, linear_scale, log_scale, round_step

StyledCells: TypeAlias = list[tuple[str, str]]
"""A line: text and style for each cell. A wide character is followed by an empty text."""

LABEL_WIDTH = 5
MARGIN = LABEL_WIDTH + 1
"""Cells left of the curves."""

MIN_WIDTH, MIN_HEIGHT = MARGIN + 10, 3
MIN_HEIGHT_WITH_LEGEND, MIN_HEIGHT_WITH_LABELS, MIN_HEIGHT_WITH_AXIS = 7, 5, 9

AXIS, NOTE = "$faint", "$muted"

UNITS = {3: "k", 6: "M", 9: "G"}
"""Letters for powers of ten in long numbers on a scale."""

MARKER_LINE, CURSOR_LINE = "┊", "│"


class ChartLayout(NamedTuple):
    """The parts of a chart that fit its height."""

    rows: int
    """Lines left for the curves."""

    has_legend: bool
    has_labels: bool
    has_axis: bool

    label_width: int = LABEL_WIDTH
    """Cells of the numbers at the left."""


def chart_layout(height: int, *, has_cursor: bool) -> ChartLayout:
    """Return the layout for a number of lines; a cursor needs the legend for its values."""
    has_legend = height >= MIN_HEIGHT_WITH_LEGEND or has_cursor
    has_labels, has_axis = height >= MIN_HEIGHT_WITH_LABELS, height >= MIN_HEIGHT_WITH_AXIS
    return ChartLayout(
        height - has_legend - has_labels - has_axis, has_legend, has_labels, has_axis
    )


def add_frame(
    lines: list[StyledCells],
    layout: ChartLayout,
    scale: Scale,
    legend: StyledCells,
    axis_and_labels: tuple[StyledCells, StyledCells],
) -> list[StyledCells]:
    """Return the curves with the scale, and the other parts that the layout has."""
    axis, labels = axis_and_labels
    return [
        *([legend] if layout.has_legend else []),
        *add_scale(lines, scale, layout.label_width),
        *([axis] if layout.has_axis else []),
        *([labels] if layout.has_labels else []),
    ]


SMALLEST = 1e-300
"""Values up to it are not on a logarithmic scale: there is no power of ten below the smallest."""


def fit_scale(values: Sequence[float], rows: int, *, log: bool) -> Scale | None:
    """Return a scale for the values on `rows` rows of cells; None if there is no value to draw."""
    if log:
        values = [value for value in values if value > SMALLEST]
    if not values:
        return None
    make_scale = log_scale if log else linear_scale
    return make_scale(min(values), max(values), 4 * rows, max(2, rows // 3))


def add_scale(
    lines: list[StyledCells], scale: Scale, label_width: int = LABEL_WIDTH
) -> list[StyledCells]:
    """Return the lines with the scale's round values at their left."""
    labels = {scale.row(tick) // 4: _tick_text(tick, scale, label_width) for tick in scale.ticks}
    return [
        [
            *((char, NOTE) for char in labels.get(row, "").rjust(label_width)),
            ("┤" if row in labels else "│", AXIS),
            *line,
        ]
        for row, line in enumerate(lines)
    ]


def _tick_text(tick: float, scale: Scale, width: int) -> str:
    """Return a round value in at most `width` characters; empty if it would be longer."""
    step = tick if scale.log else scale.ticks[1] - scale.ticks[0]
    power = math.floor(math.log10(step) + 1e-9)
    power -= not math.isclose(tick / 10.0**power, round(tick / 10.0**power), abs_tol=1e-6)
    text = f"{tick:.{max(0, -power)}f}"
    if len(text) <= width:
        return text
    number = round(tick / 10.0**power)
    zeros = len(str(number)) - len(str(number).rstrip("0")) if number else -power
    texts = [f"{number // 10 ** max(0, zeros)}e{power + zeros}" if number else "0"]
    for exponent, unit in UNITS.items():
        if abs(tick) >= 10.0**exponent:
            texts.insert(0, f"{tick / 10.0**exponent:.{max(0, exponent - power)}f}{unit}")
    return next((text for text in texts if len(text) <= width), "")


def axis_ticks(window: Window, unit: float) -> dict[int, str]:
    """Return the round numbers of the axis by their cells.

    Args:
        window: The window in view.
        unit: Length of 1 on the axis, in the window's unit; such as the steps of an epoch.
    """
    first, last = window.first / unit, window.last / unit
    step = round_step((last - first) / max(1, window.columns // 2 // 9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
    return {
        window.column(min(number * step * unit, window.last)) // 2: f"{number * step:.{digits}f}"
        for number in numbers
    }


def draw_vertical(lines: list[StyledCells], cell: int, char: str, style: str) -> None:
    """Draw a vertical line over the cells that are blank or have another such line."""
    for line in lines:
        if 0 <= cell < len(line) and line[cell][0] in (" ", MARKER_LINE):
            line[cell] = (char, with_background(style, line[cell][1]))


def with_background(style: str, other: str) -> str:
    """Return the style with the background of the other one, if that has one."""
    _, on, background = other.partition("on ")
    return f"{style} {on}{background}".rstrip()


def draw_axis(ticks: dict[int, str], window: Window, label_width: int = LABEL_WIDTH) -> StyledCells:
    """Return the line below the curves, with a mark at each tick."""
    line = [("┴" if cell in ticks else "─", AXIS) for cell in range(window.columns // 2)]
    return [*((" ", "") for _ in range(label_width)), ("└", AXIS), *line]


def draw_tick_labels(
    ticks: dict[int, str], window: Window, label_width: int = LABEL_WIDTH
) -> StyledCells:
    """Return the line with the numbers of the ticks; numbers that would overlap are dropped."""
    margin = label_width + 1
    line = [" "] * (margin + window.columns // 2)
    for cell, label in ticks.items():
        start = min(margin + cell - len(label) // 2, len(line) - len(label))
        if all(char == " " for char in line[max(0, start - 1) : start + len(label) + 1]):
            line[start : start + len(label)] = label
    return [(char, NOTE) for char in line]


def to_cells(text: str, style: str) -> StyledCells:
    """Return the text with one item for each cell that it takes on a terminal."""
    cells: StyledCells = []
    for char in text:
        width = cell_len(char)
        if width == 0 and cells:  # a mark that combines with the character before
            cells[-1] = cells[-1][0] + char, style
        else:
            cells += [(char, style), *[("", style)] * (width - 1)]
    return cells


def legend_line(
    left: list[tuple[str, str]], right: list[tuple[str, str]], width: int
) -> StyledCells:
    """Return a line with texts at both ends; left texts that do not fit are dropped."""
    tail = [cell for text, style in right for cell in to_cells(text, style)]
    room = max(0, width - len(tail))
    line: StyledCells = []
    for text, style in left:
        if len(line) + cell_len(text.rstrip(" ")) > room:
            break
        line += to_cells(text, style)
    blank = [(" ", "")] * (room - len(line))
    return [*line[:room], *blank, *tail][:width]

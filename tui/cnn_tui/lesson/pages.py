"""Pages of the lesson: wrapped text and drawn figures."""

import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from textual.content import Content

from cnn_tui.lesson.arithmetic import Cell, Grid


class Canvas(NamedTuple):
    """The space and the means for drawing a page."""

    width: int
    """Terminal cells."""

    pictures: bool
    """True to draw pictures in coloured half blocks, False for plain characters."""


Figure: TypeAlias = Callable[[Canvas], Sequence[Content]]
"""Function that draws a figure; its lines are not wrapped."""

Parts: TypeAlias = tuple[str | Figure, ...]

MAX_WIDTH = 76
"""Maximum width of text, in terminal cells."""


@dataclass(frozen=True)
class Page:
    """One screen of the lesson: texts and figures."""

    parts: Parts

    def lines(self, canvas: Canvas) -> list[Content]:
        """Return the page as lines, with a blank line between two parts."""
        lines: list[Content] = []
        for part in self.parts:
            lines += [*part_lines(part, canvas), Content("")]
        return lines[:-1]


@dataclass(frozen=True)
class Chapter:
    """Pages about one subject."""

    title: str
    pages: tuple[Page, ...]


def part_lines(part: str | Figure, canvas: Canvas) -> Sequence[Content]:
    """Return the lines of a part: text wrapped, a figure drawn."""
    if not isinstance(part, str):
        return [piece for line in part(canvas) for piece in _break(line, canvas.width)]
    wrapped = textwrap.wrap(part, min(canvas.width, MAX_WIDTH), break_on_hyphens=False)
    return [Content(line) for line in wrapped]


def _break(line: Content, width: int) -> Iterator[Content]:
    """Yield the line, broken at spaces into pieces of at most `width` cells."""
    while line.cell_length > width and (space := line.plain.rfind(" ", 1, width)) > 0:
        yield line[:space]
        line = Content("  ") + line[space + 1 :]
    yield line


def format_number(value: float, digits: int = 4) -> str:
    """Return `−6` or `0.25`: at most `digits` significant digits, with a minus sign (U+2212)."""
    return f"{value:.{digits}g}".replace("-", "−")


def format_factor(value: float) -> str:
    """Return the number as a factor: in brackets if it is negative."""
    return f"({format_number(value)})" if value < 0 else format_number(value)


def format_decimals(value: float) -> str:
    """Return `−1.00`: two decimals, with a minus sign (U+2212)."""
    return f"{value:.2f}".replace("-", "−")


def grid_lines(
    values: Sequence[Sequence[float | str]],
    marked: Collection[Cell] = (),
) -> list[Content]:
    """Return numbers in aligned columns; marked cells are in brackets and coloured."""
    texts = [
        [cell if isinstance(cell, str) else format_number(cell) for cell in row] for row in values
    ]
    width = max(len(cell) for row in texts for cell in row)
    return [
        Content.assemble(
            *(
                (f"[{cell:>{width}}]", "bold $primary")
                if Cell(y, x) in marked
                else f" {cell:>{width}} "
                for x, cell in enumerate(row)
            )
        )
        for y, row in enumerate(texts)
    ]


def compact_grid_lines(values: Grid) -> list[Content]:
    """Return numbers in aligned columns with a single space between."""
    texts = [[format_number(cell) for cell in row] for row in values]
    width = max(len(cell) for row in texts for cell in row)
    return [Content(" ".join(f"{cell:>{width}}" for cell in row)) for row in texts]


def window_cells(corner: Cell, size: Cell) -> set[Cell]:
    """Return the cells inside the window whose upper left cell is `corner`."""
    return {
        Cell(corner.row + row, corner.column + column)
        for row in range(size.row)
        for column in range(size.column)
    }


def reveal(values: Grid, count: int) -> list[list[float | str]]:
    """Return the grid with a dot in place of all but the first `count` cells, row by row."""
    width = len(values[0])
    return [
        [value if y * width + x < count else "·" for x, value in enumerate(row)]
        for y, row in enumerate(values)
    ]


def with_caption(caption: str, lines: Sequence[Content]) -> list[Content]:
    """Return the lines with a caption above."""
    return [Content.styled(caption, "$muted"), *lines]


def side_by_side(*blocks: Sequence[Content], gap: int = 3) -> list[Content]:
    """Return blocks of lines side by side, aligned at the top."""
    widths = [max(line.cell_length for line in block) for block in blocks]
    blank = Content("")
    return [
        Content(" " * gap).join(
            line.pad_right(width - line.cell_length)
            for line, width in zip(row, widths, strict=True)
        )
        for row in zip_longest(*blocks, fillvalue=blank)
    ]


def fit_blocks(*blocks: Sequence[Content], canvas: Canvas, gap: int = 3) -> list[Content]:
    """Return blocks side by side if they fit the canvas, else one below the other."""
    row = side_by_side(*blocks, gap=gap)
    if max(line.cell_length for line in row) <= canvas.width:
        return row
    stacked: list[Content] = []
    for block in blocks:
        stacked += [*block, Content("")]
    return stacked[:-1]


def bar_lines(
    names: Sequence[str], probabilities: Sequence[float], canvas: Canvas
) -> list[Content]:
    """Return one line per class: name, bar, percentage."""
    name_width = max(map(len, names))
    width = max(4, min(30, canvas.width - name_width - 9))
    return [
        Content.assemble(
            f"{name:<{name_width}} ",
            ("━" * round(probability * width), "$primary"),
            ("─" * (width - round(probability * width)), "$faint"),
            f" {100 * probability:5.1f}%",
        )
        for name, probability in zip(names, probabilities, strict=True)
    ]
